# SPDX-License-Identifier: GPL-2.0-only
"""Frames between client, daemon and guest; tests/guest/init/init.c knows them too.

A frame: u32 payload length, u32 stream, u8 type, 3 bytes zero, payload.
"""
import json
import os
import signal
import socket
import struct
import subprocess

HEAD = struct.Struct('<IIB3x')

EXEC, STDIN, STDIN_EOF, SIGNAL, CLOSE, WINSIZE, CREDIT, PING, SYSRQ, POWER = \
    range(1, 11)
HELLO, STDOUT, STDERR, EXIT, STDIN_CREDIT, PONG, LOST = \
    0x80, 0x82, 0x83, 0x84, 0x87, 0x88, 0x8f

STDIN_WINDOW = 256 * 1024
OUT_WINDOW = 1024 * 1024
CHUNK = 32 * 1024


class Error(Exception):
    """Something the caller asked for did not work; the text says what."""


def frame(kind, payload=b'', stream=0):
    return HEAD.pack(len(payload), stream, kind) + payload


def u32(value):
    return struct.pack('<I', value)


def exec_payload(argv, env, pty=False, rows=0, cols=0):
    strings = list(argv) + [f'{k}={v}' for k, v in env.items()]
    raw = b''.join(os.fsencode(s) + b'\0' for s in strings)
    head = struct.pack('<IHHII', int(pty), rows, cols, len(argv), len(env))
    return head + raw


class Parser:
    """Cuts a byte stream into frames."""

    def __init__(self):
        self._buf = bytearray()

    def feed(self, data):
        self._buf += data
        off = 0
        frames = []
        while len(self._buf) - off >= HEAD.size:
            length, stream, kind = HEAD.unpack_from(self._buf, off)
            if len(self._buf) - off < HEAD.size + length:
                break
            off += HEAD.size
            frames.append((kind, stream, bytes(self._buf[off:off + length])))
            off += length
        del self._buf[:off]
        return frames


def connect(path, timeout=None):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect(str(path))
    except OSError as e:
        sock.close()
        raise Error(f'no such cluster is up ({e.strerror})') from None
    return sock


def read_line(sock):
    line = bytearray()
    while not line.endswith(b'\n'):
        c = sock.recv(1)
        if not c:
            raise Error('the daemon went away')
        line += c
    return line


def start(path, request, timeout=None):
    """Sends a request; returns the answer and the socket, still open."""
    sock = connect(path, timeout)
    try:
        sock.sendall(json.dumps(request).encode() + b'\n')
        answer = json.loads(read_line(sock))
    except socket.timeout:
        sock.close()
        raise Error(f'{request["op"]}: no answer in {timeout} s') from None
    except BaseException:
        sock.close()
        raise
    if 'error' in answer:
        sock.close()
        raise Error(answer['error'])
    return answer, sock


def ask(path, request, timeout=None):
    answer, sock = start(path, request, timeout)
    sock.close()
    return answer


def die_with_parent():
    """For preexec_fn: the child ends when the thread that made it does."""
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def popen(argv, **kw):
    return subprocess.Popen(argv, preexec_fn=die_with_parent, **kw)
