# SPDX-License-Identifier: GPL-2.0-only
"""Runs in the guest: devices, measurements, tables.

All stacks stand over memory disks of one kind, so that they differ in nothing
but the target. In each round everything is measured once; the speed of a stack is
divided by that of dm-linear just before and after it.
"""
import argparse
import subprocess
import sys
import time

import fio

MIB = 2048                      # sectors
SIZE = 64 * MIB
GRAIN = 128
USED = f'{SIZE // 2 - 1024}k'
SMALL = 64                      # grain of the cache with many runs
DISKS = 24
BIG = 16 << 10                  # MiB, what the memory disks say they have
META_PIECE = 65 * MIB


def sh(*words):
    p = subprocess.run(words, text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    if p.returncode:
        log = subprocess.run(['dmesg'], text=True, stdout=subprocess.PIPE)
        print('\n'.join(log.stdout.splitlines()[-8:]))
        raise SystemExit(f'{" ".join(words)}: {p.stdout.strip()}')
    return p.stdout


def create(name, table, size=SIZE):
    sh('dmsetup', 'create', name, '--table', f'0 {size} {table}')
    return name


def message(name, *words):
    sh('dmsetup', 'message', name, '0', *words)


def status(name):
    """The words name=value of a status line."""
    words = sh('dmsetup', 'status', name).split()
    return dict(w.split('=', 1) for w in words if '=' in w)


def wait_active(name, seconds=60, slots=True):
    """Formatting a large M takes a while, and nothing can be asked before."""
    end = time.monotonic() + seconds
    while sh('dmsetup', 'status', name).split()[3] != 'active' or \
            slots and status(name)['slots'] == '-':
        if time.monotonic() > end:
            raise SystemExit(f'{name} is not active after {seconds} s')
        time.sleep(0.05)


def fill(device, **options):
    """Writes all of a device once, or what the options say."""
    return fio.run([device], {'rw': 'write', 'bs': '1m',
                              'size': f'{SIZE // 2}k', **options})[0]


# ---- what is measured ----

class Devices:
    """Makes each stack when it is asked for first."""

    def __init__(self):
        # they take memory for what was written only
        sh('modprobe', 'brd', f'rd_nr={DISKS}', f'rd_size={BIG << 10}',
           'max_part=0')
        # else some jobs of fio get huge pages for their buffers, others none
        with open('/sys/kernel/mm/transparent_hugepage/enabled', 'w') as f:
            f.write('never')
        self.disks = (f'/dev/ram{i}' for i in range(DISKS))
        self.made = set()
        self.pieces = 0
        self.meta = next(self.disks)
        self.base = next(self.disks)
        create('lin', f'linear {self.base} 0')
        fill('lin')

    def __call__(self, *names):
        for name in names:
            kind = name.removesuffix('-copy')
            if kind not in self.made:
                self.made.add(kind)
                getattr(self, kind)()
        return list(names)

    def metadata(self, size=4 * MIB + 128):
        """A piece of the metadata disk that is all zero."""
        name = f'm{self.pieces}'
        at = self.pieces * META_PIECE
        self.pieces += 1
        return '/dev/mapper/' + create(name, f'linear {self.meta} {at}', size)

    def volume(self, name, *features, copy=True, size=SIZE,
               meta=4 * MIB + 128):
        m, a = self.metadata(meta), next(self.disks)
        words = ' '.join(features)
        create(name, f'fclock-origin {m} {a} 1 {len(features)} {words}', size)
        if copy:
            create(f'{name}-copy', f'fclock-copy {m} 0 {next(self.disks)}',
                   size)
            wait_active(name)
            message(name, 'trigger', '0')

    def idle(self):
        self.volume('idle', 'grain_size', str(GRAIN), copy=False)
        fill('idle')

    def split_all(self, name):
        """All but the last grain: a complete copy needs no cache."""
        fill(name, size=USED)
        fill(f'{name}-copy', rw='read', size=USED)

    def one(self):
        self.volume('one', 'grain_size', str(GRAIN))
        self.split_all('one')

    def none(self):
        self.volume('none', 'grain_size', str(GRAIN), 'cache_limit', '0')
        self.split_all('none')

    def many(self):
        self.volume('many', 'grain_size', str(SMALL))
        every = {'bs': '4k', 'number_ios': SIZE // SMALL // 2}
        fill('many', rw='write:60k', **every)
        fill('many-copy', rw='read:60k', **every)

    def snap(self):
        self.cow = next(self.disks)
        create('snap', f'snapshot-origin {self.base}')
        self.new_snapshot()
        fill('snap')

    def new_snapshot(self):
        if 'snap-copy' in sh('dmsetup', 'ls'):
            sh('dmsetup', 'remove', 'snap-copy')
        sh('dd', 'if=/dev/zero', f'of={self.cow}', 'bs=64k', 'count=2',
           'oflag=direct')
        sh('dmsetup', 'suspend', 'snap')
        create('snap-copy', f'snapshot {self.base} {self.cow} P {GRAIN}')
        sh('dmsetup', 'resume', 'snap')

    def thin(self):
        meta = self.metadata(16 * MIB)
        create('pool', f'thin-pool {meta} {next(self.disks)} {GRAIN} '
               '0 1 skip_block_zeroing', 4 * SIZE)
        message('pool', 'create_thin 0')
        create('thin', 'thin /dev/mapper/pool 0')
        fill('thin')
        sh('dmsetup', 'suspend', 'thin')
        message('pool', 'create_snap 1 0')
        sh('dmsetup', 'resume', 'thin')
        create('thin-copy', 'thin /dev/mapper/pool 1')
        fill('thin')


NAMES = {
    'idle': 'fclock-origin, no copy active',
    'one': 'fclock-origin, all confirmed in one run',
    'many': 'fclock-origin, all confirmed in %s runs',
    'none': 'fclock-origin, cache_limit 0',
    'snap': 'dm-snapshot origin, all copied',
    'thin': 'dm-thin, all sharing broken',
    'one-copy': 'fclock-copy, all confirmed in one run',
    'many-copy': 'fclock-copy, all confirmed in %s runs',
    'none-copy': 'fclock-copy, cache_limit 0',
    'snap-copy': 'dm-snapshot, all copied',
    'thin-copy': 'dm-thin snapshot, all sharing broken',
}
RANDOM = {'bs': '4k', 'norandommap': 1}
# one 4 KiB block out of every second grain: what the many runs cover
EVERY = {**RANDOM, 'blockalign': f'{SMALL}k'}
# by number, for with so few it matters where the last batch ends
BULK = {'bs': '1m', 'io_size': '512m'}

PATHS = {
    'write-a': ('4 KiB random writes of A', 'randwrite', RANDOM,
                ['idle', 'one', 'none', 'snap', 'thin']),
    'write-a-runs': ('4 KiB random writes of every second 32 KiB of A',
                     'randwrite', EVERY, ['one', 'many']),
    'read-a': ('4 KiB random reads of A', 'randread', RANDOM,
               ['idle', 'one', 'snap', 'thin']),
    'read-b': ('4 KiB random reads of B', 'randread', RANDOM,
               ['one-copy', 'none-copy', 'snap-copy', 'thin-copy']),
    'read-b-runs': ('4 KiB random reads of every second 32 KiB of B',
                    'randread', EVERY, ['one-copy', 'many-copy']),
    'write-b': ('4 KiB random writes of B', 'randwrite', RANDOM,
                ['one-copy', 'snap-copy']),
    'bulk-write-a': ('1 MiB sequential writes of A', 'write', BULK,
                     ['idle', 'one', 'snap', 'thin']),
    'bulk-read-b': ('1 MiB sequential reads of B', 'read', BULK,
                    ['one-copy', 'snap-copy', 'thin-copy']),
}


def origins(names):
    """The fclock-origins behind these devices."""
    return {n.removesuffix('-copy') for n in names} & {'one', 'many', 'none'}


class Counters:
    """Shows that I/O went the way that the table says it went."""

    def __init__(self, names):
        self.names = origins(names)
        for name in self.names:
            message(name, 'reset_stats')

    def check(self, reads_a):
        """@reads_a: these ask nobody and count nowhere."""
        for name in self.names:
            st = status(name)
            hits, misses = int(st['cache_hits']), int(st['cache_misses'])
            wrong = hits if name == 'none' else misses
            if wrong or bool(hits + misses) == reads_a:
                raise SystemExit(f'{name}: {hits} hits, {misses} misses')


def paths(devices, key, args):
    title, rw, options, others = PATHS[key]
    bulk = PATHS[key][2] is BULK
    # the first one is for nothing: it pays for what happens only once
    jobs = ['lin', *fio.order(devices(*others), 'lin'), devices.base]
    options = {'rw': rw, **options, 'size': USED}
    if not bulk:
        options.update(time_based=1, runtime=f'{args.time}ms')
    counters = Counters(others)
    table = fio.Table(f'{title}; dm-linear = 1')
    for _ in range(args.rounds):
        times = fio.run(jobs, options)
        for name, took, lin in fio.beside(jobs[1:], times[1:], 'lin'):
            # what dm-linear adds to 1 MiB is too little to divide by
            layer = None if bulk else (took - times[-1]) / (lin - times[-1])
            table.add(name, lin / took, layer)
    counters.check(key == 'read-a')
    table.show({n: NAMES[n] % runs(n) if '%' in NAMES[n] else NAMES[n]
                for n in others})


def runs(name):
    """Cached runs of the map that this device uses: half of all there are."""
    return int(status(name.removesuffix('-copy'))['cache_runs']) // 2


# ---- first writes ----

FIRST = {
    '4 KiB in each grain, in order': {'rw': 'write:60k', 'bs': '4k'},
    '64 KiB, in order': {'rw': 'write', 'bs': '64k'},
    '64 KiB, at random': {'rw': 'randwrite', 'bs': '64k'},
}


def first(devices, args):
    devices('one', 'snap')
    jobs = fio.order(['one', 'snap'], 'lin')
    for title, options in FIRST.items():
        table = fio.Table(f'first writes of grains of A, {title}; '
                          'dm-linear = 1')
        for _ in range(args.rounds):
            message('one', 'trigger', '0')
            devices.new_snapshot()
            message('one', 'reset_stats')
            times = fio.run(jobs, {**options, 'size': f'{SIZE // 2}k',
                                   'number_ios': SIZE // GRAIN})
            for name, took, lin in fio.beside(jobs, times, 'lin'):
                table.add(name, lin / took)
            table.add('both', times[2] / times[1])
            st = status('one')
            if int(st['grains_copied']) != SIZE // GRAIN:
                raise SystemExit(f'first writes: {st["grains_copied"]} grains')
            table.add('commit', SIZE // GRAIN / int(st['commits']))
        table.show({'one': 'fclock-origin', 'snap': 'dm-snapshot',
                    'both': 'fclock-origin; dm-snapshot = 1',
                    'commit': 'fclock-origin, grains in one commit'})


# ---- background copy ----

RATES = (1024, 4096, 16384)    # KiB/s
MISSES = 256


def misses(rate):
    """(seconds for one, grains copied beside them)"""
    message('one', 'copy_rate', '0', str(rate))
    message('one', 'trigger', '0')
    message('one', 'reset_stats')
    took = fio.run(['one'], {'rw': 'randwrite', 'bs': '64k', 'iodepth': 1,
                             'size': f'{SIZE // 2}k', 'number_ios': MISSES})[0]
    st = status('one')
    message('one', 'copy_rate', '0', '0')
    return took, int(st['grains_copied']) - MISSES


def background(devices, args):
    """Misses that meet a grain copied already are fewer than one in four."""
    devices('one')
    table = fio.Table('first writes of grains of A, 64 KiB, at random, '
                      'one at a time; copy_rate 0 = 1')
    for _ in range(args.rounds):
        for rate in RATES:
            before, none = misses(0)
            took, beside = misses(rate)
            after, _ = misses(0)
            if none or beside < 1 or beside > MISSES:
                raise SystemExit(f'rate {rate}: {beside} grains beside')
            table.add(rate, (before + after) / 2 / took)
            table.add(-rate, beside / MISSES)
    table.show({n: t for r in RATES for n, t in (
        (r, f'copy_rate {r}'), (-r, '  grains copied beside one write'))})


# ---- triggers ----

def trigger_us(name, size):
    """Some grains split, then a trigger."""
    fill(name, rw='randwrite', bs='4k', blockalign='64k', number_ios=128,
         size=f'{size // 2}k', norandommap=1)
    message(name, 'trigger', '0')
    return int(status(name)['trigger_us'])


def trigger(devices, args):
    """Slices grow with the volume too: 64 and 1024."""
    small, big = (BIG // 16) * MIB, BIG * MIB
    devices.volume('small', 'grain_size', str(GRAIN), size=small)
    devices.volume('big', 'grain_size', str(GRAIN), size=big,
                   meta=64 * MIB + 128)
    pairs = 8 * args.rounds
    # a gate waits for grace periods of RCU, which take what they take
    table = fio.Table(f'trigger_us of {BIG // 1024} GiB; '
                      f'{BIG // 16 // 1024} GiB = 1; {pairs} triggers of each')
    for _ in range(pairs):
        us = trigger_us('small', small)
        table.add('big', trigger_us('big', big) / us)
    table.show({'big': 'fclock-origin, one copy'})


# ---- messages ----

def node(name, number, port, parts, copy, words):
    """A node of a volume, over device numbers of its own."""
    size = {'m': 4 * MIB + 128}
    own = {k: '/dev/mapper/' + create(f'{name}{number}-{k}', f'linear {d} 0',
                                      size.get(k, SIZE))
           for k, d in parts.items()}
    other = 3 - number
    args = ['listen', f'127.0.0.1:{port + number}', 'peer', str(other),
            f'127.0.0.1:{port + other}', 'cache_limit', '0', *words]
    create(f'{name}{number}', f'fclock-origin {own["m"]} {own["a"]} {number} '
           f'{len(args)} {" ".join(args)}')
    if copy:
        create(f'{name}{number}-copy', f'fclock-copy {own["m"]} 0 {own["b"]}')


def two_nodes(devices, name, port, *words):
    """A volume on two nodes of this kernel. The second one has no copy attached, so the
    first one owns everything, and all is split; it caches nothing, so each write through
    it is a LOCK_REQUEST and a LOCK_GRANT on the wire."""
    parts = {'m': devices.metadata(), 'a': next(devices.disks),
             'b': next(devices.disks)}
    node(name, 1, port, parts, True, words)
    wait_active(f'{name}1')
    message(f'{name}1', 'trigger', '0')
    fill(f'{name}1', size=USED)
    node(name, 2, port, parts, False, words)
    wait_active(f'{name}2', slots=False)


def messages(devices, args):
    sh('addkey', 'add', 'logon', 'fclock:bench',
       '0123456789abcdef0123456789abcdef')
    two_nodes(devices, 'plain', 7100)
    two_nodes(devices, 'keyed', 7200, 'key', 'fclock:bench')
    jobs = ['plain2', *fio.order(['keyed2'], 'plain2')]
    for depth in 1, 16:
        table = fio.Table('round trips of LOCK_REQUEST and LOCK_GRANT, '
                          f'{depth} at a time; no key = 1')
        for _ in range(2 * args.rounds):
            for name in 'plain2', 'keyed2':
                message(name, 'reset_stats')
            times = fio.run(jobs, {'rw': 'randwrite', **RANDOM, 'size': USED,
                                   'iodepth': depth, 'time_based': 1,
                                   'runtime': f'{args.time}ms'})
            for name, took, plain in fio.beside(jobs[1:], times[1:], 'plain2'):
                table.add(name, plain / took)
            for name in 'plain2', 'keyed2':
                st = status(name)
                asked = int(st['lock_requests'])
                if int(st['cache_hits']) or asked < 50 or \
                        int(st['msg_sent']) < asked:
                    raise SystemExit(f'{name}: {st}')
        table.show({'keyed2': 'with a key'})


OTHERS = {'first': first, 'background': background, 'trigger': trigger,
          'messages': messages}


def main():
    p = argparse.ArgumentParser()
    p.add_argument('groups', nargs='*')
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--time', type=int, default=200)
    p.add_argument('--list', action='store_true')
    args = p.parse_args()
    groups = [*PATHS, *OTHERS]
    if args.list:
        print('\n'.join(groups))
        return
    for group in args.groups or groups:
        if group not in groups:
            raise SystemExit(f'no group {group}: {" ".join(groups)}')
    print(f'{"median of " + str(args.rounds) + " rounds":<50}  speed'
          '    least - most    layer')
    devices = Devices()
    for group in args.groups or groups:
        if group in PATHS:
            paths(devices, group, args)
        else:
            OTHERS[group](devices, args)


if __name__ == '__main__':
    sys.exit(main())
