#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Counters on the shared device that three nodes increment under a lock of their own,
which a server on node 1 hands out, while they trigger; then fio verifies on all.

The same runs on three nodes in one kernel (tests/guest/91-verify.test), so this one
is for FCLOCK_FULL."""
# timeout: 900
import os
import random
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fclock  # noqa: E402
import lib  # noqa: E402
from fclock import Volume  # noqa: E402

PORT = 7799
VERIFY = '--verify=crc32c --verify_fatal=1 --verify_state_save=0'
DISKS = {'a': '8M', 'b0': '8M', 'b1': '8M', 'm': '20M'}
FIO = '''fio --name=n{i} --filename=/dev/mapper/{dev} --direct=1 --ioengine=libaio
--iodepth=4 --rw=randwrite --bs={bs} --size={size}k --offset={offset}
--randseed={seed} --thread {more}'''.replace('\n', ' ')


def fields(line):
    return dict(w.replace(':', '=').split('=') for w in line.split())


def look(t, c, i, slot, what):
    r = c[i].run(['devcount', 'look', f'/dev/mapper/fb{slot}'], 60)
    t.ok(not r.rc, what)
    if r.rc:
        t.diag(r.out)
    return r.out.strip()


def counters(t, c, v, rng):
    server = c[1].spawn(['devcount', 'serve', str(PORT)])
    lock = f'{c[1].ip}:{PORT}'

    def now():
        return fields(c[1].sh(['devcount', 'now', lock]))

    lib.wait_for('the lock server', 20, lambda: not c[1].run(
        ['devcount', 'now', lock]).rc)
    jobs = {i: c[i].spawn(['devcount', 'run', lock, f'/dev/mapper/{v.a}', str(i),
                           '1000000']) for i in v.nodes}
    lib.wait_for('increments of all', 60, lambda: len(now()) == 2 + len(jobs))
    for n in range(30):
        slot, i = n % 2, rng.choice(v.nodes)
        j = rng.choice([k for k in v.nodes if k != i])
        before = now()
        c[i].sh(f'dmsetup message {v.a} 0 trigger {slot}', 60)
        after = now()
        line = look(t, c, j, slot, f'trigger {n + 1}: counters of one moment')
        held = fields(line)
        t.ok(int(held['second']) >= int(before['done']),
             f'trigger {n + 1}: increments made before are in the copy')
        t.ok(int(held['first']) <= int(after['begun']),
             f'trigger {n + 1}: those begun afterwards are not')
        lib.wait_for('more increments', 60, lambda: int(now()['done']) >
                     int(after['done']) + 20)
        t.is_(look(t, c, i, slot, f'trigger {n + 1}: the same later'), line,
              f'trigger {n + 1}: as another node read it')
    for job in jobs.values():
        job.kill(signal.SIGTERM)
    for i, job in jobs.items():
        r = job.wait(60)
        t.is_(r.rc, 0, f'node {i} found every counter as it was left')
        if r.rc:
            t.diag(r.out)
    last = now()
    t.diag(str(last))
    t.is_(last['done'], last['begun'], 'all increments ended')
    total = {k: last[k] for k in last if k.isdigit()}
    for i in v.nodes:
        r = c[i].sh(['devcount', 'look', f'/dev/mapper/{v.a}'])
        t.is_(fields(r), {'first': last['done'], 'second': last['done'], **total},
              f'node {i}: the sums match')
    server.kill(signal.SIGTERM)
    server.wait(30)


def fio(c, v, device, seed, more, shift=0):
    """On all nodes at once, each its part; what did not exit with 0."""
    size = 2048
    jobs = {}
    for i in v.nodes:
        cmd = FIO.format(i=i, dev=device, bs=512 << (i - 1) * 2, size=size,
                         offset=(i - 1) * size * 1024 + i * 2560, seed=seed + i,
                         more=more)
        jobs[i] = c[v.nodes[(i - 1 + shift) % len(v.nodes)]].spawn(cmd)
    return {i: job.wait(600) for i, job in jobs.items()}


def failed(results):
    return {i: r.out[-600:] for i, r in results.items() if r.rc}


def verified(t, c, v, rng):
    seed = rng.randrange(1 << 20)
    loop = c[2].spawn(f'''while sleep 0.3; do
        dmsetup message {v.a} 0 trigger 1 || exit 1
        dmsetup message {v.a} 0 drop_cache; done''')
    t.is_(failed(fio(c, v, v.a, seed, f'{VERIFY} --verify_backlog=32')), {},
          'fio writes and verifies on three nodes under triggers')
    t.ok(loop.poll() is None, 'every trigger succeeded')
    loop.kill(signal.SIGTERM)
    loop.wait(60)
    c[3].sh(f'dmsetup message {v.a} 0 trigger 0', 60)
    t.is_(failed(fio(c, v, v.a, seed, '--buffer_pattern=0x5a')), {},
          'all is written again')
    again = f'{VERIFY} --verify_only'
    t.is_(failed(fio(c, v, f'{v.b}0', seed, again, 1)), {},
          'the copy holds what was before, as seen by other nodes')
    t.is_(len(failed(fio(c, v, v.a, seed, again))), 3, 'A does not')


def main():
    if not os.environ.get('FCLOCK_FULL'):
        print('1..0 # SKIP only with FCLOCK_FULL')
        return
    rng = random.Random(fclock.seed())
    with lib.test(n=3, shared=DISKS, need_module=True) as (t, c):
        v = Volume(c, slots=(0, 1))
        v.args = {'trigger_timeout': 10000, 'grain_size': 32}
        v.start_all()
        counters(t, c, v, rng)
        verified(t, c, v, rng)


if __name__ == '__main__':
    main()
