# SPDX-License-Identifier: GPL-2.0-only
"""Guests for tests and for the command line.

	with Cluster(n=3, shared={'a': '256M', 'b': '256M', 'm': '64M'}) as c:
		rc, out = c[1].run('dd if=/dev/zero of=/dev/disk/fc/a count=1')
		p = c[2].spawn('sleep 100')
		c.cut(1); c.heal(1); c[1].kill(); c[1].start()

Every call takes a timeout in seconds and raises Timeout when it is over.
"""
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from . import clock, daemon, debug, image, paths, proto, qemu
from .proto import Error


class Timeout(Error):
    """A command or a guest took longer than it was given."""


class GuestDied(Error):
    """The guest ended while a command ran in it."""


class CommandFailed(Error):
    """A command with check=True did not return 0."""


class Result(tuple):
    """(rc, out); out holds both streams in the order they came."""

    def __new__(cls, rc, out, stdout, stderr):
        self = super().__new__(cls, (rc, out))
        self.rc, self.out, self.stdout, self.stderr = rc, out, stdout, stderr
        return self


class Process:
    """A command in a guest. Its output is read by a thread of its own."""

    def __init__(self, node, argv, env=None, stdin=None, stdout=None,
                 stderr=None):
        """stdin: bytes, or True to feed it with write(); stdout, stderr:
        functions that take each piece of output, instead of collecting it."""
        self.node, self.argv = node, argv
        self._out, self._err, self._both = [], [], []
        self._sinks = {proto.STDOUT: (self._out, stdout),
                       proto.STDERR: (self._err, stderr)}
        self._rc, self._lost = None, None
        self._done = threading.Event()
        self._heard = time.monotonic()
        self._window = proto.STDIN_WINDOW
        self._room = threading.Condition()
        self._send_lock = threading.Lock()
        _, self._sock = proto.start(node.cluster.ctl, {
            'op': 'exec', 'node': node.nr, 'argv': argv, 'env': env or {}}, 60)
        self._sock.settimeout(None)
        self._send(proto.CREDIT, proto.u32(proto.OUT_WINDOW))
        threading.Thread(target=self._read, daemon=True).start()
        if stdin is None:
            self.close_stdin()
        elif stdin is not True:
            threading.Thread(target=self._feed, args=(stdin,),
                             daemon=True).start()

    def _send(self, kind, payload=b''):
        try:
            with self._send_lock:
                self._sock.sendall(proto.frame(kind, payload))
        except OSError:
            pass

    def _read(self):
        parser = proto.Parser()
        try:
            while data := self._sock.recv(1 << 18):
                for kind, _, payload in parser.feed(data):
                    self._frame(kind, payload)
        except OSError:
            pass
        if self._rc is None and self._lost is None:
            self._lost = 'connection lost'
        self._sock.close()
        self._done.set()
        with self._room:
            self._room.notify_all()

    def _frame(self, kind, payload):
        if kind in self._sinks:
            self._heard = time.monotonic()
            store, sink = self._sinks[kind]
            if sink:
                sink(payload)
            else:
                store.append(payload)
                self._both.append(payload)
            self._send(proto.CREDIT, proto.u32(len(payload)))
        elif kind == proto.EXIT:
            self._rc = int.from_bytes(payload, 'little')
        elif kind == proto.LOST:
            self._lost = payload.decode(errors='replace') or 'killed'
        elif kind == proto.STDIN_CREDIT:
            with self._room:
                self._window += int.from_bytes(payload, 'little')
                self._room.notify_all()

    def _feed(self, data):
        self.write(data)
        self.close_stdin()

    def write(self, data):
        """To the command's stdin; waits while the guest does not read."""
        view = memoryview(data)
        while view:
            with self._room:
                while not self._window and not self._done.is_set():
                    self._room.wait()
                if self._done.is_set():
                    return
                n = min(len(view), self._window, proto.CHUNK)
                self._window -= n
            self._send(proto.STDIN, bytes(view[:n]))
            view = view[n:]

    def close_stdin(self):
        self._send(proto.STDIN_EOF)

    def kill(self, sig=signal.SIGKILL):
        """Signals the command's process group."""
        self._send(proto.SIGNAL, proto.u32(int(sig)))

    def poll(self):
        """The exit code, or None while it runs."""
        if not self._done.is_set():
            return None
        return self._finish()

    def _finish(self):
        if self._lost is not None:
            raise GuestDied(f'guest {self.node.nr}: {self._lost} '
                            f'(running {" ".join(self.argv)})')
        return self._rc

    def wait(self, timeout=60, silence=False):
        """Result of the command; after the time is over it is killed. silence: the
        time begins anew with each piece of output."""
        timeout *= debug.slow()
        began = time.monotonic()
        while not self._done.wait(max(0, began + timeout - time.monotonic())):
            if silence and self._heard > began:
                began = self._heard
                continue
            so_far = self.out[-2000:]
            self.close()
            what = 'said nothing for' if silence else 'not done in'
            raise Timeout(f'guest {self.node.nr}: {" ".join(self.argv)}: '
                          f'{what} {timeout:g} s\n{so_far}')
        rc = self._finish()
        return Result(rc, self.out, b''.join(self._out), b''.join(self._err))

    @property
    def out(self):
        """What came so far, as text."""
        return b''.join(self._both).decode(errors='replace')

    def close(self):
        """Hangs up: the guest ends the command's process group."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Node:
    def __init__(self, cluster, nr):
        self.cluster, self.nr = cluster, nr
        self.ip, self.ip6 = f'10.77.0.{nr}', f'fd77::{nr}'

    def __repr__(self):
        return f'node{self.nr}'

    def _ask(self, op, limit=200, **kw):
        return self.cluster.ask(op, limit, node=self.nr, **kw)

    def spawn(self, cmd, env=None, **kw):
        """Starts a shell command (string) or a program (list)."""
        argv = ['bash', '-c', cmd] if isinstance(cmd, str) else list(cmd)
        return Process(self, argv, env, **kw)

    def run(self, cmd, timeout=60, check=False, stdin=None, env=None):
        r = self.spawn(cmd, env, stdin=stdin).wait(timeout)
        if check and r.rc:
            raise CommandFailed(f'guest {self.nr}: {cmd}: exit {r.rc}\n{r.out}')
        return r

    def sh(self, cmd, timeout=60, **kw):
        """Runs a command that must succeed; returns its output, stripped."""
        return self.run(cmd, timeout, check=True, **kw).out.strip()

    def kill(self):
        """The node crashes: QEMU is killed."""
        self._ask('kill')

    def start(self, timeout=360):
        self._ask('start', timeout + 10, timeout=timeout)

    def stop(self, timeout=30):
        """Syncs and powers off."""
        self._ask('stop', timeout + 60, timeout=timeout)

    def power_cycle(self, timeout=360):
        self.kill()
        self.start(timeout)

    def freeze(self, clock_jumps=False):
        """Stops the node's CPUs: with its clock, or so that it jumps later."""
        self._ask('freeze', signal=clock_jumps)

    def thaw(self):
        self._ask('thaw')

    def sysrq(self, key):
        self._ask('sysrq', key=key)

    def qmp(self, command, **args):
        return self._ask('qmp', command=command, args=args)['return']

    def status(self):
        return self.cluster.status()['nodes'][self.nr - 1]

    def log(self):
        """The kernel's console since the cluster was made, as text."""
        path = self.cluster.run / f'node{self.nr}' / 'console.log'
        return path.read_text(errors='replace')

    def put(self, host, guest, timeout=300):
        """Copies a file or the content of a directory into the guest."""
        host = Path(host)
        if host.is_dir():
            tar = subprocess.run(['tar', '-C', str(host), '-cf', '-', '.'],
                                 check=True, stdout=subprocess.PIPE).stdout
            self.run(['sh', '-c', 'mkdir -p "$0" && tar -C "$0" -xf -', guest],
                     timeout, check=True, stdin=tar)
            return
        mode = '%o' % (host.stat().st_mode & 0o777)
        self.run(['sh', '-c', '[ -d "$0" ] && set -- "$0/$2" "$1" || '
                  'set -- "$0" "$1"; cat >"$1" && chmod "$2" "$1"', guest, mode,
                  host.name], timeout, check=True, stdin=host.read_bytes())

    def get(self, guest, host, timeout=300):
        """Copies a file or a directory out of the guest."""
        is_dir = self.run(['test', '-d', guest]).rc == 0
        if is_dir:
            r = self.run(['tar', '-C', guest, '-cf', '-', '.'], timeout, True)
            Path(host).mkdir(parents=True, exist_ok=True)
            subprocess.run(['tar', '-C', str(host), '-xf', '-'], check=True,
                           input=r.stdout)
            return
        r = self.run(['cat', guest], timeout, check=True)
        host = Path(host)
        if host.is_dir():
            host = host / os.path.basename(guest)
        host.write_bytes(r.stdout)


def default_module():
    """The module of this tree, if it has been built."""
    for path in (os.environ.get('FCLOCK_KO'), paths.TREE / 'build/dm-fclock.ko',
                 paths.TREE / 'dm-fclock/dm-fclock.ko'):
        if path and Path(path).exists():
            return Path(path)
    return None


def compile_c(source, flags=()):
    """Builds a C file, or all of a folder, for host or guest; returns the cached
    program."""
    source = Path(source)
    files = sorted(source.glob('*.c')) if source.is_dir() else [source]
    key = hashlib.sha256(repr(flags).encode())
    for path in files + sorted(files[0].parent.glob('*.h')):
        key.update(path.read_bytes())
    target = paths.cache_dir('guest', 'bin') / \
        f'{source.stem}-{key.hexdigest()[:16]}'
    if not target.exists():
        part = f'{target}.{os.getpid()}'
        subprocess.run(['gcc', '-O2', '-Wall', '-Wextra', '-static', '-pthread',
                        *flags, '-o', part, *map(str, files)], check=True)
        os.rename(part, target)
    return target


def guest_files(module='default'):
    """What every guest finds below /fc: module, tests, tools."""
    tree = paths.TREE
    files = {}
    ko = default_module() if module == 'default' else module
    if ko:
        files['fc/dm-fclock.ko'] = stripped(ko)
        dlm = Path(ko).parent / 'dm-fclock-dlm.ko'
        if dlm.exists():
            files['fc/dm-fclock-dlm.ko'] = stripped(dlm)
    for name in ('tests/guest', 'tests/cluster', 'tests/tools'):
        top = tree / name
        for path in sorted(top.glob('*')) if top.is_dir() else []:
            if path.suffix == '.c':
                files[f'fc/bin/{path.stem}'] = compile_c(path)
            elif path.is_file():
                files[f'fc/{name}/{path.name}'] = path
    files['fc/bin/crash'] = compile_c(tree / 'tests/crash')
    # A program of others that a test uses if the host has it.
    if os.environ.get('FSX'):
        files['fc/bin/fsx'] = Path(os.environ['FSX'])
    script = tree / 'scripts/fclock'
    if script.exists():
        files['fc/bin/fclock'] = script
    return files


def stripped(ko):
    """The module without debug information, which only costs guest memory."""
    raw = Path(ko).read_bytes()
    target = paths.cache_dir('guest', 'bin') / \
        f'ko-{hashlib.sha256(raw).hexdigest()[:16]}.ko'
    if not target.exists():
        part = f'{target}.{os.getpid()}'
        subprocess.run(['strip', '-g', '-o', part, str(ko)], check=True)
        os.rename(part, target)
        image.prune(target.parent, 'ko-*', 8)
    return target


def module_trouble(ko, kern):
    """A module for another kernel fails late and obscurely; say it now."""
    if not ko:
        return None
    magic = subprocess.run(['modinfo', '-F', 'vermagic', str(ko)],
                           stdout=subprocess.PIPE, text=True).stdout.split()
    if magic and magic[0] == kern.release:
        return None
    return (f'{ko} is built for {magic[0] if magic else "no kernel"}, '
            f'the guests run {kern.release}')


class Cluster:
    """n guests with disks and a network. Usable as a context manager."""

    def __init__(self, n=1, name=None, shared=None, disks=None, mem=768, smp=2,
                 kernel=None, module='default', files=None, cmdline=(),
                 cache='unsafe', array=None, slots=4, net=True, ttl=3600,
                 qemu_args=(), owned=True, timeout=480, attach=False,
                 engine=False):
        """shared: disks of all guests, disks: of each guest its own, both
        {name: size} or {name: '@image file'} to copy; files: {guest path: host path} added to the root;
        engine: with corosync, dlm_controld and gfs2's tools;
        array='volatile': shared disks forget unflushed writes at power_cut();
        owned: the guests end when this process does; ttl: when they end in any
        case, in seconds; timeout: for booting."""
        self.name = name or f't{os.getpid()}-{secrets.token_hex(3)}'
        daemon.check_name(self.name)
        self.run = paths.run_dir() / self.name
        self.ctl = self.run / 'ctl.sock'
        self._owner = None
        self.boot_timeout = timeout
        if attach:
            self.nodes = {i['node']: Node(self, i['node'])
                          for i in self.status()['nodes']}
            return
        self.nodes = {i: Node(self, i) for i in range(1, n + 1)}
        if not 1 <= n <= 64:
            raise Error('1 to 64 guests')
        self._claim()
        self.disk_dir = paths.disk_dir() / self.name
        shutil.rmtree(self.disk_dir, ignore_errors=True)
        self.disk_dir.mkdir(mode=0o700)
        try:
            kern = image.kernel(kernel or os.environ.get('FCLOCK_KERNEL')
                                or 'amd64')
            all_files = guest_files(module)
            wrong = module_trouble(all_files.get('fc/dm-fclock.ko'), kern)
            if wrong and module == 'default' and 'FCLOCK_KO' not in os.environ:
                print(f'vm: left out: {wrong}', file=sys.stderr)
                del all_files['fc/dm-fclock.ko']
            elif wrong:
                raise Error(wrong)
            all_files.update(files or {})
            initrd = image.initramfs(kern, self.disk_dir / 'initrd.cpio',
                                     all_files,
                                     [image.engine()] if engine else ())
            boot = qemu.pvh_kernel(kern.image)
            accel = qemu.accelerator(boot, initrd)
            # with -icount its clock is the number of its instructions
            counted = '-icount' in qemu_args
            if accel is qemu.TCG and not counted:
                cmdline = [*clock.tsc_words(compile_c(
                    paths.TREE / 'tests/guest/init/tsc.c')), *cmdline]
            spec = {
                'name': self.name, 'run': str(self.run),
                'disk_dir': str(self.disk_dir), 'n': n, 'mem': mem, 'smp': smp,
                'boot': str(boot), 'initrd': str(initrd),
                'release': kern.release, 'cmdline': list(cmdline),
                'cache': cache, 'slots': slots, 'net': net, 'ttl': ttl,
                'owned': owned, 'qemu_args': list(qemu_args),
                'accel': accel, 'counted': counted,
                'switch': str(compile_c(
                    paths.TREE / 'tests/guest/init/switch.c')),
                'disks': {},
            }
            self._make_disks(spec, shared or {}, disks or {}, array)
            self._start(spec)
            self.ask('wait', timeout + 10, timeout=timeout)
        except BaseException:
            self.down()
            shutil.rmtree(self.disk_dir, ignore_errors=True)
            shutil.rmtree(self.run, ignore_errors=True)
            raise

    def _claim(self):
        """The run directory, unless a living daemon holds it."""
        self.run.mkdir(mode=0o700, exist_ok=True)
        with open(self.run / 'lock', 'w') as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Error(f'a cluster named {self.name} is up already '
                            f'(scripts/vm down --name {self.name})') from None
            for path in self.run.iterdir():
                if path.name != 'lock':
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        if len(str(self.run / 'node64' / 'control.sock')) > 100:
            raise Error(f'{self.run}: path too long for sockets')

    def _make_disks(self, spec, shared, disks, array):
        for name in (*shared, *disks):
            daemon.check_name(name)
        both = set(shared) & set(disks)
        if both:
            raise Error(f'disk {both.pop()} is both shared and private')
        images = {n: daemon.make_disk(self.disk_dir, n, s)
                  for n, s in shared.items()}
        if array == 'volatile':
            sock = self.run / 'array.sock'
            spec['array'] = [str(compile_c(
                paths.TREE / 'tests/guest/init/array.c')), str(sock)] + \
                [f'{n}={p}' for n, p in images.items()]
        elif array:
            raise Error(f'no array mode {array}; there is "volatile"')
        for i in self.nodes:
            mine = {}
            for n, path in images.items():
                mine[n] = qemu.nbd_args(f'{i}/{n}', n, sock) if array else \
                    qemu.disk_args(n, path, spec['cache'])
            for n, size in disks.items():
                mine[n] = qemu.disk_args(n, daemon.make_disk(
                    self.disk_dir, f'{n}-{i}', size), spec['cache'])
            spec['disks'][str(i)] = mine

    def _start(self, spec):
        path = self.run / 'spec.json'
        path.write_text(json.dumps(spec))
        env = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[1]),
                   PYTHONDONTWRITEBYTECODE='1')
        with open(self.run / 'daemon.log', 'w') as log:
            self._daemon = subprocess.Popen(
                [sys.executable, '-m', 'vmlib.daemon', str(path)], env=env,
                stdin=subprocess.PIPE if spec['owned'] else subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        self._owner = self._daemon.stdin
        line = self._daemon.stdout.readline()
        self._daemon.stdout.close()
        answer = json.loads(line) if line else {
            'error': 'the daemon did not start: ' +
            (self.run / 'daemon.log').read_text()[-2000:]
            if self.run.exists() else 'the daemon did not start'}
        if 'error' in answer:
            raise Error(answer['error'])

    def ask(self, op, limit=200, **kw):
        return proto.ask(self.ctl, {'op': op, **kw}, limit)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()

    def __getitem__(self, nr):
        return self.nodes[nr]

    def __iter__(self):
        return iter(self.nodes.values())

    def __len__(self):
        return len(self.nodes)

    def status(self):
        return self.ask('status', 30)

    def down(self):
        """Ends all guests and removes their disks."""
        try:
            self.ask('down', 60)
        except Error:
            pass
        if self._owner:
            self._owner.close()
            self._owner = None
            try:
                self._daemon.wait(60)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        else:
            end = time.monotonic() + 60
            while self.run.exists() and time.monotonic() < end:
                if not alive(self.run):
                    shutil.rmtree(self.run, ignore_errors=True)
                    shutil.rmtree(paths.disk_dir() / self.name,
                                  ignore_errors=True)
                    break
                time.sleep(0.05)

    def cut(self, node, peer=0, carrier=False, one_way=False):
        """Cuts a node off (or from one peer): frames vanish silently, or with
        carrier=True its NIC sees the link go down."""
        self.ask('link', node=int(node), peer=peer, cut=True, carrier=carrier,
                 one_way=one_way)

    def heal(self, node, peer=0, carrier=False, one_way=False):
        self.ask('link', node=int(node), peer=peer, cut=False, carrier=carrier,
                 one_way=one_way)

    def heal_all(self):
        for node in self.nodes:
            self.heal(node)

    def add_disk(self, name, size, nodes=(), shared=True):
        """Attaches a new disk to running guests (all, if none is named)."""
        self.ask('disk', name=name, size=size, nodes=list(nodes), shared=shared)
        for n in (nodes or self.nodes):
            self.nodes[n].run(f'for i in $(seq 100); do [ -b /dev/disk/fc/{name} '
                              '] && exit 0; sleep 0.1; done; exit 1',
                              30, check=True)

    def reboot(self, nodes=(), timeout=180):
        """Syncs and reboots guests, all at once."""
        self.ask('cycle', timeout + 90, nodes=list(nodes), timeout=timeout)

    def kill_all(self):
        for node in self:
            node.kill()

    def power_cycle(self, nodes=(), timeout=180):
        """Kills guests at once, then starts them. Disks keep every write."""
        self.ask('cycle', timeout + 90, nodes=list(nodes), timeout=timeout,
                 hard=True)

    def power_cut(self, seed=None, keep=50, timeout=180):
        """With array='volatile': all guests and the array lose power. Of the
        sectors that were written and not flushed keep percent survive.
        Returns the seed."""
        seed = secrets.randbits(31) if seed is None else seed
        self.ask('cycle', timeout + 90, nodes=[], timeout=timeout, hard=True,
                 cut_seed=seed, cut_keep=keep)
        return seed

    def fence(self, node):
        """With array='volatile': the node's requests to shared disks fail."""
        self.array(f'fence {int(node)}')

    def unfence(self, node):
        self.array(f'unfence {int(node)}')

    def array(self, command):
        """A command to the fake array; see tests/guest/init/array.c."""
        return self.ask('array', command=command)['answer']


def alive(run):
    """Whether a daemon holds a run directory."""
    try:
        with open(run / 'lock') as f:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def clusters():
    """Names of the clusters of this user that are up; removes dead ones."""
    names = []
    for run in sorted(paths.run_dir().iterdir()):
        if alive(run):
            names.append(run.name)
        elif run.is_dir() and time.time() - run.stat().st_mtime > 60:
            shutil.rmtree(run, ignore_errors=True)
            shutil.rmtree(paths.disk_dir() / run.name, ignore_errors=True)
    return names
