#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The checker: writers on all nodes, triggers, and is each copy one cut?

FCLOCK_SEED=<n> repeats a run (as far as timing lets it); FCLOCK_TRIGGERS=<n>
makes it longer.
"""
# timeout: 600
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fclock  # noqa: E402
from fclock import Checker, Volume, stage  # noqa: E402

TRIGGERS = int(os.environ.get('FCLOCK_TRIGGERS') or 21)
SLOTS = (0, 1, 2)
DISKS = {'a': '8M', 'b0': '8M', 'b1': '8M', 'b2': '8M', 'm': '20M'}
SECTORS = 16384
HAMMER = 10000000


class Round:
    """A volume with its own settings, under load, for a number of triggers."""

    def __init__(self, t, c, rng, grain, **features):
        self.t, self.c, self.rng, self.grain = t, c, rng, grain
        self.v = Volume(c, slots=SLOTS)
        self.v.len = SECTORS
        self.v.args = {'grain_size': grain, **features}
        self.what = ', '.join([f'grain {grain // 2} KiB'] +
                              [f'{k} {n}' for k, n in features.items()])

    def slow(self, i, read, write):
        """On node i A answers so many ms later: a lock or a gate that does not
        wait for the I/O behind it shows."""
        a = '/dev/disk/fc/a'
        self.c[i].sh(f"""modprobe dm-delay
            dmsetup info slow >/dev/null 2>&1 || dmsetup create slow --table \
            '0 {SECTORS} delay {a} 0 {read} {a} 0 {write}'""")
        self.v.origin[i] = '/dev/mapper/slow'

    def up(self, slow=()):
        self.v.remove_all()
        self.v.wipe(data=True)
        for args in slow:
            self.slow(*args)
        self.v.start_all()
        self.v.wait_connected()
        self.k = Checker(self.v, self.rng)

    def load(self, i):
        self.k.write(i, threads=3, grain=self.grain, hot=self.rng.randint(2, 24),
                     large=self.rng.choice((0, 16, 64, 256)), pause=3000)

    def load_copy(self, i, slot):
        self.k.write(i, slot, threads=1, grain=self.grain, hot=8, pause=5000)

    def one_trigger(self, number):
        rng, k, v = self.rng, self.k, self.v
        slots = rng.sample(SLOTS, rng.choice((1, 1, 1, 2, 3)))
        who = rng.choice(v.nodes)
        time.sleep(rng.uniform(0, 0.3))
        err, us = k.trigger(who, slots)
        what = f'{self.what}: trigger {number}, slots {slots} by node {who}'
        if err:
            self.fail(f'{what}: {os.strerror(err)}')
            return
        self.us.append(us)
        # Every copy at once, each read by a node of its own choice.
        scans = [k.scan(rng.choice(v.nodes), s, wait=False,
                        repeat=rng.choice((1, 4))) for s in slots]
        for scan in scans:
            k.check(scan.wait())
        old = [s for s in k.h.copies if s not in slots]
        if old and rng.random() < 0.4:
            k.check(k.scan(rng.choice(v.nodes), rng.choice(old)))
        errors = k.errors()
        if errors:
            self.fail(what)
            self.t.diag('\n'.join(errors))
        k.h.forget(k.h.copies[slots[0]].cut.called)

    def fail(self, text):
        self.bad += 1
        self.t.diag(f'wrong: {text}')

    def everywhere(self):
        """All of A is overwritten; every copy, on every node, is as before."""
        k = self.k
        k.sweep(large=self.rng.choice((8, 128, 512)))
        scans = [k.scan(i, s, wait=False) for s in sorted(k.h.copies)
                 for i in self.v.nodes]
        good = [k.check(s.wait()) for s in scans]
        self.t.ok(all(good), f'{self.what}: {len(k.h.copies)} copies on 3 nodes '
                  'are the same after A was overwritten everywhere')
        self.t.ok(k.check(k.scan(self.rng.choice(self.v.nodes), 255)),
                  f'{self.what}: A holds what was written last')
        self.t.diag('\n'.join(k.errors()))

    def run(self, triggers, slow=()):
        self.bad, self.us = 0, []
        self.up(slow)
        stage(f'{self.what}: up')
        for i in self.v.nodes:
            self.load(i)
        for done in range(1, triggers + 1):
            self.one_trigger(done)
            if done == 2:       # until it was triggered a copy fails all I/O
                for s in sorted(self.k.h.copies)[:2]:
                    self.load_copy(self.rng.choice(self.v.nodes), s)
            if done == triggers // 2:
                self.c[self.rng.choice(self.v.nodes)].sh(
                    f'dmsetup message {self.v.a} 0 drop_cache')
        said = self.k.stop()
        writes = sum(s['writes'] for _, s in said)
        stage(f'{self.what}: {writes} writes, trigger takes '
              f'{sorted(self.us)[len(self.us) // 2] if self.us else 0} us '
              f'(median), {max(self.us, default=0)} us (longest)')
        self.t.ok(not self.bad, f'{self.what}: {triggers} triggers, each copy is '
                  'one cut across the nodes')
        failed = [f'node {i}: {s}' for i, s in said if s['errors']]
        self.t.ok(not failed, f'{self.what}: no write failed')
        self.t.diag('\n'.join(failed))
        done = {i: sum(s['writes'] for j, s in said if j == i)
                for i in self.v.nodes}
        self.t.ok(min(done.values()) >= triggers,
                  f'{self.what}: all nodes wrote: {done}')
        self.everywhere()
        if slow:
            self.v.remove_all()
            for args in slow:
                self.c[args[0]].sh('dmsetup remove --retry slow')
        stage(f'{self.what}: done')


def sequencer(t, c):
    """The counter that orders all events loses nothing. So many that the guests
    are at it at the same time, though one begins after the other."""
    before = c.memory.now()
    jobs = [c[i].spawn(['checker', 'hammer', 'pci', str(HAMMER)])
            for i in c.nodes]
    for j in jobs:
        j.wait(300)
    t.is_(c.memory.now() - before, len(jobs) * HAMMER,
          'three guests count together and lose nothing')


def main():
    seed = fclock.seed()
    rng = random.Random(seed)
    with fclock.test(DISKS) as (t, c):
        sequencer(t, c)
        third = max(1, TRIGGERS // 3)
        Round(t, c, rng, 16).run(third)
        Round(t, c, rng, 128, cache_limit=rng.choice((0, 1, 4))).run(
            third, slow=((2, 0, 12), (3, 12, 0)))
        Round(t, c, rng, 8, cache_limit=4096).run(TRIGGERS - 2 * third)


if __name__ == '__main__':
    main()
