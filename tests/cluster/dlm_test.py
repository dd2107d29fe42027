#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# by name
"""A volume whose members come from corosync, dlm_controld and DLM, with GFS2 on it.

The last part of A is no file system: raw writes there show what the volume does
while GFS2 waits for its own locks.
"""
import os
import re
import threading
import time

import lib
from vmlib.engine import Engine
from vmlib.volume import Volume

FULL = bool(os.environ.get('FCLOCK_FULL'))
MIB = 2048                      # sectors
FS = 128 * MIB                  # of the file system; a grain is 128 sectors
CONFIRMED = FS // 128           # first of 64 raw grains that get confirmed
FRESH = CONFIRMED + 64          # first of 192 that stay unsplit for later
LOAD = '/fc/tests/cluster/dlm_load.py'
ENDS = [0]                      # when the test began


def stage(t, text):
    t.diag(f'{time.monotonic() - ENDS[0]:6.1f} s  {text}')


def together(nodes, function):
    """function(i) on several nodes at once; raises what one of them raised."""
    trouble = []

    def guarded(i):
        try:
            function(i)
        except Exception as e:          # raised again below
            trouble.append(e)

    jobs = [threading.Thread(target=guarded, args=(i,)) for i in nodes]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    if trouble:
        raise trouble[0]


class Writer:
    """Files on one node; knows which ones are durable."""

    def __init__(self, c, i):
        self.i, self.text = i, b''
        c[i].sh('rm -f /run/stop')
        self.job = c[i].spawn(['python3', LOAD, 'files', '/data', str(i)],
                              stdout=self._more)

    def _more(self, data):
        self.text += data

    def durable(self):
        return self.text[:self.text.rfind(b'\n') + 1].count(b'\n') - 1


def verify(t, c, i, path, writers, marks, what):
    for w in writers:
        r = c[i].run(['python3', LOAD, 'verify', path, str(w.i),
                      str(marks[w.i])])
        if not t.ok(not r.rc, f'{what}: files 0 to {marks[w.i]} of node {w.i}'):
            t.diag(r.out)


def linear(c, i, name, below):
    c[i].sh(f'dmsetup create {name} --table "0 {FS} linear '
            f'/dev/mapper/{below} 0"')


def mount(c, i):
    c[i].sh('mkdir -p /data /copy; mount -t gfs2 /dev/mapper/fs /data',
            timeout=120)


# ---- refusals ----

def no_module(t, c, v):
    v.find_length()
    v.load(1)
    r = c[1].run(f"dmsetup create fa --table '{v.table(1)}'")
    t.ok(r.rc, 'without the module dm-fclock-dlm the table is refused')
    t.like(c[1].log()[-1500:], 'cluster needs the module dm-fclock-dlm',
           'and the log says why')


def install(c, i):
    """As "make install" and depmod would: found by name."""
    c[i].sh('''d=/lib/modules/$(uname -r)/updates; mkdir -p $d
        cp /fc/dm-fclock*.ko $d/ && depmod -a''')


def wrong_names(t, c, v):
    """Node 3 before its volume is started well."""
    for table, regex, what in (
            (v.table(3, cluster='other'), 'cluster other is not the one',
             'a table with the name of another cluster'),
            (re.sub(r' 3 (\d+ listen)', r' 2 \1',
                    v.table(3)).replace('peer 2 ', 'peer 3 '),
             'node id 2 of the table is not 3',
             'a table with a node id that is not the cluster\'s')):
        at = len(c[3].log())
        c[3].sh(f"dmsetup create fa --table '{table}'")
        lib.wait_for(what, 30, lambda: re.search(regex, c[3].log()[at:]))
        t.ok(True, f'{what}: the log says that it does not fit')
        t.is_(v.status(3)['state'], 'suspended', 'and the volume does not start')
        c[3].sh('dmsetup remove --retry fa')


# ---- the parts ----

def formation(t, c, v):
    together((1, 2, 3), lambda i: install(c, i))
    v.start(1)
    t.ok('dm_fclock_dlm' in c[1].sh('lsmod'),
         'the table loads the module dm-fclock-dlm by itself')
    v.start(2)
    wrong_names(t, c, v)
    v.start(3)
    v.wait_connected()
    lists = {(v.status(i)['epoch'], v.status(i)['members']) for i in v.nodes}
    t.ok(len(lists) == 1, f'all nodes have one list: {lists}')
    t.is_(lists.pop()[1], '1,2,3', 'with all three of them')
    r = c[2].run('dmsetup message fa 0 members 99 1,2')
    t.ok(r.rc, 'the message members is refused')
    t.like(c[2].log()[-1500:], 'come from cluster fclock',
           'and the log says where lists come from')
    t.like(v.c[1].sh('dmsetup table fa'), ' cluster fclock',
           'the table line has the word')


PF_MEMALLOC_NOIO = 0x80000


def recoverers(c, i):
    """Flags of the threads that recover lockspaces."""
    stats = c[i].sh('cat /proc/[0-9]*/stat 2>/dev/null || :')
    return [int(m[1]) for m in re.finditer(
        r'^\d+ \(dlm_recoverd\) \S(?: -?\d+){5} (\d+)', stats, re.M)]


def no_reclaim(t, c, v):
    """Before there is GFS2, whose lockspace has such a thread, too."""
    flags = {i: recoverers(c, i) for i in v.nodes}
    t.ok(all(f and all(n & PF_MEMALLOC_NOIO for n in f) for f in flags.values()),
         f'who brings the lists never waits for I/O of the volume: {flags}')


def file_system(t, c):
    for i in (1, 2, 3):
        linear(c, i, 'fs', 'fa')
    c[1].sh('mkfs.gfs2 -O -p lock_dlm -t fclock:data -j 3 -J 8 '
            '/dev/mapper/fs', timeout=120)
    mount(c, 1)
    together((2, 3), lambda i: mount(c, i))
    t.ok(True, 'GFS2 is mounted on three nodes')


def copy(t, c, v, writers):
    """A trigger under load; the copy, as a power failure of all nodes would have left
    the file system, is mounted on node 2."""
    marks = {w.i: w.durable() for w in writers}
    v.message(3, 'trigger 0')
    t.ok(min(marks.values()) > 0, 'a trigger under load, after '
         f'{[n + 1 for n in marks.values()]} files')
    together((1, 2, 3), lambda i: c[i].sh(f'echo late >/data/late.{i}', 120))
    linear(c, 2, 'copyfs', 'fb0')
    c[2].sh('mount -t gfs2 -o lockproto=lock_nolock,locktable=copy '
            '/dev/mapper/copyfs /copy', timeout=90)
    verify(t, c, 2, '/copy', writers, marks, 'in the copy')
    t.is_(c[2].run('ls /copy | grep late').out, '', 'no later file is in it')
    c[2].sh('cp /copy/1.0 /copy/written-here && sync -f /copy && '
            'cmp /copy/1.0 /copy/written-here', 120)
    t.ok(c[1].run('test -e /data/written-here').rc,
         'a file written to the copy is in the copy only')
    c[2].sh('umount /copy', timeout=90)
    fsck(t, c, 2, '/dev/mapper/copyfs', 'the copy')
    c[2].sh('dmsetup remove --retry copyfs')


def frozen_copy(t, c, v):
    """Nobody writes: GFS2 of 6.1 withdraws when it is frozen while another node
    does. The copy needs no recovery."""
    last = v.nodes[-1]
    c[1].sh('fsfreeze -f /data', timeout=90)
    v.message(2, 'trigger 0')
    c[1].sh('fsfreeze -u /data', timeout=90)
    c[2].sh('echo later >/data/later', 90)
    linear(c, last, 'copyfs', 'fb0')
    fsck(t, c, last, '/dev/mapper/copyfs', 'a copy of the frozen file system')
    c[last].sh('dmsetup remove --retry copyfs')


def fsck(t, c, i, device, what):
    """The sums of all nodes, which GFS2 brings home only now and then, may be old:
    while it is mounted, and since a node was killed."""
    r = c[i].run(['fsck.gfs2', '-n', device], timeout=120)
    text = re.sub(r'The statfs file (is wrong|was not fixed)', '', r.out)
    good = not r.rc or (text != r.out and 'fsck.gfs2 complete' in text and
                        not re.search(r'(?i)wrong|error|bad|corrupt|dirty|lost|'
                                      r'recover|not fixed|unlinked', text))
    if not t.ok(good, f'fsck.gfs2 finds nothing in {what}'):
        t.diag(r.out)


def lose_node(t, c, v, e, writers):
    """Node 3 is cut off, and fenced: its QEMU is killed."""
    raw = {}
    for i in (1, 2):
        c[i].sh('rm -f /run/stop-raw')
        raw[i] = c[i].spawn(['python3', LOAD, 'raw', '/dev/mapper/fa',
                             str(CONFIRMED + 32 * (i - 1)), '32'])
    lib.wait_for('raw writes are confirmed', 60, lambda: all(
        'round' in raw[i].out for i in raw))
    before = v.status(1)
    copied = sum(v.status(i)['grains_copied'] for i in (1, 2))
    c.cut(3)
    began = time.monotonic()
    fresh = {i: c[i].spawn(['python3', LOAD, 'sweep', '/dev/mapper/fa',
                            str(FRESH + 96 * (i - 1)), '96']) for i in (1, 2)}
    lib.wait_for('a list without node 3', 60, lambda: [
        v.status(i)['members'] for i in (1, 2)] == ['1,2'] * 2)
    listed = time.monotonic() - began
    stage(t, f'a list without node 3 after {listed:.1f} s')
    t.is_([v.status(i)['epoch'] for i in (1, 2)], [before['epoch'] + 1] * 2,
          'node 3 was cut off: both others have the next list')
    t.is_([(f[0], f[1] in (1, 2)) for f in e.fenced], [(3, True)],
          'after it was fenced, once')
    t.is_(c[3].status()['state'], 'off', 'its QEMU was killed')
    for i in (1, 2):
        r = fresh[i].wait(30)
        m = re.search(r'longest_ms=(\d+) ended=([\d.]+)', r.out)
        at = re.findall(r'\[ *([\d.]+)\].*list \d+ of DLM has 2 nodes',
                        c[i].log())[-1]
        late = float(m[2]) - float(at)
        t.ok(late < 5 * lib.slow(), f'node {i}: 96 unconfirmed writes went on: '
             f'done {late:.2f} s after the list; the longest took {m[1]} ms')
    for i in (1, 2):
        c[i].sh('touch /run/stop-raw')
        m = re.search(r'writes=(\d+) longest_ms=(\d+)', raw[i].wait(30).out)
        t.ok(int(m[1]) > 100 and int(m[2]) < listed * 1000 / 2,
             f'node {i}: {m[1]} confirmed writes did not wait for that: the '
             f'longest took {m[2]} ms of {listed * 1000:.0f}')
    done = sum(v.status(i)['grains_copied'] for i in (1, 2)) - copied
    t.ok(done >= 192, f'{done} grains were copied on the way')
    left = [w for w in writers if w.i != 3]
    at = {w.i: w.durable() for w in left}
    lib.wait_for('GFS2 goes on', 60, lambda: all(
        w.durable() > at[w.i] + 1 for w in left))
    t.ok(True, 'GFS2 goes on on both')


def return_node(t, c, v, e, writers):
    lost = next(w for w in writers if w.i == 3)
    epoch = v.status(1)['epoch']
    c[3].start()
    c.heal(3)
    e.start(3)
    e.wait_quorate()
    install(c, 3)
    v.start(3)
    v.wait_connected()
    t.is_([v.status(i)['epoch'] for i in v.nodes], [epoch + 1] * 3,
          'node 3 is back, a new instance, by the next list')
    linear(c, 3, 'fs', 'fa')
    mount(c, 3)
    verify(t, c, 3, '/data', writers, {w.i: w.durable() for w in writers},
           'on node 3')
    t.ok(lost.durable() > 0, 'also those that it had made durable')


def used_by_others(t, c, v, i):
    """Somebody else has the lockspace open when the volume of node i leaves it."""
    name = re.search(r'^name +(fclock-\S+)', c[i].sh('dlm_tool ls'), re.M)[1]
    c[i].sh(f'ln -sf ../dlm_{name} /dev/misc/dlm_{name} && dlm_tool join {name}')
    v.remove(i)
    t.ok('somebody else uses it, so this node stays in it' in c[i].log(),
         f'node {i}: a lockspace that somebody else uses is not left')
    other = min(v.nodes)
    t.ok(i in map(int, str(v.status(other)['members']).split(',')),
         f'node {other} has it in its list')
    c[i].sh(f'dlm_tool leave {name}')


def end(t, c, v, writers):
    for i in v.nodes:
        c[i].sh('touch /run/stop')
    for w in writers:
        if w.i != 3:
            t.ok(not w.job.wait(60).rc, f'node {w.i}: no write failed')
    frozen_copy(t, c, v)

    def unmount(i):
        c[i].sh('umount /data && dmsetup remove --retry fs', timeout=120)

    together(v.nodes, unmount)
    fsck(t, c, 1, '/dev/mapper/fa', 'the original')
    *rest, last = v.nodes
    used_by_others(t, c, v, last)
    lib.wait_for('a list without the last node', 30, lambda: [
        str(v.status(i)['members']) for i in rest] ==
        [','.join(map(str, rest))] * len(rest))
    t.ok(True, 'a node that leaves is in no further list')
    together(rest, v.remove)
    t.is_([c[i].sh('dlm_tool ls') for i in v.nodes], [''] * len(v.nodes),
          'no lockspace is left')
    for i in rest:
        c[i].sh('rmmod dm_fclock_dlm dm_fclock')
    t.ok(True, 'the modules go')
    t.ok(c[last].run('rmmod dm_fclock_dlm').rc,
         'but where DLM may still call what it was given')


def again(t, c, v):
    """Everybody was gone: epochs go on where M has them."""
    def epoch(i):
        return v.status(i)['epoch']

    v.start_all()
    v.wait_connected()
    before = epoch(1)
    v.remove_all()
    v.start_all((3, 1, 2))
    v.wait_connected()
    t.ok(len({epoch(i) for i in v.nodes}) == 1 and epoch(1) > before,
         f'a new lockspace goes on with epoch {epoch(1)} after {before}')
    v.remove_all()


def main():
    ENDS[0] = time.monotonic()
    with lib.test(n=3, shared={'a': '144M', 'b0': '144M', 'm': '48M'},
                  need_module=True, engine=True) as (t, c):
        # DLM of 6.1 warns about itself when a message comes during a recovery
        t.allow_log(r'WARNING: CPU: .* at fs/dlm/requestqueue\.c')
        v = Volume(c)
        v.args = {'cluster': 'fclock'}
        no_module(t, c, v)
        e = Engine(c)
        e.start_all()
        stage(t, 'corosync and dlm_controld run')
        formation(t, c, v)
        stage(t, 'the volume runs')
        no_reclaim(t, c, v)
        file_system(t, c)
        stage(t, 'GFS2 is mounted')
        writers = [Writer(c, i) for i in v.nodes]
        lib.wait_for('files', 30, lambda: all(w.durable() > 2 for w in writers))
        copy(t, c, v, writers)
        stage(t, 'the copy was mounted and checked')
        lose_node(t, c, v, e, writers)
        stage(t, 'node 3 was fenced')
        if FULL:
            return_node(t, c, v, e, writers)
            stage(t, 'node 3 is back')
        else:
            v.nodes = [1, 2]
        end(t, c, v, writers)
        stage(t, 'all has gone')
        if FULL:
            again(t, c, v)
        t.is_(len(e.fenced), 1, 'nobody else was fenced')


if __name__ == '__main__':
    main()
