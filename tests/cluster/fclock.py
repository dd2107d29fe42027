# SPDX-License-Identifier: GPL-2.0-only
"""A volume on a cluster of guests, for the cluster tests and the demo.

Node i has the origin as /dev/mapper/fa and slot s as /dev/mapper/fb<s>, over the
shared disks a, b<s> and m.
"""
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
from vmlib import paths  # noqa: E402
import lib  # noqa: E402
from history import History, Memory  # noqa: E402

PORT = 7788
MIB = 1 << 20


def seed():
    """The seed of this run: FCLOCK_SEED or SEED, or a new one; it is printed."""
    given = os.environ.get('FCLOCK_SEED')
    if given:
        os.environ['SEED'] = given
    return lib.seed()


class Bail(Exception):
    """Nothing further makes sense."""


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
                 '-device', 'ivshmem-plain,memdev=shm']
    try:
        c = vm.Cluster(n=n, name=name, shared=shared, qemu_args=args, **kw)
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


def words(line):
    """A status line as a dictionary; 'state' is its first word."""
    parts = line.split()[3:]
    out = {'state': parts[0]} if parts else {'state': ''}
    for word in parts[1:]:
        key, _, value = word.partition('=')
        out[key] = int(value) if value.isdigit() else value
    return out


class Volume:
    """One volume on all guests of a cluster."""

    def __init__(self, cluster, slots=(0,), ip6=False, port=PORT, nodes=None,
                 prefix=''):
        """prefix: of the disks (prefix + 'a', ...) and of the dm names."""
        self.c, self.slots, self.ip6, self.port = cluster, slots, ip6, port
        self.nodes = list(nodes or cluster.nodes)
        self.p = prefix
        self.a, self.b = f'{prefix}fa', f'{prefix}fb'
        self.args = {}
        self.len = None

    def address(self, i):
        node = self.c[i]
        return f'[{node.ip6}]:{self.port}' if self.ip6 else \
            f'{node.ip}:{self.port}'

    def table(self, i, **features):
        """The line of fclock-origin; features override self.args."""
        f = {**self.args, **features}
        args = ['listen', self.address(i), 'insecure']
        for j in self.nodes:
            if j != i:
                args += ['peer', str(j), self.address(j)]
        for key, value in f.items():
            args += [key, str(value)]
        return (f'0 {self.len} fclock-origin /dev/disk/fc/{self.p}m '
                f'/dev/disk/fc/{self.p}a {i} {len(args)} {" ".join(args)}')

    def load(self, i):
        self.c[i].sh('''[ -d /sys/module/dm_fclock ] && exit 0
            for m in $(modinfo -F depends /fc/dm-fclock.ko | tr , ' '); do
                modprobe $m || exit 1; done
            insmod /fc/dm-fclock.ko''')

    def find_length(self):
        if self.len is None:
            self.len = int(self.c[self.nodes[0]].sh(
                f'blockdev --getsz /dev/disk/fc/{self.p}a'))

    def start(self, i, slots=None, wait=True, **features):
        """Brings the volume up on a node; returns without waiting for the
        cluster when wait is False."""
        self.load(i)
        self.find_length()
        cmd = f"dmsetup create {self.a} --table '{self.table(i, **features)}'\n"
        for s in self.slots if slots is None else slots:
            cmd += self.copy_command(s)
        self.c[i].sh('set -e\n' + cmd, timeout=90)
        if wait:
            self.wait_active(i)

    def copy_command(self, s):
        return (f"dmsetup create {self.b}{s} --table '0 {self.len} fclock-copy "
                f"/dev/disk/fc/{self.p}m {s} /dev/disk/fc/{self.p}b{s}'\n")

    def start_all(self, nodes=None, **features):
        for i in nodes or self.nodes:
            self.start(i, wait=False, **features)
        for i in nodes or self.nodes:
            self.wait_active(i)

    def remove(self, i, timeout=90):
        """Takes the volume off a node."""
        self.c[i].sh(f'''for d in $(dmsetup ls 2>/dev/null | awk '/^{self.b}[0-9]/ {{print $1}}'); do
            dmsetup remove --retry $d || exit 1; done
            ! dmsetup info {self.a} >/dev/null 2>&1 || dmsetup remove --retry {self.a}''',
                     timeout)

    def remove_all(self):
        for i in self.nodes:
            self.remove(i)

    def wipe(self, i=None, data=False):
        """Makes M new, and A zero if asked; the volume is down everywhere."""
        cmd = ('blkdiscard -f -z {0} 2>/dev/null || dd if=/dev/zero of={0} bs=1M '
               'oflag=direct conv=notrunc 2>/dev/null; ')
        text = cmd.format(f'/dev/disk/fc/{self.p}m')
        if data:
            text += cmd.format(f'/dev/disk/fc/{self.p}a')
        self.c[i or self.nodes[0]].sh(text + 'sync', 120)

    # -- looking --

    def status(self, i):
        return words(self.c[i].sh(f'dmsetup status --noflush {self.a}', 30))

    def copy_status(self, i, s):
        return words(self.c[i].sh(f'dmsetup status --noflush {self.b}{s}', 30))

    def states(self, s):
        return [self.copy_status(i, s)['state'] for i in self.nodes]

    def until(self, what, limit=30, every=0.1):
        """Waits until what() is true; returns its last value."""
        end = time.monotonic() + limit
        while not (got := what()) and time.monotonic() < end:
            time.sleep(every)
        return got

    def wait_active(self, i, limit=60, connected=None):
        def good():
            s = self.status(i)
            return s['state'] == 'active' and \
                (connected is None or s['connected'] == connected)
        if not self.until(good, limit):
            raise Bail(f'node {i} is not active in {limit} s: '
                       f'{self.status(i)}\n{self.c[i].log()[-1500:]}')

    def wait_connected(self, n=None, nodes=None, limit=30):
        for i in nodes or self.nodes:
            self.wait_active(i, limit,
                             len(self.nodes) - 1 if n is None else n)

    # -- doing --

    def message(self, i, text, timeout=60):
        """(errno, called, returned, us); stamps are of the shared counter."""
        r = self.c[i].run(['checker', 'message', 'pci', self.a, text], timeout,
                          check=True)
        v = dict(w.split('=') for w in r.out.split())
        return (int(v['errno']), int(v['began']), int(v['ended']),
                int(v['us']))

    def must(self, i, text):
        """A message that has to succeed."""
        err = self.message(i, text)[0]
        if err:
            raise Bail(f'{text} on node {i}: {os.strerror(err)}\n' +
                       self.c[i].log()[-1500:])


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
        err, began, ended, us = self.v.message(i, text)
        if not err:
            self.h.trigger(slots, began, ended)
        return err, us

    def scan(self, i, target, threads=2, wait=True):
        area, self._area = self._area, (self._area + 1) % 24
        job = self.c[i].spawn(['checker', 'scan', 'pci', self.device(target),
                               str(area), f'threads={threads}'])
        got = Scan(self, i, target, area, job)
        return got.wait() if wait else got

    def check(self, scan):
        """Judges one scan; True if it is right."""
        self.m.update(self.h)
        if scan.said['errors']:
            self.h.error(f'node {scan.node}: {scan.said["errors"]} reads of '
                         f'{scan.who} failed')
            return False
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
