#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Starts a guest, runs guest.py in it; or three, for what takes several nodes; says
how to repeat that."""
import argparse
import os
import shlex
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / 'scripts'))
sys.path.insert(0, str(HERE.parent / 'cluster'))
sys.dont_write_bytecode = True
import rates  # noqa: E402
from vmlib import cluster as vm  # noqa: E402
from vmlib import qemu  # noqa: E402

MEM = 1536      # MiB: 0.8 GiB of memory disks, and the root


# The guest's clock counts its instructions, 8 ns each. Then what else this machine
# does, and how it shares caches and CPUs, does not show in the ratios.
CLOCKS = {'guest': "the guest's instructions", 'host': "this machine's"}
ICOUNT = ['-icount', 'shift=3']


def clock_options(args):
    """Options of the guest for --clock."""
    os.environ['FCLOCK_ACCEL'] = 'tcg'
    if args.clock == 'host':
        return []
    qemu.TCG[1] = 'tcg,thread=single'
    return ICOUNT


def other_load():
    """What the machine was busy with before the guest came."""
    return (f'load of this machine before: {os.getloadavg()[0]:.1f} on '
            f'{os.cpu_count()} CPUs')


def bench(args, words):
    load = other_load()
    began = time.monotonic()
    with vm.Cluster(n=1, mem=MEM, smp=args.smp, ttl=1800,
                    qemu_args=clock_options(args), net=False) as c:
        c[1].put(HERE / 'guest.py', '/root/guest.py')
        c[1].put(HERE / 'fio.py', '/root/fio.py')
        c[1].sh('load-fclock')

        def show(data):
            sys.stdout.buffer.write(data)
            sys.stdout.flush()

        job = c[1].spawn(['python3', '-B', '/root/guest.py', *words],
                         stdout=show, stderr=show)
        rc = job.wait(1500).rc
        kernel = c[1].sh('uname -r')
    print(f'\nkernel {kernel}, TCG, {args.smp} CPU, '
          f'clock: {CLOCKS[args.clock]}, {time.monotonic() - began:.0f} s')
    print(load)
    return rc


DELAY = 100     # ms


def owners(v):
    rates.show_rates(rates.split_rates(v, DELAY, 12), DELAY)


def death(v):
    rates.show_death(rates.death(v, 2, 5, 8, 13))


# On this machine's clock, whatever --clock says: several guests have no other.
NODES = {'owners': owners, 'death': death}


def bench_nodes(groups):
    """What takes three guests; each group has some of its own."""
    for group in groups:
        load = other_load()
        began = time.monotonic()
        with vm.Cluster(n=3, shared=rates.DISKS, ttl=1800) as c:
            v = rates.Slow(c)
            v.up()
            NODES[group](v)
            kernel = c[1].sh('uname -r')
        print(f'\nkernel {kernel}, 3 guests, {time.monotonic() - began:.0f} s; '
              f'{load}', flush=True)


def main():
    p = argparse.ArgumentParser(
        prog='tests/bench/run',
        description='Measures path costs as ratios to dm-linear.')
    p.add_argument('groups', nargs='*', metavar='GROUP',
                   help='what to measure (default: all)')
    p.add_argument('--rounds', type=int, metavar='N',
                   help='default: 3, with --clock host 5')
    p.add_argument('--time', type=int, metavar='MS',
                   help='of each measurement (default: 200, with --clock '
                   'host 400)')
    p.add_argument('--smp', type=int, default=1, metavar='N',
                   help="the guest's CPUs")
    p.add_argument('--clock', choices=CLOCKS, default='guest',
                   help='what time is: instructions of the guest, or that '
                   'of this machine (default: guest)')
    p.add_argument('--list', action='store_true', help='the groups')
    args = p.parse_args()
    host = args.clock == 'host'
    args.rounds = args.rounds or (5 if host else 3)
    args.time = args.time or (400 if host else 200)
    words = ['--rounds', str(args.rounds), '--time', str(args.time)]
    if args.list:
        print('\n'.join(NODES), flush=True)
        os.execlp('python3', 'python3', '-B', str(HERE / 'guest.py'), '--list')
    bench_nodes([g for g in args.groups or NODES if g in NODES])
    rest = [g for g in args.groups if g not in NODES]
    rc = bench(args, words + rest) if rest or not args.groups else 0
    again = ['tests/bench/run', *words, '--smp', str(args.smp),
             '--clock', args.clock, *args.groups]
    print(f'again: {shlex.join(again)}')
    return rc


if __name__ == '__main__':
    sys.exit(main())
