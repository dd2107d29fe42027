# SPDX-License-Identifier: GPL-2.0-only
"""Guests whose kernel looks for bugs: what the runners of tests share.

FCLOCK_DEBUG=debug|leaks|kcsan|faults in the environment says which
(scripts/kernel-debug); without it everything here does nothing.
"""
import os
import re
import subprocess

from . import paths

MEM = 1024
SLOW = {'': 1, 'debug': 4, 'leaks': 12, 'kcsan': 4, 'faults': 2}
# Two emulated CPUs of such a kernel wait for each other most of the time, and tens
# of times as long if the host has no two for them.
ONE_CPU = ('debug', 'leaks')
WORDS = {'': [], 'debug': ['kasan_multi_shot'], 'kcsan': [],
         'faults': [],
         'leaks': ['kasan_multi_shot', 'kmemleak=on']}
# A refused page is a trace of its own, and tests look at all of the log.
LOG = 'log_buf_len=16M'

# Otherwise it scans when it likes; a scan takes seconds.
SETTLE = '''
cd /sys/kernel/debug
[ ! -e kmemleak ] || echo scan=off >kmemleak
[ -e kcsan ] || exit 0
# An emulated CPU runs few instructions in the default 80 us.
cd /sys/module/kcsan/parameters
echo 500 >skip_watch; echo 1000 >udelay_task; echo 200 >udelay_interrupt
echo on >/sys/kernel/debug/kcsan
'''
# Only what two scans found that lie seconds apart is a leak; a block that is
# younger than five seconds is none, and what is reported once is not repeated.
LEAKS = '''
cd /sys/kernel/debug && [ -e kmemleak ] || exit 0
sleep 6
echo scan >kmemleak; sleep 1; echo scan >kmemleak
head -c 6000 kmemleak; echo clear >kmemleak
'''


def flavour():
    """"debug", "leaks", "kcsan", "faults", or "" for kernels of every day."""
    return os.environ.get('FCLOCK_DEBUG') or ''


def slow():
    """Factor for timeouts."""
    return SLOW[flavour()]


def add_arguments(parser):
    """--debug, --leaks, --kcsan and --faults, for the runners."""
    for name, what in (('debug', 'looks for bugs'),
                       ('leaks', 'looks for memory leaks too, which takes it '
                        'three times as long'),
                       ('kcsan', 'looks for data races'),
                       ('faults', 'can fail on request')):
        parser.add_argument(f'--{name}', action='store_const', const=name,
                            dest='flavour', help=f'on a kernel that {what}, '
                            'with more memory and time (scripts/kernel-debug; '
                            'the first time takes 20 minutes of CPU)')


def choose(args):
    """Brings the kernel and the module that the arguments ask for."""
    if not args.flavour:
        return
    os.environ['FCLOCK_DEBUG'] = args.flavour
    kernel = 'debug' if args.flavour == 'leaks' else args.flavour
    args.kernel = args.kernel or _kernel_debug(kernel)
    args.module = args.module or _kernel_debug(kernel, '--module')
    args.slow = max(args.slow, slow())


def _kernel_debug(*argv):
    return subprocess.run([paths.TREE / 'scripts/kernel-debug', *argv],
                          check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def options(given):
    """Those of a Cluster, with what such a kernel needs."""
    if not flavour():
        return given
    if flavour() in ONE_CPU:
        given = {'smp': 1, **given}
    return dict(given, mem=max(given.get('mem', 0), MEM),
                cmdline=[*given.get('cmdline', ()), LOG, *WORDS[flavour()]],
                timeout=given.get('timeout', 480) * slow())


def settle(node):
    """A guest that has just booted."""
    if flavour():
        node.run(SETTLE, 300)


def leaks(node):
    """The kernel's words about what nobody points to any more."""
    return node.run(LEAKS, 600).out if flavour() == 'leaks' else ''


MODULE = re.compile(r'\bfclock|\[dm_fclock\]')


def sides(report):
    """
    Who made the two accesses: of each stack the innermost two functions, as a helper that is
    handed the module's data (a list's, a tree's) may not be inline. Who called the kernel,
    where a clock, a queue or a task's flags race with their like, has no part in it.
    """
    for text in re.split(r' by (?:task|interrupt) .*:\s*$', report, flags=re.M)[1:]:
        yield '\n'.join(re.findall(r'^.*\S\+0x.*$', text, flags=re.M)[:2])


# Words of the kernel's own that an inline or exported function of its own changes in the
# module's name: the scheduler reads one flag of a task that memalloc_noio_save() sets another
# one of, and a worker looks at a work that is queued anew.
ARGUED = re.compile(r'BUG: KCSAN: data-race in (?:.*\bkthread_is_per_cpu\b|'
                    r'process_one_work / queue_work_on|'
                    r'queue_work_on / worker_thread)')


def races(log):
    """KCSAN's reports in which the module takes part, each as one text."""
    blocks = re.split(r'^.*={40,}\s*$', log, flags=re.M)
    return [b.strip() for b in blocks
            if 'BUG: KCSAN' in b and not ARGUED.search(b) and any(MODULE.search(s) for s in sides(b))]
