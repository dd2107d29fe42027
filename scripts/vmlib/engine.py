# SPDX-License-Identifier: GPL-2.0-only
"""A real cluster engine on the guests: corosync, dlm_controld, and a fence agent
that kills the QEMU of the guest it is to fence.

	with Cluster(n=3, engine=True) as c:
		e = Engine(c)
		e.start_all()
		...
		e.fenced        # [(victim, who asked, seconds since the engine began)]

The agent has no way to the host of its own: it writes the victim's number into a pipe
that this process reads, and waits for a file that this process makes when QEMU
is gone.
"""
import re
import threading
import time

from . import debug
from .cluster import Error

COROSYNC = '''totem {{
	version: 2
	cluster_name: {name}
	transport: udpu
	crypto_cipher: none
	crypto_hash: none
	token: {token}
	token_retransmits_before_loss_const: 10
}}
nodelist {{
{nodes}}}
quorum {{
	provider: corosync_votequorum
}}
logging {{
	to_stderr: yes
	to_logfile: no
	to_syslog: no
}}
system {{
	sched_rr: no
}}
'''
NODE = '''	node {{
		name: node{i}
		nodeid: {id}
		ring0_addr: {ip}
	}}
'''
DLM = '''enable_fencing=1
enable_startup_fencing=0
post_join_delay=1
enable_plock=1
fence_all /usr/sbin/fence_harness
'''
AGENT = '''#!/bin/bash
# As every fence agent it reads name=value lines; "node" is the victim.
while IFS== read -r name value; do
	[ "$name" = node ] && victim=$value
done
[ -n "$victim" ] || exit 1
done=/run/fenced.$victim.$$
echo "$victim $done" >/run/fence.pipe
for i in $(seq 600); do
	[ -e "$done" ] && exit 0
	sleep 0.1
done
exit 1
'''
START = '''set -e
mkdir -p /dev/shm /dev/misc /run/corosync /var/lib/corosync /etc/dlm
mountpoint -q /dev/shm || mount -t tmpfs tmpfs /dev/shm
modprobe configfs
mountpoint -q /sys/kernel/config ||
	mount -t configfs configfs /sys/kernel/config
modprobe dlm
modprobe gfs2
for dev in dlm-control dlm-monitor dlm_plock; do
	ln -sf ../$dev /dev/misc/$dev
done
rm -f /run/fence.pipe /run/fenced.*
mkfifo /run/fence.pipe
corosync -f </dev/null >/run/corosync.log 2>&1 &
for i in $(seq 300); do
	corosync-cpgtool -e >/dev/null 2>&1 && break
	sleep 0.1
done
dlm_controld --foreground </dev/null >/run/dlm_controld.log 2>&1 &
for i in $(seq 300); do
	dlm_tool status >/dev/null 2>&1 && exit 0
	sleep 0.1
done
tail -n 20 /run/corosync.log /run/dlm_controld.log
exit 1
'''


class Engine:
    def __init__(self, cluster, name='fclock', token=3000, nodeid=lambda i: i,
                 nodes=None):
        """nodeid: of corosync and DLM, by the number of the guest."""
        self.c, self.name, self.token = cluster, name, token
        self.nodeid = nodeid
        self.nodes = list(nodes or cluster.nodes)
        self.began = time.monotonic()
        self.fenced = []
        self.trouble = []

    def config(self):
        nodes = ''.join(NODE.format(i=i, id=self.nodeid(i), ip=self.c[i].ip)
                        for i in self.nodes)
        return COROSYNC.format(name=self.name, nodes=nodes,
                               token=int(self.token * debug.slow()))

    def start(self, i):
        """Starts the engine on a guest that has just booted."""
        node = self.c[i]
        for path, text in (('/etc/corosync/corosync.conf', self.config()),
                           ('/etc/dlm/dlm.conf', DLM),
                           ('/usr/sbin/fence_harness', AGENT)):
            node.sh(f'mkdir -p $(dirname {path}); cat >{path}',
                    stdin=text.encode())
        node.sh('chmod 755 /usr/sbin/fence_harness')
        node.sh(START, timeout=90)
        threading.Thread(target=self._serve, args=(i,), daemon=True).start()

    def start_all(self):
        """On all guests at once, then waits until all are in."""
        jobs = [threading.Thread(target=self._guarded, args=(i,))
                for i in self.nodes]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        if self.trouble:
            raise self.trouble[0]
        self.wait_quorate()

    def _guarded(self, i):
        try:
            self.start(i)
        except Exception as e:          # raised again by start_all()
            self.trouble.append(e)

    def members(self, i):
        """Node ids that corosync sees."""
        out = self.c[i].run('corosync-quorumtool -s').out
        if not re.search(r'^Quorate:\s+Yes', out, re.M):
            return []
        return sorted(int(n) for n in
                      re.findall(r'^\s*(\d+)\s+\d+\s+\S+', out, re.M))

    def wait_quorate(self, nodes=None, limit=60):
        want = sorted(self.nodeid(i) for i in nodes or self.nodes)
        end = time.monotonic() + limit * debug.slow()
        for i in nodes or self.nodes:
            while self.members(i) != want:
                if time.monotonic() > end:
                    raise Error(f'node {i} sees {self.members(i)} and not '
                                f'{want}\n' + self.logs(i))
                time.sleep(0.2)

    def logs(self, i):
        return self.c[i].run('tail -n 30 /run/corosync.log '
                             '/run/dlm_controld.log; dlm_tool ls').out

    def _serve(self, i):
        """The host's side of the fence agent on guest i, until that ends."""
        node, rest = self.c[i], b''

        def feed(data):
            nonlocal rest
            *lines, rest = (rest + data).split(b'\n')
            for line in lines:
                threading.Thread(target=self._fence, daemon=True,
                                 args=(i, *line.decode().split())).start()

        try:
            node.spawn('while :; do cat /run/fence.pipe; done',
                       stdout=feed).wait(86400)
        except Error:
            pass

    def _fence(self, i, victim, answer):
        victim = next(j for j in self.nodes if self.nodeid(j) == int(victim))
        self.fenced.append((victim, i, time.monotonic() - self.began))
        try:
            self.c[victim].kill()
        except Error:
            pass                        # it was dead already
        if self.c[victim].status()['state'] != 'up':
            self.c[i].run(['touch', answer])
