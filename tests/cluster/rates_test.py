#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Splits get faster with every owner; an owner's death stops only what needs it.

What is measured and how: rates.py. All bounds are ratios within this run, but one:
a second.
"""
# by name
# timeout: 600
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fclock  # noqa: E402
import lib  # noqa: E402
import rates  # noqa: E402
from fclock import stage  # noqa: E402

FULL = bool(os.environ.get('FCLOCK_FULL'))
DELAY = 200 if FULL else 100    # ms: so that no area is written all over in its time
# What is left for other users of the machine. A node whose confirmed I/O needed the dead
# one would do none at all.
STEADY = 0.6


def owners(t, v):
    got = rates.split_rates(v, DELAY, 12 if FULL else 6)
    rates.show_rates(got, DELAY)
    for n in (2, 3):
        x = rates.linear(got, n)
        t.ok(x >= 0.8, f'{n} owners split at {x:.2f} of {n} times the rate of one')
        share = got[n][1][:n]
        t.ok(min(share) > 0.7 / n and not any(got[n][1][n:]),
             f'each of {n} owners has its share')


def death(t, v, dead, what, times):
    d = rates.death(v, dead, *times)
    rates.show_death(d)
    for name in ('write', 'read', 'other'):
        r = d.ratio(name, d.kill, d.list)
        t.ok(r >= STEADY, f'{what} dies: {rates.NAMES[name]} go on until the list '
             f'at {r:.2f} of the rate before')
        r = d.ratio(name, d.list, d.end)
        t.ok(r >= STEADY, f'and after it at {r:.2f}')
        gap = d.gap(name)
        t.ok(gap < 0.5 * (d.list - d.kill), f'never longer than {gap:.2f} s '
             'without one')
    t.is_(d.misses, 0, 'a survivor that has confirmed I/O only asks nobody')
    held = d.held()
    t.ok(held, f'{len(held)} first writes wait for the list')
    t.ok(held and max(held) < lib.slow(), 'all of them end within '
         f'{max(held, default=99):.2f} s of it')
    r = d.ratio('walk', d.list + 1, d.end)
    t.ok(r >= STEADY, f'and first writes go on at {r:.2f} of the rate before')


def main():
    with fclock.test(rates.DISKS, memory=False) as (t, c):
        v = rates.Slow(c)
        v.up()
        owners(t, v)
        stage('owners')
        for i in (2, 3):
            c[i].sh(v.copy_command(0))
        v.until(lambda: len(v.owners()) == 3, 30)
        death(t, v, 2, 'an owner', (5, 8, 13) if FULL else (3, 5, 8))
        stage('the death of an owner')
        if FULL:
            c[2].start()
            v.prepare(2)
            v.start(2, wait=False)
            v.message(1, f'members {v.status(1)["epoch"] + 1} 1,2,3')
            v.wait_connected()
            death(t, v, 1, 'the primary', (5, 8, 13))


if __name__ == '__main__':
    main()
