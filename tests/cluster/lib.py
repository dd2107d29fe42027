# SPDX-License-Identifier: GPL-2.0-only
"""For tests that need several guests. A test is tests/cluster/NAME_test.py:

	#!/usr/bin/env python3
	# timeout: 300
	import lib

	with lib.test(n=3, shared={'a': '64M', 'm': '16M'}) as (t, c):
	    t.is_(c[1].sh('hostname'), 'node1', 'the first guest')

lib.test() starts the guests, prints TAP, and at the end fails on forbidden words
in any guest's kernel log and on guests that died without being told to. An
exception becomes a failure with the tails of all kernel logs.
"""
import contextlib
import os
import random
import re
import sys
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'scripts'))

from vmlib import debug, tap  # noqa: E402
from vmlib.cluster import (Cluster, CommandFailed, Error,  # noqa: E402,F401
                           GuestDied, Timeout)


class Tap:
    """Counts and prints. Each verdict returns whether it was good."""

    def __init__(self):
        self.count = self.failed = 0
        self.allowed = []
        if debug.flavour() == 'kcsan':      # check_bugs() judges them
            self.allow_log('BUG: KCSAN:')

    def ok(self, good, what):
        self.count += 1
        self.failed += not good
        print(f'{"" if good else "not "}ok {self.count} - {what}', flush=True)
        return bool(good)

    def is_(self, got, wanted, what):
        good = self.ok(got == wanted, what)
        if not good:
            self.diag(f'got:    {got!r}\nwanted: {wanted!r}')
        return good

    def like(self, text, regex, what):
        good = self.ok(re.search(regex, text), what)
        if not good:
            self.diag(f'got:    {text}\nwanted: {regex}')
        return good

    def skip(self, what, why):
        self.count += 1
        print(f'ok {self.count} - {what} # SKIP {why}', flush=True)

    def diag(self, text):
        for line in str(text).splitlines():
            print(f'# {line}', flush=True)

    def allow_log(self, regex):
        """Kernel log lines that match are no failure."""
        self.allowed.append(re.compile(regex))

    def check_log(self, node, since=0):
        lines = node.log()[since:].splitlines()
        bad = [i for i, line in enumerate(lines)
               if FORBIDDEN.search(line) and
               not any(a.search(line) for a in self.allowed)]
        good = self.ok(not bad, f'{node}: no forbidden words in the kernel log')
        # the first ones with their traces
        shown = {j for n, i in enumerate(bad[:20])
                 for j in range(i, min(i + (40 if n < 3 else 1), len(lines)))}
        self.diag('\n'.join(lines[i] for i in sorted(shown)))
        return good

    def plan_skip(self, why):
        print(f'1..0 # SKIP {why}', flush=True)
        raise SystemExit(0)

    def end(self):
        print(f'1..{self.count}', flush=True)
        return 1 if self.failed else 0


    def check_bugs(self, c, since=None):
        """What kernels that look for bugs say: each guest that is up gives up
        the module first. since: node -> length of its log at the start."""
        if not debug.flavour():
            return
        up = [n for n in c if node_state(n) == 'up']
        for node in up:
            r = node.run(UNLOAD, 300)
            if not self.ok(not r.rc, f'{node}: the module goes'):
                self.diag(r.out)
            text = debug.leaks(node) + '\n'.join(debug.races(
                node.log()[(since or {}).get(node.nr, 0):]))
            if not self.ok(not text.strip(), f'{node}: no leaks, no races'):
                self.diag(text)


FORBIDDEN = tap.forbidden()
UNLOAD = '''
[ -d /sys/module/dm_fclock ] || exit 0
for kind in copy origin; do
	for dev in $(dmsetup ls --target fclock-$kind | awk '$2 ~ /^.[0-9]/ {print $1}'); do
		dmsetup resume "$dev"; dmsetup remove --retry "$dev"
	done
done
[ ! -d /sys/module/dm_fclock_dlm ] || rmmod dm_fclock_dlm
rmmod dm_fclock
'''


def node_state(node):
    return node.status()['state']


def seed():
    """Of $SEED, or a new one; printed, so that a failure can be repeated."""
    value = int(os.environ.get('SEED') or random.SystemRandom().randrange(1 << 31))
    print(f'# SEED={value}', flush=True)
    return value


def wait_for(what, seconds, condition, step=0.1):
    """Repeats condition() until it is true; returns its value, or raises."""
    end = time.monotonic() + seconds * slow()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f'{what}: not within {seconds * slow():g} s')
        time.sleep(step)


def slow():
    """Factor for timeouts: debug kernels and loaded hosts."""
    return float(os.environ.get('FCLOCK_SLOW') or 1)


def load_module(node):
    """Loads the module of this tree; False if there is none."""
    if node.run('test -f /fc/dm-fclock.ko').rc:
        return False
    node.sh('load-fclock')
    return True


@contextlib.contextmanager
def test(n=3, need_module=False, **options):
    """Guests, TAP and the checks at the end; options as for Cluster."""
    t = Tap()
    began = time.monotonic()
    try:
        c = Cluster(n=n, **debug.options(options))
    except Error as e:
        t.ok(False, 'the guests start')
        t.diag(e)
        t.end()
        raise SystemExit(1) from None
    boots = max(i['boot_seconds'] for i in c.status()['nodes'])
    t.diag(f'{n} guests up after {time.monotonic() - began:.1f} s '
           f'(boot {boots:.1f} s)')
    with c:
        for node in c:
            debug.settle(node)
        try:
            if need_module:
                for node in c:
                    if not load_module(node):
                        t.plan_skip('the module has not been built')
            yield t, c
        except Exception as e:      # a test may raise anything
            t.ok(False, f'{type(e).__name__}: {str(e).splitlines()[:1]}')
            t.diag(traceback.format_exc())
        else:
            for info in c.status()['nodes']:
                t.ok(info['state'] != 'dead',
                     f'node{info["node"]} did not die by itself')
            t.check_bugs(c)
        for node in c:
            t.check_log(node)
        if t.failed:
            for node in c:
                t.diag(f'kernel log of {node}:')
                t.diag('\n'.join(node.log().splitlines()[-30:]))
    raise SystemExit(t.end())
