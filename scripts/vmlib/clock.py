# SPDX-License-Identifier: GPL-2.0-only
"""Guests' clocks.

A guest measures the frequency of its time stamp counter while it boots. On a host
that lets it wait meanwhile the result can be wrong by any factor, and then so is
every time-out in it: peers look silent, tests look slow. So an emulated guest is told
the frequency, and each guest's clock is held against the host's before it is "up".
"""
import asyncio
import subprocess
import time
from pathlib import Path

from . import paths, proto

OFF = 0.2       # what a clock may be off by
SPAN = 1        # seconds over which it is measured
TRIES = 3       # boots of a guest until its clock is right


def tsc_words(tsc):
    """For the kernel's command line: what the program tsc says, once per boot."""
    boot = Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    memo = paths.cache_dir('guest') / f'tsc-{boot}'
    if not memo.exists():
        for old in memo.parent.glob('tsc-*-*-*-*-*'):
            old.unlink(missing_ok=True)
        khz = subprocess.run([tsc], check=True, stdout=subprocess.PIPE,
                             text=True).stdout.strip()
        part = memo.with_suffix(f'.{time.monotonic_ns()}')
        part.write_text(khz)
        part.rename(memo)
    khz = memo.read_text()
    return [f'tsc_early_khz={khz}'] if khz else []


def looks_right(guest, host):
    """Whether seconds since its kernel began fit those since QEMU did, which
    needs a while before."""
    return (1 - OFF) * host <= guest <= host


class Rate:
    """A guest's clock, by pings: each is read between its sending and its answer,
    so that what waits on a busy host makes the result wider, not wrong."""

    def __init__(self, send):
        self._send = send
        self._answer = None

    def pong(self, payload):
        if self._answer and not self._answer.done():
            self._answer.set_result(int.from_bytes(payload, 'little') / 1000)

    async def _read(self):
        self._answer = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        self._send(proto.frame(proto.PING))
        return await self._answer, began, time.monotonic()

    async def measure(self):
        """A rate, the host's being 1, that is right or wrong for certain."""
        first, sent, answered = await self._read()
        span = SPAN
        while True:
            await asyncio.sleep(span)
            now, began, end = await self._read()
            least = (now - first) / (end - sent)
            most = (now - first) / max(began - answered, 0.001)
            if not fits(least) and not fits(most) and (least > 1) == (most > 1):
                return least if least > 1 else most
            if fits(least) and fits(most):
                return (least + most) / 2
            span *= 2


def fits(rate):
    return abs(rate - 1) <= OFF
