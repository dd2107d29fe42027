#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""One volume on three nodes: formation, locks, cache, links, dead peers, crashes."""
# timeout: 600
import errno
import itertools
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fclock  # noqa: E402
from fclock import Bail, Checker, Volume, stage  # noqa: E402

SIZE = '8M'
SECTORS = 16384
DISKS = {'a': SIZE, 'b0': SIZE, 'b1': SIZE, 'b2': SIZE, 'm': '20M'}
GRAIN = 128             # sectors: 128 grains
TIMEOUT = 3000          # ms, trigger_timeout


def reader(v, g, target=0):
    """A command that reads a grain and prints its checksum."""
    dev = v.a if target == 255 else f'{v.b}{target}'
    return (f'dd if=/dev/mapper/{dev} bs=64k skip={g} count=1 '
            'iflag=direct 2>/dev/null | cksum')


def read_grain(v, i, g, target=0, timeout=30):
    """Checksum of a grain as a node reads it."""
    got = v.c[i].sh(reader(v, g, target), timeout)
    if not got.endswith(f' {GRAIN * 512}'):     # cksum prints how much it was
        raise Bail(f'node {i} cannot read grain {g}: {got}')
    return got


def write_grain(k, i, g, target=255, n=1, wait=True):
    """Stamped 4 KiB writes over whole grains, by eight threads."""
    k.m.stop(i, 0)
    job = k._spawn('sweep', i, target, {'first': g * GRAIN, 'large': 8,
                                        'last': (g + n) * GRAIN, 'threads': 8})
    if not wait:
        return job
    ended(job)


def grain_of(v, owners, first):
    """The first grain from @first on that one of @owners owns."""
    sb = v.c[1].sh('super newest /dev/disk/fc/m')
    own = v.c[1].sh('super owners /dev/disk/fc/m').split(',')
    size = int(re.search(r' slice=(\d+)', sb)[1])
    g = first
    while int(own[g // size]) not in owners:
        g += 1
    return g


def ended(job, timeout=60):
    r = job.wait(timeout)
    if r.rc or ' errors=0 ' not in r.out:
        raise Bail(f'writer: {r.out}')


def reset(v, *nodes):
    for i in nodes or v.nodes:
        v.c[i].sh(f'dmsetup message {v.a} 0 reset_stats')


def trigger(t, k, i, slots, what):
    err, us = k.trigger(i, slots)
    return t.is_(errno.errorcode.get(err, err), 0, what)


def verdict(t, k, what):
    errors = k.errors()
    t.ok(not errors, what)
    t.diag('\n'.join(errors))


# ---- formation ----

def formation(t, c, rng):
    orders = list(itertools.permutations((1, 2, 3)))
    for n, order in enumerate([(3, 2, 1)] + rng.sample(orders, 3)):
        v = Volume(c, slots=(0,))
        v.len = SECTORS
        v.args = {'trigger_timeout': TIMEOUT}
        if n % 2 == 0:
            v.wipe()
        early = []
        for i in order:
            if i == 1:
                early = [v.status(j)['state'] for j in order[:order.index(1)]]
                for j in order[:order.index(1)]:
                    v.c[j].sh(f'dd if=/dev/mapper/{v.a} of=/dev/null bs=64k '
                              'count=4 iflag=direct 2>/dev/null')
            v.start(i, wait=False)
        v.wait_connected()
        waits = set(early) <= {'suspended'}
        t.ok(waits, f'the nodes start in order {order}, '
             f'{"M is new" if n % 2 == 0 else "M was used"}: active when node 1 '
             'is there, reads of A before')
        if not waits:
            t.diag(str(early))
        if n == 0:
            refused_twice(t, v)
        for i in rng.sample(v.nodes, 3):
            v.remove(i)
    t.is_(v.c[1].sh('dmsetup ls'), 'No devices found', 'nothing is left')


def refused_twice(t, v):
    at = len(v.c[2].log())
    r = v.c[2].run(f"dmsetup create again --table '{v.table(2)}'")
    t.ok(r.rc, 'a second fclock-origin on the same M is refused')
    t.like(v.c[2].log()[at:], 'already has an fclock-origin',
           'for this reason')


def ip6(t, c, rng):
    v = Volume(c, slots=(0,), ip6=True)
    v.len = SECTORS
    v.wipe()
    v.start_all()
    v.wait_connected()
    k = Checker(v, rng)
    write_grain(k, 1, 0, n=128)
    trigger(t, k, 2, [0], 'IPv6: a trigger from node 2')
    write_grain(k, 3, 0, n=128)
    k.check(k.scan(1, 0))
    verdict(t, k, 'IPv6: node 1 reads the copy of what node 3 has overwritten')
    v.remove_all()


# ---- locks and cache ----

def recalled(v, k):
    """Node 2 reads grains 5 and 6 on and on, as a lock that nobody uses for 2 s is given
    back, and node 3 writes 5. Returns the statuses before and after."""
    job = v.c[2].spawn(['fio', '--name=r', f'--filename=/dev/mapper/{v.b}0',
                        '--direct=1', '--rw=randread', '--thread', '--time_based',
                        '--runtime=1000', '--thinktime=20000',
                        f'--offset={5 * GRAIN * 512}', f'--size={2 * GRAIN * 512}'])
    for _ in range(2):          # by then it has read both
        reset(v)
        v.until(lambda: v.status(2)['cache_misses'] >= 10, 60)
    held = v.copy_status(2, 0)['shared_locks']
    before = v.status(2)
    write_grain(k, 3, 5)
    after = {i: v.status(i) for i in (2, 1, 3)}
    job.kill()
    job.wait()
    return held, before, after


def recalls(t, v, k):
    k.sweep()
    trigger(t, k, 1, [0], 'trigger of slot 0')
    was = read_grain(v, 2, 5)
    held, before, s = recalled(v, k)
    t.ok(held, 'a read of the copy holds a shared lock')
    t.is_(before['lock_requests'], 0, 'a held lock serves further reads')
    t.is_(s[2]['release_requests'], 1,
          'eight writers at a grain cost its reader one RELEASE_REQUEST')
    t.is_(s[2]['releases'], 1, 'which it answers with one RELEASED')
    t.is_(s[3]['release_requests'] + s[1]['release_requests'], 0,
          'nobody else is asked')
    t.is_(sum(s[i]['grains_copied'] for i in s), 1, 'the grain is copied once')
    t.is_(read_grain(v, 2, 5), was, 'the reader sees the old data')
    gone = v.until(lambda: not v.copy_status(2, 0)['shared_locks'], 8)
    t.ok(gone, 'an unused shared lock is given back by itself')


def hold_time(t, v, k):
    """A lock that is recalled as soon as it is there is held for a while."""
    trace = '/sys/kernel/tracing'
    v.c[2].sh(f'mountpoint -q {trace} || mount -t tracefs t {trace}; '
              f'echo 1 >{trace}/events/fclock/fclock_lock/enable; '
              f'echo >{trace}/trace')
    held = []
    for _ in range(5):          # it is chance whether a lock is recalled
        scan = k.scan(2, 0, threads=4, wait=False)
        jobs = [write_grain(k, i, (i - 1) * 42, n=42, wait=False)
                for i in v.nodes]
        for job in jobs:
            ended(job)
        k.check(scan.wait())
        held = held_when_recalled(v.c[2].sh(f'cat {trace}/trace'))
        if held:
            break
        trigger(t, k, 1, [0], 'no lock was recalled: once more')
    v.c[2].sh(f'echo 0 >{trace}/events/fclock/fclock_lock/enable')
    if not t.ok(held, 'locks are recalled'):
        return
    t.ok(min(held) > 0.015, f'{len(held)} recalled locks were held for at '
         f'least {min(held) * 1000:.0f} ms')


def held_when_recalled(text):
    """How long node 2 held each lock that another node recalled. What it says as an
    owner has the other node's number and an id of that one: both may be the same, and
    then there are two grants."""
    granted, recalled, held = {}, set(), []
    for m in re.finditer(r' (\d+\.\d+): fclock_lock: node=2 peer=(\d+) (\w+) '
                         r'id=(\w+)', text):
        at, lock = float(m[1]), (m[2], m[4])
        if m[3] == 'grant':
            granted.setdefault(lock, []).append(at)
        elif m[3] == 'recall':
            recalled.add(lock)
        elif m[3] == 'released' and lock in recalled:
            held.append((lock, at))
    return [at - granted[lock][0] for lock, at in held
            if len(granted.get(lock, ())) == 1]


def hits(t, v, k):
    """Confirmed grains cost no message."""
    trigger(t, k, 2, [0], 'trigger of slot 0')
    write_grain(k, 3, 40, n=8)
    k.m.stop(3, 0)
    reset(v)
    began = time.monotonic()
    job = k._spawn('write', 3, 255, {'first': 40 * GRAIN, 'last': 48 * GRAIN,
                                     'seconds': 2, 'threads': 4})
    done = int(re.match(r'writes=(\d+) errors=0', job.wait(60).out)[1])
    took = time.monotonic() - began
    s = v.status(3)
    t.ok(s['cache_hits'] >= done and not s['cache_misses'],
         f'{done} writes of confirmed grains are {s["cache_hits"]} cache hits')
    t.is_(s['lock_requests'], 0, 'they ask nobody')
    t.ok(s['msg_sent'] <= 2 * (took + 3), f'{s["msg_sent"]} messages in '
         f'{took:.1f} s: only pings')


def cold_walk(t, v, k):
    """A client that knows nothing walks a split volume."""
    trigger(t, k, 2, [0], 'trigger of slot 0')
    write_grain(k, 1, 0, n=100)
    v.c[2].sh(f'dmsetup message {v.a} 0 drop_cache')
    t.is_(v.status(2)['cache_runs'], 0, 'drop_cache forgets every confirmation')
    reset(v)
    walk = (f'dd if=/dev/mapper/{v.b}0 of=/dev/null bs=64k count=100 '
            'iflag=direct 2>/dev/null')
    v.c[2].sh(walk)
    s = v.status(2)
    t.ok(1 <= s['lock_requests'] <= 40, 'a cold walk over 100 split grains '
         f'costs {s["lock_requests"]} requests')
    t.is_(sum(v.status(i)['grains_copied'] for i in v.nodes), 0,
          'and copies nothing')
    write_grain(k, 3, 90, n=38)
    t.ok(v.until(lambda: [v.copy_status(i, 0)['state'] for i in v.nodes] ==
                 ['complete'] * 3, 8),
         'when all grains are split the copy is complete on all nodes')
    v.c[2].sh(f'dmsetup message {v.a} 0 drop_cache')
    reset(v)
    v.c[2].sh(walk)
    write_grain(k, 2, 0, n=2)
    t.is_(v.status(2)['lock_requests'], 0,
          'then nobody asks anybody, cache or not')
    k.check(k.scan(3, 0))


def limits(t, v, k, rng):
    """cache_limit and the shrinker; wrong cache content would show in A or B."""
    trigger(t, k, 3, [0, 1], 'trigger of slots 0 and 1 from node 3')
    v.c[3].sh(f"dmsetup suspend {v.a} && dmsetup load {v.a} --table "
              f"'{v.table(3, cache_limit=0)}' && dmsetup resume {v.a}")
    write_grain(k, 3, 0, n=2)
    reset(v)
    k.m.stop(3, 0)
    job = k._spawn('sweep', 3, 255, {'first': 0, 'last': 2 * GRAIN, 'large': 8,
                                     'threads': 2})
    ended(job)
    s = v.status(3)
    t.is_((s['lock_requests'], s['cache_hits']), (32, 0),
          'with cache_limit 0 each of 32 writes asks')
    v.c[3].sh(f"dmsetup suspend {v.a} && dmsetup load {v.a} --table "
              f"'{v.table(3, cache_limit=1)}' && dmsetup resume {v.a}")
    jobs = [k.write(3, threads=3, grain=GRAIN, large=0),
            k.write(2, 0, threads=2, grain=GRAIN)]
    most = 0
    for n in range(12):
        most = max(most, v.status(3)['cache_bytes'])
        if n % 4 == 3:
            v.c[2].sh('echo 2 >/proc/sys/vm/drop_caches')
    k.stop()
    t.ok(most <= 1024 and len(jobs) == 2,
         f'with cache_limit 1 the cache took {most} bytes at most')
    for s in (0, 1):
        k.check(k.scan(rng.choice(v.nodes), s))
    trigger(t, k, 2, [2], 'trigger of slot 2')
    write_grain(k, 2, 30, n=2)
    write_grain(k, 2, 90, n=2)
    before = v.status(2)['cache_bytes']
    v.c[2].sh('for i in 1 2 3; do echo 2 >/proc/sys/vm/drop_caches; done')
    after = v.status(2)['cache_bytes']
    t.ok(after < before, f'the shrinker takes {before} bytes down to {after}')
    for s in (0, 1, 2):
        k.check(k.scan(rng.choice(v.nodes), s))
    k.check(k.scan(1, 255))
    verdict(t, k, 'the copies and A are right after all that')
    v.c[3].sh(f"dmsetup suspend {v.a} && dmsetup load {v.a} --table "
              f"'{v.table(3)}' && dmsetup resume {v.a}")


# ---- links ----

def splits(v):
    """Of all slots, as the owners count them."""
    time.sleep(1.5)             # the others' counts are a second old
    return sum(int(str(v.copy_status(1, s)['split']).split('/')[0])
               for s in (0, 1, 2))


def reconnect(t, v, k, rng):
    trigger(t, k, 2, [0, 1, 2], 'trigger of three slots')
    write_grain(k, 3, 100, n=20)        # confirmed on node 3 from now on
    reset(v)
    before = splits(v)
    for i in v.nodes:
        k.write(i, threads=3, grain=GRAIN, last=90 * GRAIN, pause=1000)
    time.sleep(0.5)
    v.c.cut(3)
    time.sleep(1)
    k.m.stop(3, 0)
    sure = k._spawn('write', 3, 255, {'first': 100 * GRAIN, 'seconds': 3,
                                      'last': 120 * GRAIN, 'threads': 2})
    m = re.match(r'writes=(\d+) errors=0', sure.wait(60).out)
    t.ok(m and int(m[1]) > 10, 'node 3 is cut off and goes on writing confirmed '
         f'grains ({m and m[1]} writes)')
    down = v.until(lambda: v.status(1)['connected'] == 1, 15)
    t.ok(down, 'node 1 sees that the link is gone')
    t.ok(v.copy_status(1, 0)['state'] == 'active', 'nothing was given up')
    v.c.heal(3)
    v.wait_connected()
    time.sleep(0.5)
    said = k.stop()
    t.is_([s['errors'] for _, s in said], [0, 0, 0], 'no write failed')
    copied = sum(v.status(i)['grains_copied'] for i in v.nodes)
    t.is_(copied, splits(v) - before, 'every grain was copied once for each slot')
    for s in (0, 1, 2):
        k.check(k.scan(rng.choice(v.nodes), s))
    k.check(k.scan(2, 255))
    verdict(t, k, 'A and three copies are right after the link came back')


def flaky_link(t, v, k, rng):
    """Many short cuts under load: nothing is lost or done twice."""
    trigger(t, k, 1, [1], 'trigger of slot 1')
    for i in v.nodes:
        k.write(i, threads=3, grain=GRAIN, pause=1000)
    k.write(2, 1, threads=1, grain=GRAIN, pause=2000)
    for _ in range(6):
        i = rng.choice((2, 3))
        v.c.cut(i)
        time.sleep(rng.uniform(0.1, 1.2))
        v.c.heal(i)
        time.sleep(rng.uniform(0.1, 0.5))
    v.wait_connected()
    said = k.stop()
    t.is_(sum(s['errors'] for _, s in said), 0,
          'a link that comes and goes fails no write')
    k.check(k.scan(3, 1))
    k.check(k.scan(1, 255))
    verdict(t, k, 'A and the copy are right')


# ---- peers that do not answer ----

def generations(v, s, nodes):
    return [v.copy_status(i, s)['generation'] for i in nodes]


def cut_peer(t, v, k):
    """A trigger while a peer cannot be reached."""
    was = generations(v, 0, v.nodes)
    write_grain(k, 1, 100, n=20)        # else it may wait for node 3
    k.write(1, threads=2, grain=GRAIN, pause=2000, first=100 * GRAIN,
            last=120 * GRAIN)
    at = {i: len(v.c[i].log()) for i in (1, 2)}
    v.c.cut(3)
    began = time.monotonic()
    err, us = k.trigger(2, [0])
    t.ok(err and us < (TIMEOUT + 2500) * 1000,
         f'a trigger with a cut link fails within its time '
         f'({errno.errorcode.get(err, err)}, {us / 1e6:.1f} s)')
    t.is_(generations(v, 0, (1, 2)), was[:2], 'and changes nothing')
    t.like(v.c[2].log()[at[2]:], 'trigger 0 failed: node 3 ',
           'the log names node 3')
    v.until(lambda: v.status(1)['connected'] == 1, 15)
    err, us = k.trigger(1, [0])
    t.ok(err and us < 1000000, 'when it is known to be gone a trigger is refused '
         f'at once ({errno.errorcode.get(err, err)}, {us / 1000:.0f} ms)')
    t.like(v.c[1].log()[at[1]:], 'trigger 0 failed: node 3 is not connected',
           'and the log names it')
    t.ok(time.monotonic() - began < 60, 'all in a minute')
    before = k.m.records(1)
    time.sleep(0.5)
    t.ok(k.m.records(1) > before, 'I/O goes on')
    v.c.heal(3)
    v.wait_connected()
    k.stop()
    trigger(t, k, 3, [0], 'after healing a trigger from that node succeeds')
    new = generations(v, 0, v.nodes)
    t.ok(len(set(new)) == 1 and new[0] > was[0], 'with one new generation')
    k.check(k.scan(2, 0))
    verdict(t, k, 'the copy is right')


def frozen_reader(t, v, k):
    """Node 3 is frozen while it holds a shared lock; a trigger times out; the
    grain is written: the write waits, and the reader sees the right data."""
    trigger(t, k, 1, [0], 'trigger of slot 0')
    was = read_grain(v, 3, 70)
    loop = v.c[3].spawn(
        f'for i in $(seq 30); do dd if=/dev/mapper/{v.b}0 bs=64k skip=70 '
        'count=1 iflag=direct 2>/dev/null | cksum; done')
    v.until(lambda: loop.out, 20)
    v.c[3].freeze()
    try:
        job = write_grain(k, 2, 70, wait=False)
        err, us = k.trigger(1, [1])
        t.ok(err, 'with a frozen peer a trigger of another slot fails '
             f'({errno.errorcode.get(err, err)}, {us / 1e6:.1f} s)')
        write_grain(k, 1, grain_of(v, (1, 2), 72))
        t.ok(True, 'a write of a grain that nobody reads goes on')
        t.is_(job.poll(), None, 'a write of the grain that is read waits')
    finally:
        v.c[3].thaw()
    ended(job)
    sums = set(loop.wait(60).out.splitlines())
    t.is_(sums, {was}, 'the frozen reader saw the right data all the time')
    v.wait_connected()
    t.is_(read_grain(v, 3, 70), was, 'and so does who asks now')
    k.check(k.scan(3, 0))
    verdict(t, k, 'the copy is right')


def killed_peer(t, v, k, rng):
    """Guest 3, then guest 1, the primary, crashes; all are owners."""
    trigger(t, k, 2, [0, 1], 'trigger of slots 0 and 1')
    for i in v.nodes:
        write_grain(k, i, 0, n=64)      # confirmed: else they wait for the dead
    for i in v.nodes:
        k.write(i, threads=2, grain=GRAIN, last=64 * GRAIN, pause=2000)
    time.sleep(0.5)
    k.crash(3)
    err, us = k.trigger(1, [2])
    t.ok(err and us < (TIMEOUT + 2500) * 1000, 'with a dead peer a trigger '
         f'fails in time ({errno.errorcode.get(err, err)}, {us / 1e6:.1f} s)')
    before = k.m.records(2)
    time.sleep(0.3)
    t.ok(k.m.records(2) > before, 'the others go on writing')
    v.c[3].start()
    v.start(3)
    v.wait_connected()
    stage('node 3 is back')
    trigger(t, k, 3, [2], 'node 3 is back as a new instance and triggers')
    write_grain(k, 2, 110, n=4)
    k.m.stop(2, 0)
    k.crash(1)
    m = re.match(r'writes=(\d+) errors=0', k._spawn('write', 2, 255, {
        'first': 110 * GRAIN, 'last': 114 * GRAIN, 'seconds': 3,
        'threads': 2}).wait(60).out)
    t.ok(m and int(m[1]) > 10, 'without an owner node 2 goes on with confirmed '
         f'grains ({m and m[1]} writes)')
    v.c[1].start()
    v.start(1)
    v.wait_connected()
    stage('node 1 is back')
    said = k.stop()
    t.is_([s['errors'] for _, s in said], [0] * len(said), 'no write failed')
    for s in (0, 1, 2):
        k.check(k.scan(rng.choice(v.nodes), s))
    k.check(k.scan(1, 255))
    verdict(t, k, 'A and three copies are right')


def all_killed(t, v, k, rng):
    trigger(t, k, 1, [0, 2], 'trigger of slots 0 and 2')
    for i in v.nodes:
        k.write(i, threads=3, grain=GRAIN, pause=500, large=256)
    k.write(2, 0, threads=1, grain=GRAIN, pause=3000)
    time.sleep(2)
    for i in v.nodes:
        k.crash(i)
    v.c.power_cycle()
    stage('all guests were killed and are up again')
    v.start_all(rng.sample(v.nodes, 3))
    v.wait_connected()
    for s in (0, 1, 2):
        k.check(k.scan(rng.choice(v.nodes), s))
    k.check(k.scan(3, 255))
    verdict(t, k, 'all guests were killed under load: A and the copies are right')
    v.remove(2)
    v.c.reboot()
    v.start_all(rng.sample(v.nodes, 3))
    v.wait_connected()
    k.sweep()
    for s in (0, 1, 2):
        k.check(k.scan(rng.choice(v.nodes), s))
    verdict(t, k, 'all guests were rebooted, and A overwritten: the same')


def bad_path(t, v, k):
    """B fails on one owner's path: offline everywhere, A goes on."""
    v.remove_all()
    v.wipe(data=True)
    for i in v.nodes:
        v.c[i].sh(f'dmsetup create path --table "0 {SECTORS} linear '
                  '/dev/disk/fc/b1 0"')
        v.start(i, slots=(0,), wait=False)
        v.c[i].sh(v.copy_command(1).replace('/dev/disk/fc/b1',
                                            '/dev/mapper/path'))
    v.wait_connected()
    k = Checker(v, k.rng)
    k.sweep()
    trigger(t, k, 3, [0, 1], 'trigger of slots 0 and 1')
    good, bad = grain_of(v, (1, 3), 9), grain_of(v, (2,), 9)
    was = read_grain(v, 2, good)
    fail = (f'dmsetup suspend --noflush path && dmsetup load path --table "0 '
            f'{SECTORS} error" && dmsetup resume path')
    v.c[2].sh(fail)
    write_grain(k, 2, good)
    write_grain(k, 3, grain_of(v, (1, 3), good + 1))
    t.is_([v.copy_status(i, 1)['state'] for i in v.nodes], ['active'] * 3,
          'node 2 lost its path to B: the slices of others go on')
    write_grain(k, 3, bad)
    t.ok(v.until(lambda: [v.copy_status(i, 1)['state'] for i in v.nodes] ==
                 ['offline'] * 3, 10),
         'it is to copy a grain of its own: the slot is offline on all nodes')
    t.is_([v.copy_status(i, 0)['state'] for i in v.nodes], ['active'] * 3,
          'the other slot goes on')
    t.is_(read_grain(v, 2, good), was, 'and is right')
    r = v.c[3].run(f'dd if=/dev/mapper/{v.b}1 of=/dev/null bs=4k count=1 '
                   'iflag=direct')
    t.ok(r.rc, 'a copy that is offline answers no read')
    write_grain(k, 2, 0, n=128)
    del k.h.copies[1]
    k.check(k.scan(3, 0))
    k.check(k.scan(1, 255))
    verdict(t, k, 'A and slot 0 are right')
    v.remove_all()
    for i in v.nodes:
        v.c[i].sh('dmsetup remove path')
    v.start_all()
    v.wait_connected()
    t.is_([v.copy_status(i, 1)['state'] for i in v.nodes], ['offline'] * 3,
          'it is offline after a restart, too')
    trigger(t, k, 2, [1], 'a trigger brings it back')
    k.check(k.scan(2, 1))
    verdict(t, k, 'with the right content')
    v.remove_all()


STEPS = ['formation', 'ip6', 'locks', 'links', 'peers', 'crash', 'path']


def main():
    seed = fclock.seed()
    rng = random.Random(seed)
    steps = sys.argv[1:] or STEPS
    with fclock.test(DISKS) as (t, c):
        v = Volume(c, slots=(0, 1, 2))
        v.len = SECTORS
        v.args = {'trigger_timeout': TIMEOUT, 'grain_size': GRAIN}
        v.remove_all()
        if 'formation' in steps:
            formation(t, c, rng)
            stage('formation')
        if 'ip6' in steps:
            ip6(t, c, rng)
            stage('IPv6')
        v.wipe(data=True)
        v.start_all()
        v.wait_connected()
        k = Checker(v, rng)
        if 'locks' in steps:
            recalls(t, v, k)
            hold_time(t, v, k)
            hits(t, v, k)
            cold_walk(t, v, k)
            limits(t, v, k, rng)
            stage('locks and cache')
        if 'links' in steps:
            reconnect(t, v, k, rng)
            flaky_link(t, v, k, rng)
            stage('links')
        if 'peers' in steps:
            cut_peer(t, v, k)
            frozen_reader(t, v, k)
            stage('peers that do not answer')
        if 'crash' in steps:
            killed_peer(t, v, k, rng)
            all_killed(t, v, k, rng)
            stage('crashes')
        if 'path' in steps:
            bad_path(t, v, k)
            stage('a path to B fails')


if __name__ == '__main__':
    main()
