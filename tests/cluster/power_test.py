#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Power is lost: what was not flushed is forgotten, and the copy is right.

Before the trigger A is written and flushed, so that the copy has a known content.
After it nodes overwrite A, and write through a copy with O_DSYNC, until all guests
and the array lose power. What was written to A and never flushed may be gone, as
on any disk; the copy may not.
"""
# timeout: 1300
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fclock  # noqa: E402
from fclock import Checker, Volume, stage  # noqa: E402

CUTS = int(os.environ.get('FCLOCK_CUTS') or
           (8 if os.environ.get('FCLOCK_FULL') else 1))
SECTORS = 16384
DISKS = {'a': '8M', 'b0': '8M', 'b1': '8M', 'm': '12M'}


class Power:
    def __init__(self, t, c, rng):
        self.t, self.c, self.rng = t, c, rng
        self.v = Volume(c, slots=(0, 1))
        self.v.len = SECTORS

    def prepare(self, grain):
        """A new volume, A known and durable, both slots triggered."""
        v = self.v
        v.args = {'grain_size': grain}
        v.wipe(data=True)
        v.start_all()
        v.wait_connected()
        self.k = k = Checker(v, self.rng)
        k.sweep(large=64)
        self.c[2].sh(f'dd if=/dev/null of=/dev/mapper/{v.a} '
                     'conv=fsync,notrunc 2>/dev/null')
        for s in (0, 1):
            err, _ = k.trigger(self.rng.choice(v.nodes), [s])
            if err:
                raise fclock.Bail(f'trigger: {os.strerror(err)}')
            k.check(k.scan(self.rng.choice(v.nodes), s))
        self.generation = v.copy_status(1, 0)['generation']

    def load(self, grain):
        k, rng = self.k, self.rng
        for i in self.v.nodes:
            k.write(i, threads=2, grain=grain, large=rng.choice((0, 64)),
                    pause=2000)
        k.write(rng.choice((2, 3)), 1, threads=1, grain=grain, pause=4000,
                sync=1)
        time.sleep(rng.uniform(0.5, 2.5))

    def cut(self, number, grain):
        v, k, rng = self.v, self.k, self.rng
        keep = rng.choice((0, 50, 90))
        before = self.c.array('stat')
        self.c.kill_all()
        for i in v.nodes:
            k.m.forget_open(i, k.h)
        k.jobs = []
        seed = self.c.power_cut(seed=rng.getrandbits(30), keep=keep)
        what = (f'cut {number}, grain {grain // 2} KiB, {keep} % of the '
                'unflushed kept')
        stage(f'{what} (seed {seed}; {before})')
        v.start_all(rng.sample(v.nodes, 3))
        v.wait_connected()
        states = [v.copy_status(1, s) for s in (0, 1)]
        self.t.is_(v.copy_status(2, 0)['generation'], self.generation,
                   f'{what}: the generation is still there')
        scans = [k.scan(rng.choice(v.nodes), s) for s in (0, 1)]
        good = all([k.check(s) for s in scans])
        self.t.ok(good, f'{what}: both copies are right')
        if not good:
            self.t.diag('\n'.join(k.errors()) + f'\n{states}')
        # A lost its own unflushed writes, so that only the copies are judged.
        k.sweep()
        good = all([k.check(k.scan(i, s)) for i in v.nodes for s in (0, 1)])
        self.t.ok(good, f'{what}: and stay so when A is overwritten everywhere')
        self.t.diag('\n'.join(k.errors()))
        v.remove_all()


def main():
    seed = fclock.seed()
    rng = random.Random(seed)
    with fclock.test(DISKS, array='volatile') as (t, c):
        p = Power(t, c, rng)
        for n in range(1, CUTS + 1):
            grain = (16, 128, 8)[n % 3]
            p.prepare(grain)
            p.load(grain)
            p.cut(n, grain)


if __name__ == '__main__':
    main()
