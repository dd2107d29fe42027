# SPDX-License-Identifier: GPL-2.0-only
"""The process behind one cluster: it owns the guests and ends with them.

Clients connect to a unix socket, send one line of JSON and get one line back.
An "exec" connection then carries frames (see proto.py) in both directions.
QEMU dies with this process (PDEATHSIG); this process dies when its owner
closes the pipe on its stdin, when its time is over, or by "down".
"""
import asyncio
import collections
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import clock, proto, qemu

PANIC = ('Kernel panic', 'BUG:', 'Oops', 'general protection fault',
         'Unable to handle', 'KASAN', 'RIP:')


class Guest:
    """One guest. State: off, booting, up, frozen or dead."""

    def __init__(self, daemon, nr):
        self.daemon, self.nr = daemon, nr
        self.run = daemon.run / f'node{nr}'
        self.run.mkdir(exist_ok=True)
        self.state = 'off'
        self.why = ''
        self.proc = None
        self.boots = 0
        self.boot_seconds = 0.0
        self._servers = []
        self._control = self._qmp = None
        self._qmp_wait = collections.deque()
        self._streams = {}
        self._next = 1
        self._up = None
        self._gone = None
        self._rate = self._judge = None
        self._again = False
        self._exit_wanted = False
        self._stopped = False

    # -- life --

    async def start(self):
        if self.state not in ('off', 'dead'):
            raise proto.Error(f'guest {self.nr} is {self.state}')
        self._up = asyncio.get_running_loop().create_future()
        self._tries = 0
        await self._boot()

    async def _boot(self):
        loop = asyncio.get_running_loop()
        for name, handler in (('control', self._control_connected),
                              ('qmp', self._qmp_connected)):
            path = self.run / f'{name}.sock'
            path.unlink(missing_ok=True)
            self._servers.append(
                await asyncio.start_unix_server(handler, path, limit=1 << 22))
        self.state, self.why = 'booting', ''
        self._exit_wanted = False
        self._gone = loop.create_future()
        self.boots += 1
        self._note(f'start {self.boots}')
        self.log_start = os.path.getsize(self.run / 'console.log')
        argv = qemu.command_line(self.daemon.spec, self.nr, self.run,
                                 self.daemon.spec['accel'])
        self._began = time.monotonic()
        with open(self.run / 'qemu.log', 'ab') as log:
            self.proc = proto.popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, cwd=self.run)
        fd = os.pidfd_open(self.proc.pid)
        loop.add_reader(fd, self._exited, fd)

    async def wait_up(self, timeout):
        if self.state == 'up':
            return
        if self._up is None:
            raise proto.Error(f'guest {self.nr} is {self.state}')
        try:
            await asyncio.wait_for(asyncio.shield(self._up), timeout / 2)
            return
        except asyncio.TimeoutError:
            if self.state == 'booting' and not self._again:
                await self._boot_again(f'not up after {timeout / 2:.0f} s')
        try:
            await asyncio.wait_for(asyncio.shield(self._up), timeout / 2)
        except asyncio.TimeoutError:
            raise proto.Error(f'guest {self.nr} did not come up in {timeout} s'
                              f'\n{self.tail()}') from None

    def _hello(self, payload):
        words = dict(w.split(b'=') for w in payload.split() if b'=' in w)
        if self.daemon.spec['counted'] or \
                clock.looks_right(int(words[b'ms']) / 1000,
                                  time.monotonic() - self._began):
            self._is_up()
        else:
            self._judge = asyncio.ensure_future(self._judge_clock())

    async def _judge_clock(self):
        """The guest is up if its clock is right, else it boots once more."""
        self._rate = clock.Rate(self._control.write)
        rate = await self._rate.measure()
        self._judge = None
        if clock.fits(rate):
            self._is_up()
            return
        why = f"its clock ran {rate:.2g} times as fast as the host's"
        self._tries += 1
        if self._tries == clock.TRIES:
            self._fail(f'{why}, {self._tries} times')
        await self._boot_again(why)

    async def _boot_again(self, why):
        """What happens while it boots says nothing about what is tested."""
        self._note(why)
        self._again = not self._up.done()
        await self.kill()
        if self._again:
            self._again = False
            await self._boot()

    def _is_up(self):
        self.state = 'up'
        self.boot_seconds = time.monotonic() - self._began
        if not self._up.done():
            self._up.set_result(None)

    def _fail(self, why):
        """Whoever waits for the guest hears why it does not come up."""
        if not self._up.done():
            self._up.set_exception(proto.Error(f'guest {self.nr}: {why}'))
            self._up.exception()

    def _note(self, text):
        with open(self.run / 'console.log', 'a') as f:
            f.write(f'---- guest {self.nr}: {text} ----\n')

    def _exited(self, fd):
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
        code = self.proc.wait()
        for server in self._servers:
            server.close()
        self._servers = []
        for end in (self._control, self._qmp):
            if end:
                end.close()
        self._control = self._qmp = None
        self._stopped = False
        while self._qmp_wait:
            f = self._qmp_wait.popleft()
            if not f.done():
                f.set_exception(proto.Error(f'guest {self.nr} ended'))
        if self._exit_wanted:
            self.state = 'off'
        else:
            self.state, self.why = 'dead', self._reason(code)
        for writer in list(self._streams.values()):
            writer.write(proto.frame(proto.LOST, self.why.encode() or b'killed'))
            writer.close()
        self._streams.clear()
        if self._judge:
            self._judge.cancel()
            self._judge = None
        if not self._again:
            self._fail(f'ended while booting: {self.why}\n{self.tail()}')
        self._gone.set_result(None)

    def _reason(self, code):
        lines = self.tail(400).splitlines()
        for line in lines:
            if any(p in line for p in PANIC):
                return line.strip()
        if lines and 'reboot: ' in lines[-1]:
            return lines[-1].strip()
        err = (self.run / 'qemu.log').read_text(errors='replace').splitlines()
        return f'QEMU ended with {code}' + (f': {err[-1]}' if err else '')

    def tail(self, lines=40):
        try:
            with open(self.run / 'console.log', 'rb') as f:
                f.seek(max(self.log_start,
                           os.path.getsize(f.name) - lines * 200))
                text = f.read().decode(errors='replace')
        except OSError:
            return ''
        return '\n'.join(text.splitlines()[-lines:])

    async def kill(self):
        if self.state in ('off', 'dead'):
            self.state = 'off'
            return
        self._exit_wanted = True
        self.proc.send_signal(signal.SIGKILL)
        await asyncio.wait_for(asyncio.shield(self._gone), 30)

    async def shut_down(self, how, timeout):
        """how: 1 restart, 2 power off; the guest syncs first."""
        if self.state != 'up':
            raise proto.Error(f'guest {self.nr} is {self.state}')
        self._exit_wanted = True
        self._control.write(proto.frame(proto.POWER, proto.u32(how)))
        try:
            await asyncio.wait_for(asyncio.shield(self._gone), timeout)
        except asyncio.TimeoutError:
            await self.kill()

    async def freeze(self, signal_stop):
        if self.state != 'up':
            raise proto.Error(f'guest {self.nr} is {self.state}')
        if signal_stop:
            self.proc.send_signal(signal.SIGSTOP)
        else:
            await self.qmp('stop')
        self._stopped = signal_stop
        self.state = 'frozen'

    async def thaw(self):
        if self.state != 'frozen':
            raise proto.Error(f'guest {self.nr} is {self.state}')
        if self._stopped:
            self.proc.send_signal(signal.SIGCONT)
        else:
            await self.qmp('cont')
        self._stopped = False
        self.state = 'up'

    # -- QMP --

    async def _qmp_connected(self, reader, writer):
        self._qmp = writer
        await reader.readline()
        writer.write(b'{"execute":"qmp_capabilities"}\n')
        await reader.readline()
        while line := await reader.readline():
            msg = json.loads(line)
            if 'event' in msg or not self._qmp_wait:
                continue
            f = self._qmp_wait.popleft()
            if f.done():
                continue
            if 'error' in msg:
                f.set_exception(proto.Error('QEMU: ' + msg['error']['desc']))
            else:
                f.set_result(msg['return'])

    async def qmp(self, command, **args):
        if not self._qmp:
            raise proto.Error(f'guest {self.nr} is {self.state}')
        f = asyncio.get_running_loop().create_future()
        self._qmp_wait.append(f)
        self._qmp.write(json.dumps(
            {'execute': command, 'arguments': args}).encode() + b'\n')
        return await asyncio.wait_for(f, 30)

    # -- control port --

    async def _control_connected(self, reader, writer):
        self._control = writer
        parser = proto.Parser()
        while data := await reader.read(1 << 18):
            for kind, stream, payload in parser.feed(data):
                self._from_guest(kind, stream, payload)

    def _from_guest(self, kind, stream, payload):
        if kind == proto.HELLO:
            self._hello(payload)
            return
        if kind == proto.PONG and self._rate:
            self._rate.pong(payload)
            return
        client = self._streams.get(stream)
        if not client:
            return
        client.write(proto.frame(kind, payload))
        if kind == proto.EXIT:
            del self._streams[stream]
            client.close()

    async def serve_exec(self, request, reader, writer):
        """Joins a client's connection to a new stream of the guest."""
        if self.state not in ('up', 'frozen') or not self._control:
            raise proto.Error(f'guest {self.nr} is {self.state}' +
                              (f': {self.why}' if self.why else ''))
        payload = proto.exec_payload(request['argv'], request.get('env', {}),
                                     request.get('pty', False),
                                     request.get('rows', 24),
                                     request.get('cols', 80))
        if len(payload) > 200000:
            raise proto.Error('command line too long')
        stream = self._next
        self._next += 1
        self._streams[stream] = writer
        writer.write(b'{"ok":true}\n')
        self._control.write(proto.frame(proto.EXEC, payload, stream))
        parser = proto.Parser()
        try:
            while data := await reader.read(1 << 18):
                for kind, _, payload in parser.feed(data):
                    if stream in self._streams and self._control:
                        self._control.write(proto.frame(kind, payload, stream))
        except ConnectionError:
            pass
        if self._streams.pop(stream, None) and self._control:
            self._control.write(proto.frame(proto.CLOSE, stream=stream))

    def sysrq(self, key):
        if not self._control:
            raise proto.Error(f'guest {self.nr} is {self.state}')
        self._control.write(proto.frame(proto.SYSRQ, key.encode()))


class Daemon:
    def __init__(self, spec):
        self.spec = spec
        self.run = Path(spec['run'])
        self.disks = Path(spec['disk_dir'])
        self.guests = {}
        self.links = {}
        self.done = None
        self.switch = self.array = None
        self._hotplugged = collections.Counter()

    def guest(self, request):
        try:
            return self.guests[int(request['node'])]
        except (KeyError, ValueError):
            raise proto.Error(f'no guest {request.get("node")}; there are '
                              f'1 to {len(self.guests)}') from None

    async def op_status(self, _):
        return {'name': self.spec['name'], 'pid': os.getpid(),
                'accel': self.spec['accel'][1], 'release': self.spec['release'],
                'left': int(self.ends - time.monotonic()),
                'nodes': [{
                    'node': g.nr, 'state': g.state, 'why': g.why,
                    'pid': g.proc.pid if g.proc and g.state not in
                    ('off', 'dead') else None,
                    'boot_seconds': round(g.boot_seconds, 1), 'boots': g.boots,
                    'links_cut': sorted(k for k, v in self.links.items()
                                        if v and g.nr in k),
                    'disks': {n: b.get('file', {}).get('filename') or 'array'
                              for n, b in
                              self.spec['disks'][str(g.nr)].items()},
                    'log': str(g.run / 'console.log'),
                } for g in self.guests.values()]}

    async def op_wait(self, r):
        await asyncio.gather(*(
            g.wait_up(r.get('timeout', 180)) for g in
            ([self.guest(r)] if 'node' in r else self.guests.values())))
        return {}

    async def op_start(self, r):
        g = self.guest(r)
        await g.start()
        if r.get('wait', True):
            await g.wait_up(r.get('timeout', 180))
        return {'boot_seconds': g.boot_seconds}

    async def op_kill(self, r):
        await self.guest(r).kill()
        return {}

    async def op_stop(self, r):
        await self.guest(r).shut_down(2, r.get('timeout', 30))
        return {}

    async def op_cycle(self, r):
        """Power-cycle (hard) or reboot some guests together."""
        nodes = [self.guest({'node': n}) for n in r['nodes']] or \
            list(self.guests.values())
        if r.get('hard'):
            await asyncio.gather(*(g.kill() for g in nodes))
        else:
            await asyncio.gather(*(g.shut_down(1, r.get('timeout', 60))
                                   for g in nodes if g.state == 'up'))
            await asyncio.gather(*(g.kill() for g in nodes
                                   if g.state not in ('off', 'dead')))
        if 'cut_seed' in r:
            await self.array_command(f'cut {r["cut_seed"]} {r["cut_keep"]}')
        for g in nodes:
            await g.start()
        for g in nodes:
            await g.wait_up(r.get('timeout', 180))
        return {}

    async def op_freeze(self, r):
        await self.guest(r).freeze(r.get('signal', False))
        return {}

    async def op_thaw(self, r):
        await self.guest(r).thaw()
        return {}

    async def op_sysrq(self, r):
        self.guest(r).sysrq(r['key'])
        return {}

    async def op_qmp(self, r):
        return {'return': await self.guest(r).qmp(r['command'],
                                                  **r.get('args', {}))}

    async def op_link(self, r):
        """carrier: the NIC sees its link go down; else frames vanish."""
        a, b, cut = int(r['node']), int(r.get('peer') or 0), bool(r['cut'])
        self.guest(r)
        if r.get('carrier'):
            await self.guest(r).qmp('set_link', name='net0', up=not cut)
            self.links[(a, 'carrier')] = cut
            return {}
        word = 'cut' if cut else 'heal'
        await self.switch_command(f'{word} {a} {b}')
        if not r.get('one_way'):
            await self.switch_command(f'{word} {b} {a}')
        others = [b] if b else [n for n in self.guests if n != a]
        for o in others:
            self.links[(a, o)] = cut
            if not r.get('one_way'):
                self.links[(o, a)] = cut
        return {}

    async def op_netstat(self, _):
        return {'switch': await self.switch_command('stat')}

    async def op_disk(self, r):
        """Adds a disk to running guests; it gets a hot-plug port there."""
        name = check_name(r['name'])
        nodes = [self.guest({'node': n}) for n in r['nodes']] or \
            list(self.guests.values())
        for g in nodes:
            if name in self.spec['disks'][str(g.nr)]:
                raise proto.Error(f'guest {g.nr} has a disk {name} already')
        shared = r.get('shared', len(nodes) > 1)
        for g in nodes:
            label = name if shared else f'{name}-{g.nr}'
            path = make_disk(self.disks, label, r['size'])
            blockdev = qemu.disk_args(name, path, self.spec['cache'])
            self.spec['disks'][str(g.nr)][name] = blockdev
            if g.state in ('off', 'dead'):
                continue
            port = self._hotplugged[g.nr]
            if port >= self.spec['slots']:
                raise proto.Error(f'guest {g.nr} has no hot-plug port left '
                                  '(--slots)')
            self._hotplugged[g.nr] += 1
            await g.qmp('blockdev-add', **blockdev)
            await g.qmp('device_add', bus=f'hp{port}', **qemu.disk_device(name))
        return {}

    async def op_array(self, r):
        return {'answer': await self.array_command(r['command'])}

    async def op_down(self, _):
        self.done.set_result('down')
        return {}

    async def line_command(self, proc, lock, text):
        if not proc:
            raise proto.Error('this cluster has none')
        async with lock:
            proc.stdin.write(text.encode() + b'\n')
            line = await asyncio.wait_for(proc.stdout.readline(), 60)
        answer = line.decode().strip()
        if not line or answer.startswith('bad'):
            raise proto.Error(f'{text}: {answer or "no answer"}')
        return answer

    async def switch_command(self, text):
        return await self.line_command(self.switch, self._switch_lock, text)

    async def array_command(self, text):
        return await self.line_command(self.array, self._array_lock, text)

    async def client(self, reader, writer):
        try:
            request = json.loads(await reader.readline() or '{}')
            op = request.get('op')
            if op == 'exec':
                await self.guest(request).serve_exec(request, reader, writer)
                return
            handler = getattr(self, f'op_{op}', None)
            if not handler:
                raise proto.Error(f'no operation {op}')
            answer = await handler(request)
        except (proto.Error, asyncio.TimeoutError, OSError, KeyError,
                ValueError, subprocess.CalledProcessError) as e:
            answer = {'error': str(e) or type(e).__name__}
        try:
            writer.write(json.dumps(answer).encode() + b'\n')
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def service(self, *argv):
        with open(self.run / 'services.log', 'ab') as log:
            proc = await asyncio.create_subprocess_exec(
                *map(str, argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, preexec_fn=proto.die_with_parent)
        line = await asyncio.wait_for(proc.stdout.readline(), 20)
        if line != b'ready\n':
            raise proto.Error(f'{argv[0]} did not start')
        return proc

    async def start_all(self):
        for nr in range(1, self.spec['n'] + 1):
            self.guests[nr] = Guest(self, nr)
        if self.spec['net']:
            self.switch = await self.service(
                self.spec['switch'],
                *(g.run / 'net.sock' for g in self.guests.values()))
        if self.spec.get('array'):
            self.array = await self.service(*self.spec['array'])
        for g in self.guests.values():
            await g.start()

    async def main(self):
        loop = asyncio.get_running_loop()
        self.done = loop.create_future()
        self._switch_lock, self._array_lock = asyncio.Lock(), asyncio.Lock()
        self.ends = time.monotonic() + self.spec['ttl']

        def end(why):
            if not self.done.done():
                self.done.set_result(why)

        for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(s, end, 'signal')
        loop.call_later(self.spec['ttl'], end, 'time is over')
        if self.spec['owned']:
            loop.add_reader(0, end, 'owner ended')
        server = None
        try:
            await self.start_all()
            sock = self.run / 'ctl.sock'
            sock.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(self.client, sock,
                                                     limit=1 << 20)
            os.write(1, b'{"ok":true}\n')
            await self.done
        except (proto.Error, OSError) as e:
            os.write(1, json.dumps({'error': str(e)}).encode() + b'\n')
        finally:
            if server:
                server.close()
            await asyncio.gather(*(g.kill() for g in self.guests.values()),
                                 return_exceptions=True)
            for proc in (self.switch, self.array):
                if proc and proc.returncode is None:
                    proc.kill()
                    await proc.wait()


def check_name(name):
    ok = name and len(name) <= 20 and \
        all(c.isalnum() or c in '-_.' for c in name)
    if not ok:
        raise proto.Error(f'bad disk name {name!r}: 1 to 20 letters, digits, '
                          '"-", "_", "."')
    return name


def parse_size(text):
    units = {'': 1, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 'T': 1 << 40}
    text = str(text).upper().removesuffix('B').removesuffix('I')
    number, unit = (text, '') if text.isdigit() else (text[:-1], text[-1:])
    try:
        size = int(number) * units[unit]
    except (KeyError, ValueError):
        raise proto.Error(f'bad size {text!r}') from None
    if size <= 0 or size % 512:
        raise proto.Error(f'size {text} is not a multiple of 512')
    return size


def make_disk(directory, label, size):
    """A disk image; size may be "@FILE", then it is a copy of that image."""
    path = directory / f'{label}.raw'
    if str(size).startswith('@'):
        subprocess.run(['cp', '--sparse=always', '--reflink=auto', size[1:],
                        str(path)], check=True)
        path.chmod(0o600)
        size = path.stat().st_size
    with open(path, 'ab') as f:
        f.truncate(parse_size(size))
    return path


def main(spec_path):
    with open(spec_path) as f:
        spec = json.load(f)
    lock = open(Path(spec['run']) / 'lock', 'w')
    fcntl.flock(lock, fcntl.LOCK_EX)
    daemon = Daemon(spec)
    try:
        asyncio.run(daemon.main())
    finally:
        shutil.rmtree(spec['disk_dir'], ignore_errors=True)
        shutil.rmtree(spec['run'], ignore_errors=True)


if __name__ == '__main__':
    main(sys.argv[1])
