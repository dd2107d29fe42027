#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Attacks the port of a volume. Runs where root of a peer's host would sit.

    hostile.py ATTACK[,ATTACK...] FROM TO [NAME=VALUE...]

FROM is an address of this host, TO the address:port of a node. Each attack prints
a line of facts, "ATTACK NAME=VALUE ...". What comes from a port below 1024 and a
peer's address gets as far as its HELLO; all else ends before that.
"""
import functools
import os
import select
import signal
import socket
import struct
import sys
import time

HEADER = struct.Struct('<IBBHIIQQQQQ16s')
HELLO = struct.Struct('<BBBBI16sQIIQQQHHHH32s32sQ')
MAGIC, VERSION = 0x66636c6b, 3
CHALLENGE, HELLO_TYPE, WELCOME = 15, 16, 17
CHALLENGE_SIZE, HELLO_SIZE = 112, 216
# payload lengths by type, as the decoder wants them
LENGTHS = {1: 24, 2: 48, 3: 0, 4: 0, 15: 40, 16: 144, 17: 144, 18: 0, 19: 184, 20: 128,
           21: 24, 22: 0, 23: 4096, 24: 4096, 25: 144}
PING = 25


class Chance:
    """Repeatable, and does not wait for a young kernel's entropy."""
    def __init__(self, seed):
        self.state = seed * 0x9e3779b97f4a7c15 + 1

    def randbytes(self, n):
        out = bytearray()
        while len(out) < n:
            self.state = (self.state * 6364136223846793005 +
                          1442695040888963407) % (1 << 64)
            out += struct.pack('<I', self.state >> 32)
        return bytes(out[:n])


def address(text):
    host, _, port = text.rpartition(':')
    return host.strip('[]'), int(port)


def family(host):
    return socket.AF_INET6 if ':' in host else socket.AF_INET


def header(kind, length, sender=7, receiver=0, state=0, ident=0, seq=1,
           magic=MAGIC, version=VERSION, reserved=0):
    return HEADER.pack(magic, version, kind, reserved, length, 0, sender,
                       receiver, state, ident, seq, bytes(16))


class Attacker:
    def __init__(self, args):
        self.args = args
        self.host = args.source
        self.to = address(args.to)
        self.ports = list(range(513, 1024))
        start = os.getpid() % len(self.ports)
        self.ports = self.ports[start:] + self.ports[:start]

    def socket(self, reserved=True, linger=False):
        s = socket.socket(family(self.host), socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if linger:      # closing is a reset
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         struct.pack('ii', 1, 0))
        while reserved:
            self.ports.append(self.ports.pop(0))
            try:
                s.bind((self.host, self.ports[-1]))
                return s
            except OSError:
                continue
        s.bind((self.host, 0))
        return s

    def connect(self, reserved=True, timeout=5):
        s = self.socket(reserved, linger=True)
        s.settimeout(timeout)
        s.connect(self.to)
        return s

    def say(self, data, wait=8, reserved=True):
        """What becomes of a connection that says this: 'closed', 'silent' or
        the refusal of a WELCOME, 0: accepted; and how long that took."""
        began = time.monotonic()
        try:
            s = self.connect(reserved)
            s.settimeout(wait)
            s.sendall(data)
            got = hear(s, CHALLENGE_SIZE + HELLO_SIZE)[CHALLENGE_SIZE:]
            s.close()
        except socket.timeout:
            s.close()
            return 'silent', time.monotonic() - began
        except OSError:
            return 'closed', time.monotonic() - began
        if len(got) == HELLO_SIZE and got[5] == WELCOME:
            return struct.unpack_from('<I', got, 76)[0], \
                time.monotonic() - began
        return 'closed', time.monotonic() - began


def hear(s, size):
    """So many bytes, or what comes before the end."""
    got = b''
    while len(got) < size:
        more = s.recv(size - len(got))
        if not more:
            break
        got += more
    return got


# ---- what is said ----

def good_hello(args):
    """The real node's own, as it was captured, and all it said after it; else
    one of node 3 that would do."""
    if not args.file:
        return header(HELLO_TYPE, HELLO.size, sender=7) + HELLO.pack(
            VERSION, VERSION, 3, 1, 0, bytes(16), args.length, args.grain, 5000, 0, 0, 0,
            0, 0, 256, 4096, b'node3', bytes(32), args.length)
    with open(args.file, 'rb') as f:
        data = f.read()
    assert data[5] == HELLO_TYPE and len(data) >= HELLO_SIZE, 'no HELLO captured'
    return data


def patched(frame, offset, fmt, value):
    frame = bytearray(frame[:HELLO_SIZE])
    struct.pack_into(fmt, frame, offset, value)
    return bytes(frame)


def facts(name, **values):
    print(name, *(f'{k}={v}' for k, v in values.items()), flush=True)


def odd(a):
    """First frames that are no HELLO of this protocol, or not a good one."""
    rnd = Chance(a.args.seed)
    hello = good_hello(a.args)
    bodies = {}
    for i in range(20):
        bodies[f'garbage{i}'] = rnd.randbytes(HELLO_SIZE)
    for length in (0, 1, 143, 145, 4096, 4097, 0x7fffffff, 0xffffffff):
        bodies[f'length{length}'] = header(HELLO_TYPE, length) + hello[72:HELLO_SIZE]
    for kind in list(range(16)) + list(range(17, 28)) + [255]:
        bodies[f'type{kind}'] = header(kind, LENGTHS.get(kind, 144)) + \
            hello[72:HELLO_SIZE]
    bodies['version0'] = header(HELLO_TYPE, 144, version=0) + hello[72:HELLO_SIZE]
    bodies['later'] = header(HELLO_TYPE, 144, version=VERSION + 1) + \
        hello[72:HELLO_SIZE]
    bodies['magic'] = header(HELLO_TYPE, 144, magic=0) + hello[72:HELLO_SIZE]
    bodies['reserved'] = header(HELLO_TYPE, 144, reserved=1) + hello[72:HELLO_SIZE]
    for node in (0, 1, 2, 64, 65, 255):     # 3 is who it really is
        bodies[f'node{node}'] = patched(hello, 74, '<B', node)
    bodies['host'] = patched(hello, 144, '<B', 10)
    bodies['nonce'] = patched(hello, 180, '<B', 1)
    bodies['grain0'] = patched(hello, 104, '<I', 0)
    results = {k: a.say(v)[0] for k, v in bodies.items()}
    bad = [f'{k}:{v}' for k, v in results.items() if v != 'closed']
    facts('odd', tried=len(results), closed=len(results) - len(bad),
          bad=','.join(bad) or '-')


def refused(a):
    """A HELLO that checks, of somebody who must not come in."""
    hello = good_hello(a.args)
    cases = {
        'uuid': patched(hello, 80, '<Q', 0x1122334455667788),
        'length': patched(patched(hello, 96, '<Q', 8), 208, '<Q', 8),
        'grain': patched(hello, 104, '<I', 8),
        'key': patched(hello, 138, '<H', 1),
        'peer': patched(hello, 75, '<B', 2 if hello[75] != 2 else 1),
        'instance0': patched(hello, 16, '<Q', 0),
        'instance': patched(hello, 16, '<Q', 4711),
        'protocol': patched(hello, 72, '<H', 0x0101 * (VERSION + 1)),
    }
    facts('refused', **{k: a.say(v)[0] for k, v in cases.items()})


def claim(a):
    """A HELLO of the node that is named, whoever has this host."""
    hello = patched(good_hello(a.args), 74, '<B', a.args.node)
    facts('claim', answer=a.say(hello)[0])


def lengths(a):
    """HELLOs of a volume that is longer each time, and of a node that can run it."""
    hello = patched(good_hello(a.args), 208, '<Q', 1 << 31)
    said = [a.say(patched(hello, 96, '<Q', (1 << 30) + n * 8))[0]
            for n in range(a.args.made)]
    facts('lengths', tried=len(said), refused=said.count(22))


def unkeyed(a):
    """To a node that has a key, without it."""
    hello = good_hello(a.args)[:HELLO_SIZE]
    flagged = patched(hello, 138, '<H', 1)
    rnd = Chance(a.args.seed)
    made_up = flagged[:56] + rnd.randbytes(16) + flagged[72:176] + \
        rnd.randbytes(32) + flagged[208:]
    results = [a.say(h)[0] for h in (hello, flagged, made_up)]
    facts('unkeyed', tried=len(results), closed=results.count('closed'))


def slow(a):
    """Half a HELLO, a byte in a second, nothing: all at once; how long each lives."""
    hello = good_hello(a.args)[:HELLO_SIZE]
    began = time.monotonic()
    live = {n: a.connect() for n in ('half', 'drip', 'silent')}
    live['half'].sendall(hello[:104])
    sent, ends, challenged = 0, {}, {}
    while live and time.monotonic() - began < 20:
        if 'drip' in live and time.monotonic() - began > sent:
            try:
                live['drip'].send(hello[sent:sent + 1])
            except OSError:
                pass
            sent += 1
        ready, _, _ = select.select(live.values(), [], [], 0.1)
        for name in [n for n, s in live.items() if s in ready]:
            if name not in challenged:
                challenged[name] = hear(live[name], CHALLENGE_SIZE)
                continue
            ends[name] = f'{time.monotonic() - began:.1f}'
            live.pop(name).close()
    facts('slow', **ends, left=len(live))


def flood(a):
    """As many connections as it can, at once and again, that say nothing."""
    end = time.monotonic() + a.args.seconds
    held, made = {}, 0
    poll = select.epoll()

    def enough():
        return made >= a.args.made and (
            not a.args.until or os.path.exists(a.args.until))
    while time.monotonic() < end and not enough():
        while len(held) < a.args.hold and not enough():
            s = a.socket(not a.args.high, linger=True)
            s.setblocking(False)
            if s.connect_ex(a.to) not in (0, 115):
                s.close()
                break
            held[s.fileno()] = s
            poll.register(s, select.EPOLLRDHUP | select.EPOLLHUP |
                          select.EPOLLERR)
            made += 1
        for fd, _ in poll.poll(0.02):
            poll.unregister(fd)
            held.pop(fd).close()
    for s in held.values():
        s.close()
    facts('flood', made=made)


def resets(a):
    """Connections that are reset at once."""
    end = time.monotonic() + a.args.seconds
    made = 0
    while time.monotonic() < end and made < a.args.made:
        try:
            a.connect(not a.args.high, 2).close()
            made += 1
        except OSError:
            pass
    facts('resets', made=made)


def frames_of(data):
    """The captured frames, whole ones."""
    at = 0
    while len(data) - at >= 72:
        length = struct.unpack_from('<I', data, at + 8)[0]
        if len(data) - at - 72 < length:
            return
        yield data[at:at + 72 + length]
        at += 72 + length


def replay(a):
    """All that the real node once said, again."""
    data = good_hello(a.args)
    frames = list(frames_of(data))
    accepted = 0
    for _ in range(a.args.count):
        try:
            s = a.connect()
            s.sendall(b''.join(frames))
            s.settimeout(0.3 * a.args.patience)
            got = hear(s, CHALLENGE_SIZE + HELLO_SIZE)[CHALLENGE_SIZE:]
            accepted += len(got) == HELLO_SIZE and got[5] == WELCOME and \
                not any(got[76:80])
            s.close()
        except OSError:
            pass
    facts('replay', frames=len(frames), accepted=accepted)


# Of these types all zeroes check (a PREPARED wants an id).
BLANK = {3, 4, 18, 20, 23, 24, 25}
GREETINGS = {CHALLENGE, HELLO_TYPE, WELCOME}    # refused by their header then


def broken_frames(rnd, sender, receiver):
    """Second frames of a connection that was accepted: none is good, none may be
    taken for the word of a member. By name: the frame, and what becomes of the
    connection: a frame for another instance is passed over, half of one waited for."""
    for kind in sorted(LENGTHS) + [0, 5, 26, 255]:
        length = LENGTHS.get(kind, 16)
        good = dict(sender=sender, receiver=receiver, seq=2)
        if length:
            yield f'random{kind}', 'closed', \
                header(kind, length, **good) + rnd.randbytes(length)
            yield f'half{kind}', \
                'open' if kind in LENGTHS and kind not in GREETINGS else 'closed', \
                header(kind, length, **good) + rnd.randbytes(length // 2)
        wrong = (length + 1, 4097, 0xffffffff)[kind % 3]
        yield f'length{kind}', 'closed', \
            header(kind, wrong, **good) + rnd.randbytes(64)
        yield f'instance{kind}', 'open' if kind in BLANK else 'closed', \
            header(kind, length, sender=sender, receiver=receiver ^ 8, seq=2) + \
            bytes(length)
        yield f'seq{kind}', 'closed', \
            header(kind, length, sender=sender, receiver=receiver, seq=99) + \
            bytes(length)


def accepted(a, hello):
    """A connection that was taken for the node's, and the other end's instance."""
    for _ in range(20):
        try:
            s = a.connect()
            s.settimeout(2 * a.args.patience)
            s.sendall(hello)
            got = hear(s, CHALLENGE_SIZE + HELLO_SIZE)[CHALLENGE_SIZE:]
            if len(got) == HELLO_SIZE and got[5] == WELCOME and not any(got[76:80]):
                return s, struct.unpack_from('<Q', got, 16)[0]
            s.close()
        except OSError:
            pass
        time.sleep(0.1)
    return None, 0


def fate(s, seconds):
    """'closed' by the other end within so long, or 'open'; what it says is not heard."""
    end = time.monotonic() + seconds
    try:
        while (left := end - time.monotonic()) > 0:
            s.settimeout(left)
            if not s.recv(65536):
                return 'closed'
    except socket.timeout:
        pass
    except OSError:
        return 'closed'
    return 'open'


def takeover(a):
    """The real HELLO, so that the connection is the node's; then all is wrong. The
    real node must be kept away: its next connection would end this one."""
    hello = good_hello(a.args)[:HELLO_SIZE]
    sender = struct.unpack_from('<Q', hello, 16)[0]
    tried, ended, bad = 0, 0, []
    s, receiver = accepted(a, hello)
    if s:
        s.close()
    for name, wanted, frame in broken_frames(Chance(a.args.seed), sender, receiver):
        tried += 1
        s, instance = accepted(a, hello)
        if not s or instance != receiver:
            bad.append(f'{name}:refused')
            continue
        try:
            s.sendall(frame)
            got = fate(s, (0.4 if wanted == 'open' else 10) * a.args.patience)
        except OSError:
            got = 'closed'
        ended += got == 'closed'
        if got != wanted:
            bad.append(f'{name}:{got}')
        s.close()
    facts('takeover', tried=tried, closed=ended, bad=','.join(bad) or '-')


# ---- between two nodes that have a key ----

FIELDS = {'magic': 0, 'version': 4, 'type': 5, 'zero': 6, 'length': 8,
          'zero2': 12, 'sender': 16, 'receiver': 24, 'state': 32, 'id': 40,
          'seq': 48, 'tag': 56, 'tagend': 71}
HELLO_FIELDS = {'min': 72, 'max': 73, 'node': 74, 'peer': 75, 'refusal': 76,
                'uuid': 80, 'sectors': 96, 'grain': 104, 'timeout': 108,
                'epoch': 112, 'members': 120, 'primary': 128, 'attached': 136,
                'flags': 138, 'credits': 140, 'locks': 142, 'host': 144,
                'nonce': 176, 'nonceend': 207, 'room': 208, 'roomend': 215}
CHALLENGE_FIELDS = {'node': 72, 'pad': 73, 'flags': 74, 'pad2': 76, 'nonce': 80,
                    'nonceend': 111}
UP, DOWN = 0, 1         # to the acceptor, to the connector


def flip(way, number, at):
    def change(path, w, n, frame):
        if (w, n) != (way, number):
            return [frame]
        path.changed()
        at_ = min(at, len(frame) - 1)
        return [frame[:at_] + bytes([frame[at_] ^ 1]) + frame[at_ + 1:]]
    return change


def at_frame(way, number):
    """A case that is about one frame."""
    def wrap(f):
        @functools.wraps(f)
        def change(path, w, n, frame):
            if (w, n) != (way, number):
                return [frame]
            path.changed()
            return f(path, frame)
        return change
    return wrap


@at_frame(UP, 0)
def old_hello(path, frame):
    return [path.old[UP][0]]


@at_frame(DOWN, 1)
def old_welcome(path, frame):
    return [path.old[DOWN][1]]


@at_frame(UP, 0)
def old_session(path, frame):
    return path.old[UP]


@at_frame(UP, 1)
def old_frame(path, frame):
    return [path.old[UP][1]]


@at_frame(DOWN, 0)
def downgrade(path, frame):
    """The acceptor has no key, it seems."""
    return [frame[:74] + bytes(38)]


@at_frame(UP, 0)
def keyless_hello(path, frame):
    return [frame[:56] + bytes(16) + frame[72:138] + bytes(2) +
            frame[140:176] + bytes(32) + frame[208:]]


@at_frame(UP, 0)
def mirrored_hello(path, frame):
    """Its own HELLO, as WELCOME."""
    path.say(DOWN, frame[:5] + bytes([WELCOME]) + frame[6:])
    return []


@at_frame(UP, 1)
def mirrored_frame(path, frame):
    path.say(DOWN, frame)
    return []


@at_frame(UP, 1)
def twice(path, frame):
    return [frame, frame]


@at_frame(UP, 1)
def left_out(path, frame):
    return []


@at_frame(DOWN, 2)
def left_out_down(path, frame):
    return []


@at_frame(UP, 1)
def truncated(path, frame):
    return [frame[:-8]]


@at_frame(UP, 0)
def truncated_hello(path, frame):
    path.end(UP, frame[:-8])
    return []


@at_frame(UP, 1)
def unsealed(path, frame):
    return [frame[:56] + bytes(16) + frame[72:]]


@at_frame(UP, 1)
def made_up(path, frame):
    bye = header(18, 0, sender=struct.unpack_from('<Q', frame, 16)[0],
                 receiver=struct.unpack_from('<Q', frame, 24)[0], seq=2)
    return [bye, frame]


def swapped(path, w, n, frame):
    if w == UP and n == 1:
        path.kept = frame
        return []
    if w == UP and n == 2:
        path.changed()
        return [frame, path.kept]
    return [frame]


def between_cases():
    first, later = {}, {}
    for name, at in {**FIELDS, **CHALLENGE_FIELDS}.items():
        # what is zero in it without consequence is checked all the same
        first[f'challenge.{name}'] = flip(DOWN, 0, at)
    for name, at in {**FIELDS, **HELLO_FIELDS}.items():
        first[f'hello.{name}'] = flip(UP, 0, at)
        first[f'welcome.{name}'] = flip(DOWN, 1, at)
    for name, at in {**FIELDS, 'payload': 72, 'end': 9999}.items():
        later[f'up.{name}'] = flip(UP, 1, at)
        later[f'down.{name}'] = flip(DOWN, 2, at)
    for f in (old_hello, old_welcome, old_session, downgrade, keyless_hello,
              mirrored_hello, truncated_hello):
        first[f.__name__] = f
    for f in (old_frame, mirrored_frame, twice, left_out, left_out_down,
              truncated, unsealed, made_up, swapped):
        later[f.__name__] = f
    return first, later


class Path:
    """One connection through this host, and what becomes of it."""
    def __init__(self, a, sock, case, old):
        self.a, self.case, self.old, self.kept = a, case, old, b''
        self.down = sock                # to the connector
        self.up = a.connect(timeout=3 * a.args.patience)
        self.seen = [[], []]
        self.when = None

    def changed(self):
        self.when = self.when or time.monotonic()

    def say(self, way, data):
        (self.up, self.down)[way].sendall(data)

    def end(self, way, data):
        self.say(way, data)
        (self.up, self.down)[way].shutdown(socket.SHUT_WR)

    def frame(self, way, frame):
        number = len(self.seen[way])
        self.seen[way].append(frame)
        out = self.case(self, way, number, frame) if self.case else [frame]
        for f in out:
            self.say(way, f)

    def over(self):
        if self.when:
            return time.monotonic() - self.when > \
                4 * self.a.args.patience
        return not self.case and len(self.seen[UP]) > 2 and \
            len(self.seen[DOWN]) > 3

    def run(self):
        """'closed': one of them ended it; else 'open'."""
        data = {self.down: b'', self.up: b''}
        began = time.monotonic()
        try:
            while not self.over() and time.monotonic() - began < \
                    8 * self.a.args.patience:
                for s in select.select(list(data), [], [], 0.2)[0]:
                    more = s.recv(65536)
                    if not more:
                        return 'closed'
                    data[s] += more
                    for f in list(frames_of(data[s])):
                        data[s] = data[s][len(f):]
                        self.frame(UP if s is self.down else DOWN, f)
        except OSError:
            return 'closed'
        finally:
            self.down.close()
            self.up.close()
        return 'open'


def between(a):
    """This host stands for both nodes to each other. Of two connections one is broken
    before WELCOME and one after it, so that nobody waits long to connect again."""
    first, later = between_cases()
    if a.args.cases:
        names = a.args.cases.split(':')
        first = {n: first[n] for n in names if n in first}
        later = {n: later[n] for n in names if n in later}
    todo, n = [('honest', None)], 0
    first, later = list(first.items()), list(later.items())
    while n < max(len(first), len(later)):
        todo += first[n:n + 1]
        todo += later[n:n + 1] or [('honest', None)]
        n += 1
    listener = socket.socket(family(a.host), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((a.host, 7788))
    listener.listen(16)
    listener.settimeout(100)
    facts('between', ready=1)
    old, results, n = None, {}, 0
    while n < len(todo):
        name, case = todo[n]
        sock, _ = listener.accept()
        try:
            path = Path(a, sock, case, old)
        except OSError:
            sock.close()
            continue
        result = path.run()
        if case and not path.when:
            continue            # it ended before its time: once more
        if not case:
            if result != 'open':
                continue
            old = path.seen
        else:
            results[name] = result
        n += 1
    bad = [k for k, v in results.items() if v != 'closed']
    facts('between', tried=len(results), closed=len(results) - len(bad),
          bad=','.join(bad) or '-')
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while not (a.args.until and os.path.exists(a.args.until)):
        listener.settimeout(0.5)
        try:
            sock, _ = listener.accept()
        except OSError:
            continue
        if not os.fork():
            pass_on(a, sock)
            os._exit(0)
        sock.close()


def pass_on(a, down):
    """As a wire does."""
    up = a.connect(timeout=5)
    other = {down: up, up: down}
    try:
        while True:
            for s in select.select([up, down], [], [])[0]:
                more = s.recv(65536)
                if not more:
                    return
                other[s].sendall(more)
    except OSError:
        pass
    finally:
        up.close()
        down.close()


def capture(a):
    """What the real node says there on a new connection, until it was enough."""
    host, port = a.to
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    s.settimeout(0.2)
    streams, data = {}, b''
    end = time.monotonic() + a.args.seconds
    facts('capture', ready=1)
    while time.monotonic() < end and len(list(frames_of(data))) < a.args.frames:
        try:
            p, where = s.recvfrom(65535)
        except OSError:
            continue
        if where[1] != 0x0800 or where[2] != socket.PACKET_OUTGOING:
            continue
        dst, t = socket.inet_ntoa(p[16:20]), p[(p[0] & 15) * 4:]
        size = struct.unpack_from('>H', p, 2)[0] - (p[0] & 15) * 4
        if dst != host or struct.unpack_from('>H', t, 2)[0] != port:
            continue
        source, _, seq = struct.unpack_from('>HHI', t)
        more = t[(t[12] >> 4) * 4:size]
        if t[13] & 2:
            streams[source] = [seq + 1, b'']
        elif source in streams and more:
            begin, old = streams[source]
            if seq == (begin + len(old)) & 0xffffffff:
                streams[source][1] += more
                data = max((d for _, d in streams.values()), key=len)
    with open(a.args.file, 'wb') as f:
        f.write(data)
    facts('capture', bytes=len(data), frames=len(list(frames_of(data))))


class Options:
    file, until = '', ''    # until: it goes on until this file is there
    cases = ''              # of between, with colons; all
    seconds, made, count, seed, frames = 3.0, 1000, 10, 1, 5
    length, grain = 0, 128
    node = 3                # of claim
    hold = 400      # connections that flood has at once
    patience = 1    # how much slower than others this machine is
    high = 0        # 1: from ports that anybody may use


def main():
    attacks, source, to = sys.argv[1:4]
    args = Options()
    args.source, args.to = source, to
    for word in sys.argv[4:]:
        name, _, value = word.partition('=')
        setattr(args, name, type(getattr(Options, name))(value))
    known = {f.__name__: f for f in (odd, refused, claim, lengths, slow, flood, resets,
                                     replay, takeover, capture, unkeyed, between)}
    for attack in attacks.split(','):
        known[attack](Attacker(args))


if __name__ == '__main__':
    main()
