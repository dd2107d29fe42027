# SPDX-License-Identifier: GPL-2.0-only
"""A dm-fclock volume on a cluster of guests, for the cluster tests and the demo.

Node i has the origin as /dev/mapper/fa and slot s as /dev/mapper/fb<s>, over the
shared disks a, b<s> and m.
"""
import time

from . import debug

PORT = 7788


class Bail(Exception):
    """Nothing further makes sense."""


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
        self.origin = {}        # node: its A, if not the shared disk itself
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
        a = self.origin.get(i, f'/dev/disk/fc/{self.p}a')
        return (f'0 {self.len} fclock-origin /dev/disk/fc/{self.p}m '
                f'{a} {i} {len(args)} {" ".join(args)}')

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
        end = time.monotonic() + limit * debug.slow()
        while not (got := what()) and time.monotonic() < end:
            time.sleep(every)
        return got

    def wait_active(self, i, limit=120, connected=None):
        def good():
            s = self.status(i)
            return s['state'] == 'active' and \
                (connected is None or s['connected'] == connected)
        if not self.until(good, limit):
            raise Bail(f'node {i} is not active in {limit} s: '
                       f'{self.status(i)}\n{self.c[i].log()[-1500:]}')

    def wait_connected(self, n=None, nodes=None, limit=120):
        for i in nodes or self.nodes:
            self.wait_active(i, limit,
                             len(self.nodes) - 1 if n is None else n)

    # -- doing --

    def message(self, i, text, timeout=60):
        """A message to the origin of a node that has to succeed."""
        r = self.c[i].run(['dmsetup', 'message', self.a, '0', *text.split()],
                          timeout)
        if r.rc:
            raise Bail(f'{text} on node {i}: {r.out}\n' +
                       self.c[i].log()[-1500:])
