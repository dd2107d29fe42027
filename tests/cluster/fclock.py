# SPDX-License-Identifier: GPL-2.0-only
"""For the cluster tests: guests that share memory, volumes, and the checker."""
import contextlib
import os
import re
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / 'scripts'))
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True
from vmlib import cluster as vm  # noqa: E402
from vmlib import debug, paths, volume  # noqa: E402
from vmlib.volume import Bail  # noqa: E402,F401
import lib  # noqa: E402
from history import History, Memory  # noqa: E402


def seed():
    """The seed of this run: FCLOCK_SEED or SEED, or a new one; it is printed."""
    given = os.environ.get('FCLOCK_SEED')
    if given:
        os.environ['SEED'] = given
    return lib.seed()


_BEGAN = time.monotonic()


def stage(text):
    """A line that says how far a test is."""
    print(f'# {time.monotonic() - _BEGAN:6.1f} s  {text}', flush=True)


def attached():
    return os.environ.get('FCLOCK_ATTACH')


def make_cluster(shared, n=3, memory=True, nonce=1, **kw):
    """n guests; with memory they share some with this process, see history.py.
    A test that is being written may use one that is up: FCLOCK_ATTACH=<name>
    after "tests/cluster/fclock.py up <name>"."""
    name = attached()
    if name:
        c = vm.Cluster(name=name, attach=True)
        c.memory = Memory(paths.disk_dir() / f'{name}.shm', nonce, keep=True)
        return c
    name = kw.pop('name', None) or f'd{os.getpid()}'
    args = list(kw.pop('qemu_args', ()))
    shm = paths.disk_dir() / f'{name}.shm'
    mem = None
    if memory:
        mem = Memory(shm, nonce)
        args += ['-object', 'memory-backend-file,id=shm,share=on,size=64M,'
                 f'mem-path={shm}',
                 '-device', 'ivshmem-plain,memdev=shm',
                 # A guest that can never have a second CPU gets atomic
                 # instructions that are none for another guest.
                 '-smp', 'maxcpus=2']
    try:
        c = vm.Cluster(n=n, name=name, shared=shared, qemu_args=args,
                       **debug.options(kw))
    except BaseException:
        shm.unlink(missing_ok=True)
        raise
    c.memory = mem
    return c


def drop_cluster(c):
    if attached():
        return
    c.down()
    (paths.disk_dir() / f'{c.name}.shm').unlink(missing_ok=True)


def fresh(c):
    """The newest module and tools into guests that are up; volumes go."""
    for node in c:
        node.sh("""[ -d /sys/module/dm_fclock ] || exit 0
            for i in 1 2 3; do
                for d in $(dmsetup ls | awk '/fb[0-9]/ {print $1}') \\
                         $(dmsetup ls | awk '/fa/ {print $1}'); do
                    dmsetup remove --retry $d; done; done
            rmmod dm_fclock""", 120)
        for path, host in vm.guest_files().items():
            if path.startswith('fc/bin') or path.endswith('.ko'):
                node.put(host, '/' + path)


class Volume(volume.Volume):
    """Its messages are timed by the counter that all guests share."""

    def timed(self, i, text, timeout=60):
        """A message: (errno, called, returned, us); the times are of the shared counter."""
        r = self.c[i].run(['checker', 'message', 'pci', self.a, text], timeout,
                          check=True)
        v = dict(w.split('=') for w in r.out.split())
        return (int(v['errno']), int(v['began']), int(v['ended']),
                int(v['us']))


class Checker:
    """Stamped I/O on a volume and the verdict over it; see history.py."""

    def __init__(self, volume, rng, memory=None):
        self.v, self.c, self.rng = volume, volume.c, rng
        self.m = memory or volume.c.memory
        volume.find_length()
        self.m.clear(rng.getrandbits(60) | 1)
        self.h = History(volume.len)
        self.jobs = []
        self._area = 0

    def device(self, target):
        return '/dev/mapper/' + (self.v.a if target == 255
                                 else f'{self.v.b}{target}')

    def _spawn(self, word, i, target, options):
        args = [f'{k}={v}' for k, v in options.items()]
        return self.c[i].spawn(['checker', word, 'pci', str(i), '3',
                                self.device(target), str(target), *args])

    def write(self, i, target=255, **options):
        """Starts writers; they run until stop()."""
        options.setdefault('seed', self.rng.getrandbits(30))
        self.m.stop(i, 0)
        job = self._spawn('write', i, target, options)
        self.jobs.append((i, job))
        return job

    def stop(self, timeout=60):
        """Ends all writers; returns what they say: [(node, dict)]."""
        for i in self.v.nodes:
            self.m.stop(i)
        said = []
        for i, job in self.jobs:
            r = job.wait(timeout)
            if r.rc:
                raise Bail(f'writer on node {i}: {r.out}')
            said.append((i, dict((k, int(n)) for k, n in
                                 (w.split('=') for w in r.out.split()))))
        self.jobs = []
        return said

    def leave(self, i):
        """A node is lost: its writers count no more."""
        self.m.forget_open(i, self.h)
        self.jobs = [(n, j) for n, j in self.jobs if n != i]

    def crash(self, i):
        """kill -9 of a guest; its writers end with it."""
        self.c[i].kill()
        self.leave(i)

    def sweep(self, target=255, **options):
        """Overwrites a device everywhere, each node a part of it."""
        nodes, size = self.v.nodes, self.v.len
        step = size // len(nodes) // 8 * 8
        jobs = []
        for k, i in enumerate(nodes):
            self.m.stop(i, 0)
            last = size if k == len(nodes) - 1 else (k + 1) * step
            jobs.append(self._spawn('sweep', i, target, dict(
                options, first=k * step, last=last)))
        for job in jobs:
            r = job.wait(120)
            if r.rc or ' errors=0 ' not in r.out:
                raise Bail(f'sweep: {r.out}')

    def trigger(self, i, slots):
        """Returns the errno; a success goes into the history."""
        text = 'trigger ' + ','.join(map(str, slots))
        err, began, ended, us = self.v.timed(i, text)
        if not err:
            self.h.trigger(slots, began, ended)
        return err, us

    def scan(self, i, target, threads=2, repeat=1, wait=True):
        """Reads a device, each part of it repeat times."""
        area, self._area = self._area, (self._area + 1) % 24
        job = self.c[i].spawn(['checker', 'scan', 'pci', self.device(target),
                               str(area), f'threads={threads}',
                               f'repeat={repeat}'])
        got = Scan(self, i, target, area, job)
        return got.wait() if wait else got

    def check(self, scan):
        """Judges one scan; True if it is right."""
        self.m.update(self.h)
        if scan.said['errors']:
            self.h.error(f'node {scan.node}: {scan.said["errors"]} reads of '
                         f'{scan.who} failed')
            return False
        for x, id in scan.changed:
            self.h.check_seen(scan.target, x, id, scan.began, scan.ended,
                              scan.who)
        if scan.target == 255:
            return self.h.check_origin(scan.content, scan.began, scan.ended,
                                       scan.who)
        return self.h.check_copy(scan.target, scan.content, scan.began,
                                 scan.ended, scan.who)

    def errors(self):
        out, self.h.errors = self.h.errors, []
        return out


class Scan:
    """A device as a node read it."""

    def __init__(self, checker, node, target, area, job):
        self.checker, self.node, self.target = checker, node, target
        self.area, self.job = area, job
        self.who = ('A' if target == 255 else f'B{target}') + f' on node {node}'

    def wait(self, timeout=120):
        r = self.job.wait(timeout)
        m = re.search(r'began=(\d+) ended=(\d+) sectors=(\d+) bad=(\d+) '
                      r'errors=(\d+)', r.out)
        if r.rc or not m:
            raise Bail(f'scan of {self.who}: {r.out}')
        self.changed = [(int(x), int(id)) for x, id in
                        re.findall(r'changed=(\d+):(\d+)', r.out)]
        self.began, self.ended, n, bad, errors = map(int, m.groups())
        self.said = {'bad': bad, 'errors': errors, 'text': r.out}
        self.content = self.checker.m.area(self.area, n)
        return self


@contextlib.contextmanager
def test(shared, n=3, **options):
    """lib.test() with the shared memory; FCLOCK_ATTACH as above."""
    t = lib.Tap()
    try:
        c = make_cluster(shared, n, **options)
    except vm.Error as e:
        t.ok(False, 'the guests start')
        t.diag(e)
        t.end()
        raise SystemExit(1) from None
    stage('the guests are up')
    since = {i: len(c[i].log()) if attached() else 0 for i in c.nodes}
    for i in c.nodes:
        debug.settle(c[i])
    try:
        try:
            yield t, c
        except Exception as e:      # a test may raise anything
            t.ok(False, f'{type(e).__name__}: {str(e).splitlines()[:1]}')
            t.diag(traceback.format_exc())
            for node in c:
                if node.status()['state'] == 'up':
                    node.sysrq('w')
            time.sleep(1)
        else:
            for info in c.status()['nodes']:
                t.ok(info['state'] != 'dead',
                     f'node{info["node"]} did not die by itself')
            t.check_bugs(c, since)
        for i in c.nodes:
            t.check_log(c[i], since[i])
        if t.failed:
            for i in c.nodes:
                t.diag(f'kernel log of node{i}:')
                t.diag('\n'.join(c[i].log()[since[i]:].splitlines()[-30:]))
    finally:
        drop_cluster(c)
    stage('the end')
    raise SystemExit(t.end())


def _command_line():
    what, name = sys.argv[1:3]
    if what == 'up':
        shared = {'a': '32M', 'b0': '32M', 'b1': '32M', 'b2': '32M', 'm': '64M'}
        make_cluster(shared, name=name, owned=False, ttl=7200)
    elif what == 'down':
        drop_cluster(vm.Cluster(name=name, attach=True))
    elif what == 'fresh':
        fresh(vm.Cluster(name=name, attach=True))


if __name__ == '__main__':
    _command_line()
