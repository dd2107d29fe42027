#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The checker while the module's own fault points (dm-fclock/fault.c), the disks
and the kernel's memory fail: no hang, no wrong data, and A never fails.

Needs a kernel with fault injection: tests/cluster/run faults --faults
(or --debug).
FCLOCK_SEED=<n> repeats a run (as far as timing lets it), FCLOCK_TRIGGERS=<n> makes
it longer, FCLOCK_ROUNDS=links,disks,memory says what fails.
"""
# by name
# timeout: 1800
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checker_test  # noqa: E402
import fclock  # noqa: E402
from checker_test import DISKS, SLOTS  # noqa: E402
from fclock import stage  # noqa: E402

TRIGGERS = int(os.environ.get('FCLOCK_TRIGGERS') or 66)
DEBUGFS = '/sys/kernel/debug'
DELAYS = ('receive', 'send', 'gate', 'super', 'commit', 'copy')


def attr(name, **files):
    """Commands that write an attribute's files; probability comes last."""
    files.setdefault('verbose', 0)
    return ''.join(f'echo {v} >{DEBUGFS}/{name}/{k.replace("_", "-")}\n'
                   for k, v in files.items())


class Fault:
    rare = False            # met seldom: on all nodes, whenever it can be
    of_copies = False       # needs active ones

    def hides(self, target):
        """May a read of that copy fail, and be right later?"""
        return False


class Point(Fault):
    """A fault point of the module."""

    def __init__(self, name):
        self.name, self.path, self.times = name, f'dm-fclock/{name}', {}

    def on(self, node, rng):
        times = rng.choice((1, 1, 2, 5))
        every = 1 if self.rare else rng.choice((1, 3, 10))
        delay = rng.choice((20, 100, 100, 1000))
        node.sh(attr(self.path, interval=every, times=times, probability=100) +
                f'echo {delay} >{DEBUGFS}/dm-fclock/delay_ms')
        self.times[node.nr] = times

    def off(self, node):
        """How often it was hit."""
        return self.times[node.nr] - int(node.sh(
            f'cat {DEBUGFS}/{self.path}/times\n' +
            attr(self.path, probability=0)))


class Super(Point):
    """Only the primary writes superblocks, a few for each trigger."""

    rare = True


class Load(Point):
    """Bits are loaded when a copy device comes to a slot that is active."""

    rare = of_copies = True

    def on(self, node, rng):
        super().on(node, rng)
        node.sh("""for b in $(dmsetup ls --target fclock-copy | cut -f1); do
            table=$(dmsetup table $b)
            dmsetup remove $b 2>/dev/null || continue   # somebody writes to it
            dmsetup create $b --table "$table"
            exit
        done""")


class Disk(Fault):
    """The kernel fails requests to a disk."""

    def __init__(self, name):
        self.name, self.disk, self.times = f'disk {name}', name, {}

    def hides(self, target):
        return self.disk == f'b{target}'

    def _switch(self, value):
        return (f'echo {value} >/sys/block/$(basename $(readlink -f '
                f'/dev/disk/fc/{self.disk}))/make-it-fail\n')

    def on(self, node, rng):
        times = self.times[node.nr] = rng.choice((1, 2, 5))
        node.sh(self._switch(1) + attr(
            'fail_make_request', interval=rng.choice((1, 5, 20)),
            times=times, probability=100))

    def off(self, node):
        return self.times[node.nr] - int(node.sh(
            f'cat {DEBUGFS}/fail_make_request/times\n' +
            attr('fail_make_request', probability=0) + self._switch(0)))


class Memory(Fault):
    """Allocations fail: those that may not wait, of everybody; with deep also
    those of the kernel's own threads that may."""

    def __init__(self, deep):
        self.deep, self.name = deep, 'deep memory' if deep else 'memory'

    def on(self, node, rng):
        mark = '''
            for p in /proc/[0-9]*; do
                [ -e $p/exe ] || echo 1 >$p/make-it-fail; done 2>/dev/null
            true\n''' if self.deep else ''
        node.sh(mark + attr(
            'failslab', task_filter='Y' if self.deep else 'N',
            ignore_gfp_wait='N' if self.deep else 'Y', interval=1, times=-1,
            probability=rng.choice((1, 3, 10))))

    def off(self, node):
        node.sh(attr('failslab', probability=0))
        return 1


ROUNDS = {
    'links': [Point(n) for n in ('receive', 'send', 'duplicate')] +
             [(Super if n == 'super' else Point)(f'delay-{n}') for n in DELAYS],
    'disks': [Super('super'), Super('super-late')] +
             [Point(n) for n in ('commit', 'commit-late', 'copy-read',
                                 'copy-write', 'flush')] +
             [Disk(n) for n in ('m', 'b0', 'b1')] + [Load('load')],
    'memory': [Memory(False), Memory(True)],
}


class Round(checker_test.Round):
    """Its triggers may fail and its copies may go offline."""

    def __init__(self, name, *args, **features):
        super().__init__(*args, **features)
        self.what = f'{name}, {self.what}'
        self.faults = ROUNDS[name]
        self.hits = {f.name: 0 for f in self.faults}
        self.ok = self.refused = self.offline = 0

    def lost(self, scan):
        """A scan had errors: is the copy offline? Then it may."""
        if scan.target in self.k.h.copies and \
                self.v.copy_status(scan.node, scan.target)['state'] == 'offline':
            self.k.h.stop(scan.target)
            self.offline += 1
            return True
        return False

    def judge(self, scan):
        if scan.target not in self.k.h.copies:
            return True
        if scan.said['errors'] and self.lost(scan):
            return True
        if scan.said['errors'] and (self.active and
                                    self.active[0][0].hides(scan.target)):
            self.again.append((scan.node, scan.target))
            return True
        return self.k.check(scan)

    def generations(self):
        return [self.v.copy_status(1, s)['generation'] for s in SLOTS]

    def trigger(self, slots):
        """One trigger; what failed has or has not happened."""
        before = self.generations()
        began = self.k.m.now()
        err, _ = self.k.trigger(self.rng.choice(self.v.nodes), slots)
        if not err:
            self.ok += 1
            return list(slots)
        self.refused += 1
        self.calm()
        after = self.generations()
        done = [s for s in SLOTS if after[s] != before[s]]
        if done:
            self.k.h.trigger(done, began, self.k.m.now())
        if done and sorted(done) != sorted(slots):
            self.fail(f'{self.what}: trigger of {slots} changed {done}')
        return done

    def calm(self):
        """Nothing fails any more, and all are there again."""
        for f, i in self.active:
            self.hits[f.name] += f.off(self.c[i])
        self.active = []
        self.v.wait_connected()

    def one_trigger(self, number):
        rng, k, v = self.rng, self.k, self.v
        fault = self.faults[number % len(self.faults)]
        some = rng.sample(v.nodes, rng.choice((1, 1, 2, 3)))
        if fault.of_copies:
            self.trigger(SLOTS)
        self.active = [(fault, i) for i in
                       (v.nodes if fault.rare else some)]
        self.again = []
        for f, i in self.active:
            f.on(self.c[i], rng)
        time.sleep(rng.uniform(0, 0.5))
        slots = rng.sample(SLOTS, rng.choice((1, 2, 3)))
        done = self.trigger(slots)
        scans = [k.scan(rng.choice(v.nodes), s, wait=False, repeat=2)
                 for s in k.h.copies]
        good = all([self.judge(s.wait(300)) for s in scans])
        self.calm()
        # What a disk did not give must still be there.
        good &= all([self.judge(k.scan(i, s)) for i, s in self.again])
        errors = k.errors()
        if errors or not good:
            self.fail(f'{self.what}: trigger {number} with {fault.name}')
            self.t.diag('\n'.join(errors))
        if done and done[0] in k.h.copies:
            k.h.forget(k.h.copies[done[0]].cut.called)

    def run(self, triggers):
        self.bad, self.active = 0, []
        self.up()
        stage(f'{self.what}: up')
        for i in self.v.nodes:
            self.load(i)
        for number in range(triggers):
            self.one_trigger(number)
            if number == 3:
                for s in sorted(self.k.h.copies)[:1]:
                    self.load_copy(self.rng.choice(self.v.nodes), s)
        said = self.k.stop(300)
        stage(f'{self.what}: {sum(s["writes"] for _, s in said)} writes, '
              f'{self.ok} triggers, {self.refused} failed, {self.offline} '
              f'copies went offline; hits: {self.hits}')
        self.t.ok(not self.bad, f'{self.what}: {triggers} triggers, each copy '
                  'that answers is one cut across the nodes')
        failed = [f'node {i}: {s}' for i, s in said[:len(self.v.nodes)]
                  if s['errors']]
        self.t.ok(not failed, f'{self.what}: no write of A failed')
        self.t.diag('\n'.join(failed))
        never = [n for n, hits in self.hits.items() if not hits]
        if triggers < 2 * len(self.faults):
            self.t.skip(f'{self.what}: every fault was met', 'too few triggers')
        else:
            self.t.ok(not never, f'{self.what}: every fault was met')
        self.t.diag(f'never met: {never}' if never else '')
        self.everywhere()


def main():
    rng = random.Random(fclock.seed())
    names = (os.environ.get('FCLOCK_ROUNDS') or 'links,disks,memory').split(',')
    with fclock.test(DISKS) as (t, c):
        if c[1].run(f'[ -d {DEBUGFS}/failslab ]').rc:
            t.plan_skip('this kernel has no fault injection')
        # Cut links, failing disks and memory: all of it is the plan.
        t.allow_log(r'page allocation failure|FAULT_INJECTION')
        for name in names:
            Round(name, t, c, rng, rng.choice((8, 16, 128))).run(
                max(1, TRIGGERS // len(names)))


if __name__ == '__main__':
    main()
