#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The cluster harness itself: disks, links, freezing, crashing, hot-plug."""
# timeout: 900
# by name
import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path

import lib

VM = Path(__file__).resolve().parents[2] / 'scripts/vm'


def reach(c, a, b, seconds=1):
    return c[a].run(f'ping -qc1 -W{seconds} {c[b].ip}', 60).rc == 0


def check_disks(t, c):
    data = os.urandom(65536)
    c[1].run(['dd', 'of=/dev/disk/fc/a', 'bs=64k', 'seek=5', 'oflag=direct',
              'iflag=fullblock'], stdin=data, check=True)
    for i in 2, 3:
        r = c[i].run('dd if=/dev/disk/fc/a bs=64k skip=5 count=1 iflag=direct '
                     '2>/dev/null', check=True)
        t.is_(hashlib.sha256(r.stdout).hexdigest(),
              hashlib.sha256(data).hexdigest(),
              f'{c[i]} reads what node1 wrote to the shared disk')
    c[1].sh('printf one | dd of=/dev/disk/fc/x conv=sync oflag=direct')
    t.is_(c[2].sh('head -c 3 /dev/disk/fc/x | tr "\\0" z'), 'zzz',
          'a private disk is private')
    t.is_(c[3].sh('blockdev --getsz /dev/disk/fc/m'), str(16 << 11),
          'a disk has the size that was asked for')
    t.is_(c[1].sh('cat /sys/class/block/$(basename $(readlink '
                  '/dev/disk/fc/a))/queue/write_cache'), 'write back',
          'the guest sees a volatile cache')
    c[1].sh('blkdiscard /dev/disk/fc/a')
    t.is_(c[2].sh('dd if=/dev/disk/fc/a bs=64k skip=5 count=1 iflag=direct '
                  '2>/dev/null | tr -d "\\0" | wc -c'), '0',
          'a discard by one node is seen by another')
    c.add_disk('late', '8M')
    c[1].sh('echo hot | dd of=/dev/disk/fc/late conv=sync oflag=direct')
    t.is_(c[3].sh('head -c 3 /dev/disk/fc/late'), 'hot',
          'a disk that was attached later is shared')


def check_exec(t, c):
    t.is_(c[1].run('exit 7').rc, 7, 'an exit code comes through')
    t.is_(c[1].run('kill -9 $$').rc, 137, 'a signal becomes 128 and its number')
    r = c[1].run('echo out; echo err >&2')
    t.is_((r.stdout, r.stderr), (b'out\n', b'err\n'), 'two streams stay two')
    data = os.urandom(1 << 20)
    t.is_(c[1].run(['cat'], stdin=data).stdout, data,
          'a MiB goes in and comes out unchanged')
    said = [subprocess.run([VM, 'exec', '--name', c.name, '1', '--', 'sh', '-c',
                            'echo a; echo b; echo c'], capture_output=True,
                           stdin=subprocess.DEVNULL) for _ in range(20)]
    t.is_({(r.returncode, r.stdout, r.stderr) for r in said},
          {(0, b'a\nb\nc\n', b'')},
          'scripts/vm exec tells all of a command that ends at once')
    began = time.monotonic()
    jobs = [c[2].spawn('sleep 3; echo $$') for _ in range(6)]
    outs = {j.wait(60).out for j in jobs}
    t.ok(len(outs) == 6 and time.monotonic() - began < 17,
         'six commands run at once')
    job = c[2].spawn('sleep 1000')
    try:
        job.wait(1)
        t.ok(False, 'a timeout is raised')
    except lib.Timeout:
        t.ok(True, 'a timeout is raised')
    lib.wait_for('sleep to end', 10, lambda: c[2].run(
        'pgrep -fx "sleep 1000"').rc == 1)
    t.ok(True, 'and the command is gone')


def check_links(t, c):
    lib.wait_for('the network', 20, lambda: reach(c, 1, 2) and reach(c, 1, 3))
    t.is_(c[3].run(f'ping -qc1 -W5 {c[1].ip6}').rc, 0, 'IPv6 works')
    c.cut(1)
    t.ok(not reach(c, 1, 2) and not reach(c, 3, 1) and reach(c, 2, 3, 5),
         'a node that is cut off reaches nobody, the others each other')
    t.is_(c[1].sh('cat /sys/class/net/eth0/carrier'), '1', 'it keeps its carrier')
    c.heal(1)
    t.ok(reach(c, 1, 2, 5) and reach(c, 3, 1, 5), 'healed, it is back')
    c.cut(1, 2)
    t.ok(not reach(c, 1, 2) and reach(c, 1, 3, 5), 'one link can be cut')
    c.heal_all()
    t.ok(reach(c, 1, 2, 5), 'and healed')
    c.cut(2, carrier=True)
    t.ok(not reach(c, 1, 2), 'a link that goes down is cut')
    lib.wait_for('carrier loss', 10, lambda: c[2].run(
        'grep -q 0 /sys/class/net/eth0/carrier').rc == 0)
    c.heal(2, carrier=True)
    lib.wait_for('the link', 20, lambda: reach(c, 1, 2))
    t.ok(True, 'and up again')
    c[3].sh('tc qdisc add dev eth0 root netem delay 300ms')
    r = c[1].sh(f'ping -qc2 {c[3].ip} | tail -n 1')
    t.ok(float(r.split('/')[4]) > 250, 'netem delays')
    c[3].sh('tc qdisc del dev eth0 root')


def check_life(t, c):
    uptime = 'cut -d. -f1 /proc/uptime'
    before = int(c[2].sh(uptime))
    c[2].freeze()
    t.is_(c[2].status()['state'], 'frozen', 'a guest is frozen')
    job = c[2].spawn('echo thawed')
    time.sleep(4)
    t.is_(job.poll(), None, 'it does nothing')
    c[2].thaw()
    t.is_(job.wait(60).out, 'thawed\n', 'until it is thawed')
    t.ok(int(c[2].sh(uptime)) - before < 4, 'its clock stood still')
    c[2].freeze(clock_jumps=True)
    time.sleep(2)
    c[2].thaw()
    t.is_(c[2].sh('echo on'), 'on', 'stopped by a signal it goes on, too')

    job = c[3].spawn('sleep 1000')
    c[1].sh('echo kept | dd of=/dev/disk/fc/m conv=sync oflag=direct')
    c[3].kill()
    try:
        job.wait(20)
        t.ok(False, 'a command in a killed guest raises')
    except lib.GuestDied:
        t.ok(True, 'a command in a killed guest raises')
    c[3].start()
    t.is_(c[3].sh('head -c 4 /dev/disk/fc/m; hostname'), 'keptnode3',
          'it starts again with its disks')
    t.ok(c[3].run('[ -b /dev/disk/fc/late ]').rc == 0,
         'also those that were attached later')
    t.allow_log('sysrq triggered crash|Oops|RIP|#PF')
    try:
        c[3].run('echo c >/proc/sysrq-trigger', 30)
        t.ok(False, 'a panic ends the guest')
    except lib.GuestDied as e:
        t.like(str(e), 'sysrq triggered crash', 'a panic ends the guest')
    t.is_(c[3].status()['state'], 'dead', 'its state tells')
    c[3].start()


SPEAKS = """# timeout: 4
import os, time
print('ok 1 - a', flush=True)
for _ in range(6):
    time.sleep(1)
    print('# a word', flush=True)
time.sleep(int(os.environ['SILENT']))
print('1..1')
"""


def check_silence(t, c):
    """Who says something now and then may take its time."""
    job = c[1].spawn('for i in 1 2 3 4 5 6; do sleep 1; echo $i; done')
    t.is_(job.wait(4, silence=True).rc, 0, 'a command that says something goes on')
    try:
        c[1].spawn('echo 1; sleep 60').wait(4, silence=True)
        t.ok(False, 'a silent one is ended')
    except lib.Timeout as e:
        t.like(str(e), 'said nothing for 4 s', 'a silent one is ended')
    with tempfile.NamedTemporaryFile('w', suffix='_test.py') as f:
        f.write(SPEAKS)
        f.flush()
        for silent, wanted in ('0', (0, False)), ('60', (1, True)):
            r = subprocess.run([VM.parents[1] / 'tests/cluster/run', f.name],
                               env=dict(os.environ, SILENT=silent, FCLOCK_SLOW='1'),
                               capture_output=True, text=True)
            t.is_((r.returncode, 'said nothing for 4 s' in r.stdout), wanted,
                  f'a test that is silent for {silent} s at its end')


def check_clock(t):
    """tsc_early_khz: the guest believes what a bad measurement tells it."""
    try:
        with lib.Cluster(n=1, module=None, cmdline=['tsc_early_khz=40000']) as c:
            if c.status()['accel'] != 'tcg,thread=multi':
                t.skip('a clock too fast', 'only an emulated CPU believes it')
                return
            t.ok(False, 'a guest whose clock is too fast does not come up')
    except lib.Error as e:
        t.like(str(e), 'its clock ran [0-9.]+ times as fast .*, 3 times',
               'a guest whose clock is too fast does not come up')


with lib.test(n=3, shared={'a': '64M', 'm': '16M'}, disks={'x': '8M'}) as (t, c):
    check_exec(t, c)
    check_disks(t, c)
    check_links(t, c)
    check_silence(t, c)
    check_life(t, c)
    check_clock(t)
