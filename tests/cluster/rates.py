# SPDX-License-Identifier: GPL-2.0-only
"""What several nodes show: I/O through an owner's death, and splits with more owners.

Used by rates_test.py, which asserts, and by tests/bench/run, which prints.
"""
import statistics
import time
from dataclasses import dataclass, field

from fclock import Bail, Volume, stage

GRAIN = 8                       # sectors
SECTORS = 65536                 # 8192 grains in 1024 slices
DISKS = {'a': '32M', 'b0': '32M', 'm': '66M'}
THREADS = 100                   # more than the splits that an owner has in flight

# Grains that are written with so many owners; at least 128 slices for each.
AREAS = {3: (0, 3600), 2: (3600, 2568), 1: (6168, 1024)}

CONFIRMED, WALKED = (0, 1024), (1024, 4096)     # grains


class Slow(Volume):
    """B and M behind a table that can be given a delay."""

    def __init__(self, cluster):
        super().__init__(cluster, slots=(0,), prefix='x')
        self.len = SECTORS
        self.args = {'grain_size': GRAIN}

    def prepare(self, i):
        """The disks of a node that has booted."""
        self.c[i].sh('''set -e; modprobe dm-delay; cd /dev/disk/fc
            ln -sf "$(readlink -f a)" xa
            for d in b0 m; do
                dmsetup create x$d --table \\
                    "0 $(blockdev --getsz $d) linear /dev/disk/fc/$d 0"
                ln -sf /dev/mapper/x$d x$d; done''')

    def up(self):
        for i in self.nodes:
            self.prepare(i)
        self.start_all()
        self.wait_connected()

    def delay(self, ms):
        """Each write and each flush takes so long from now on; 0: no longer."""
        kind = 'linear $disk 0' if not ms else \
            f'delay $disk 0 0 $disk 0 {ms} $disk 0 {ms}'
        for i in self.nodes:
            self.c[i].sh(f'''set -e
                for d in b0 m; do disk=/dev/disk/fc/$d
                    dmsetup load x$d --table "0 $(blockdev --getsz $disk) {kind}"
                    dmsetup suspend --noflush x$d; dmsetup resume x$d; done''')

    def owners(self):
        line = self.c[self.nodes[0]].sh('super newest /dev/disk/fc/m')
        bits = int(dict(w.split('=') for w in line.split()[1:])['owners'], 16)
        return [i for i in self.nodes if bits >> (i - 1) & 1]

    def pace(self, node, dev, how, area, mode, threads, rate, seconds, part=0,
             parts=1, seed=1):
        """Starts I/O on some grains, of which a part; see tests/tools/pace.c."""
        first, count = area
        return self.c[node].spawn(
            ['pace', f'/dev/mapper/{dev}', how, str((first + part) * GRAIN),
             str(count // parts), str(parts * GRAIN), mode, str(threads),
             str(rate), str(seconds), str(seed)])


def ended(job):
    """[(began, ended)] in seconds of that guest; no I/O may have failed."""
    r = job.wait(120)
    if r.rc:
        raise Bail(f'pace: {r.out[-300:]}')
    lines = [tuple(map(int, line.split())) for line in r.out.splitlines()]
    if bad := [x for x in lines if x[2]]:
        raise Bail(f'pace: {len(bad)} I/Os failed, with errors '
                   f'{sorted({x[2] for x in bad})}')
    return sorted((b / 1e6, e / 1e6) for b, e, _ in lines)


def per_second(ios, begin, end):
    return sum(begin <= e < end for _, e in ios) / (end - begin)


# ---- owners ----

def split_rates(v, delay, seconds):
    """Splits a second with 3, 2 and 1 owners: {owners: (rate, share of each)}."""
    rates = {}
    v.delay(0)
    v.message(1, 'trigger 0')
    v.delay(delay)
    for n in (3, 2, 1):
        if n < 3:       # without its copy a node is no owner
            v.c[n + 1].sh(f'dmsetup remove --retry {v.b}0')
        want = list(range(1, n + 1))
        if not v.until(lambda: v.owners() == want, 30):
            raise Bail(f'the owners are {v.owners()} and should be {want}')
        rates[n] = split_rate(v, n, seconds, delay / 2000)
        stage(f'{n} owners: {rates[n][0]:.0f} splits/s')
    v.delay(0)
    return rates


def steady(ios, begin, end, burst):
    """Ends a second of I/O that may end in bursts (commits): from the end of one
    burst to that of another."""
    ends = sorted(e for _, e in ios if begin <= e < end)
    if len(ends) < 8:
        raise Bail(f'only {len(ends)} writes in {end - begin:.1f} s')
    first = max(e for e in ends if e <= ends[0] + burst)
    after = [e for e in ends if e > first]
    return len(after) / (ends[-1] - first)


def split_rate(v, owners, seconds, burst, warm=1.0):
    """All nodes write all over the area of this number of owners."""
    copied = [v.status(i)['grains_copied'] for i in v.nodes]
    jobs = [v.pace(i, v.a, 'write', AREAS[owners], 'once', THREADS, 0, seconds,
                   i - 1, len(v.nodes), seed=owners) for i in v.nodes]
    rate = done = 0
    for job in jobs:
        ios = ended(job)
        if len(ios) >= AREAS[owners][1] // len(v.nodes):
            raise Bail('all grains are written: the delay is too short')
        begin = ios[0][0]
        rate += steady(ios, begin + warm, begin + seconds, burst)
        done += len(ios)
    copied = [v.status(i)['grains_copied'] - was
              for i, was in zip(v.nodes, copied)]
    if sum(copied) < done:
        raise Bail(f'{done} first writes, and {copied} grains were copied')
    return rate, [n / sum(copied) for n in copied]


def linear(rates, n):
    return rates[n][0] / rates[1][0] / n


def show_rates(rates, delay):
    print(f'\nsplits a second, by number of owners; writes and flushes of B and M '
          f'take {delay} ms', flush=True)
    for n in sorted(rates):
        rate, share = rates[n]
        print(f'  {n} owner{"s" * (n > 1)}   {rate / rates[1][0]:5.2f} times one '
              f'owner   {linear(rates, n):5.2f} of linear   slices of the nodes: '
              + ', '.join(f'{s:.0%}' for s in share), flush=True)


# ---- death ----

@dataclass
class Death:
    """When, in seconds since the load began on the survivor; and what it saw."""
    kill: float
    list: float
    end: float
    begin: float = 1.0          # of what counts as before
    ios: dict = field(default_factory=dict)
    misses: int = 0             # of the node that has only confirmed I/O
    told: float = 0             # when the list's message returned

    def before(self, name):
        return per_second(self.ios[name], self.begin, self.kill)

    def ratio(self, name, begin, end):
        """The rate of a while, divided by that before the death."""
        return per_second(self.ios[name], begin, end) / self.before(name)

    def gap(self, name):
        """The longest time without an end of I/O from the death on."""
        times = [self.kill] + [e for _, e in self.ios[name]
                               if self.kill <= e <= self.end] + [self.end]
        return max(b - a for a, b in zip(times, times[1:]))

    def held(self):
        """What began before the list and ended after it: how long after it."""
        return [e - self.list for b, e in self.ios['walk']
                if b < self.list - 0.3 and e > self.list]


NAMES = {'write': 'confirmed writes of A', 'read': 'confirmed reads of B',
         'other': 'confirmed writes of A, other survivor',
         'walk': 'first writes of A'}


def clock(node):
    return int(node.sh('stamp clock')) / 1e9


def death(v, dead, kill, list_at, end):
    """A node dies under load; the list comes later. Returns a Death. All nodes are
    up; the dead one stays down."""
    other, survivor = [i for i in v.nodes if i != dead]
    v.message(survivor, 'trigger 0')
    for i in (survivor, other):         # they know what is split
        for dev, how in ((v.a, 'of'), (f'{v.b}0', 'if')):
            v.c[i].sh(f'dd {how}=/dev/mapper/{dev} bs=1M count=4 '
                      f'{"if=/dev/zero oflag" if how == "of" else "of=/dev/null iflag"}'
                      '=direct conv=notrunc 2>/dev/null')
    for i in (survivor, other):
        v.message(i, 'reset_stats')
    epoch = v.status(survivor)['epoch'] + 1
    seconds = end + 0.5
    began = clock(v.c[survivor])
    jobs = {
        'write': v.pace(survivor, v.a, 'write', CONFIRMED, 'random', 2, 60,
                        seconds),
        'read': v.pace(survivor, f'{v.b}0', 'read', CONFIRMED, 'random', 2, 60,
                       seconds),
        'walk': v.pace(survivor, v.a, 'write', WALKED, 'once', 8, 60, seconds),
        'other': v.pace(other, v.a, 'write', CONFIRMED, 'random', 2, 60,
                        seconds),
    }
    offset = clock(v.c[other]) - clock(v.c[survivor])

    def until(t):
        time.sleep(max(0, began + t - clock(v.c[survivor])))

    until(kill)
    killed = clock(v.c[survivor])
    v.c[dead].kill()
    until(list_at)
    text = f'members {epoch} {min(other, survivor)},{max(other, survivor)}'
    listed = clock(v.c[survivor])
    too = v.c[other].spawn(f'dmsetup message {v.a} 0 {text}')
    told = v.c[survivor].sh(f'dmsetup message {v.a} 0 {text}; stamp clock')
    too.wait(60)
    d = Death(killed - began, listed - began, end)
    d.told = int(told) / 1e9 - began
    for name, job in jobs.items():
        shift = began + (offset if name == 'other' else 0)
        d.ios[name] = [(b - shift, e - shift) for b, e in ended(job)]
    d.misses = v.status(other)['cache_misses']
    return d


def show_death(d, step=0.5):
    """A table with bars: the rate of each while, before the death = 100."""
    print(f'\nI/O on a survivor; an owner dies at {d.kill:.1f} s, the members '
          f'list without it comes at {d.list:.1f} s', flush=True)
    print('rate of each half second; the mean before the death = 100')
    names = ('write', 'read', 'walk')
    print('     s  ' + '  '.join(f'{NAMES[n]:<26}' for n in names))
    t = step
    while t + step <= d.end + 1e-9:
        cells = []
        for n in names:
            r = 100 * d.ratio(n, t, t + step)
            cells.append(f'{r:4.0f} {"#" * round(min(r, 200) / 10):<21}')
        mark = '  <- dies' if t <= d.kill < t + step else \
            '  <- list' if t <= d.list < t + step else ''
        print((f'  {t:4.1f}  ' + '  '.join(cells)).rstrip() + mark,
              flush=True)
        t += step
    held = d.held()
    print(f'first writes that the death held: {len(held)}; they ended '
          f'{min(held, default=0):.2f} to {max(held, default=0):.2f} s after '
          f'the list ({statistics.median(held or [0]):.2f} s, median)')
    print('longest time without an end of confirmed I/O: ' + ', '.join(
        f'{d.gap(n):.2f} s ({NAMES[n]})' for n in ('write', 'read', 'other')))
    print(f'cache misses of the other survivor, whose I/O was all confirmed: '
          f'{d.misses}', flush=True)
