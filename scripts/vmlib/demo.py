# SPDX-License-Identifier: GPL-2.0-only
"""What scripts/demo does once the module is built."""
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from . import cluster as vm
from . import tap
from .volume import Bail, Volume

MIB = 1 << 20
WANTED = 240 * MIB      # of files
DISKS = {'a': '512M', 'b0': '512M', 'm': '64M',
         'rawa': '64M', 'rawb0': '64M', 'rawm': '64M'}

# Keeps writing files of random size below /mnt/live; a file whose line is in the
# journal was synced before the time in that line and begun after the other one.
WRITER = r'''
import hashlib, os, random, sys, time
rng = random.Random(int(sys.argv[1]))
journal = open('/tmp/journal', 'w', buffering=1)
os.makedirs('/mnt/live', exist_ok=True)
n = 0
while not os.path.exists('/tmp/stop'):
    n += 1
    data = rng.randbytes(rng.randint(1, 60000))
    began = time.monotonic()
    name = '/mnt/live/%05d' % n
    with open(name, 'wb') as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    fd = os.open('/mnt/live', os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    print('%.6f %.6f %s %s' % (began, time.monotonic(), name[5:],
          hashlib.md5(data).hexdigest()), file=journal)
print(n)
'''

# What the owner of the files does after the copy: all of it is changed.
SPOIL = r'''
cd /mnt/files && find . -type f >/tmp/list &&
sed -n 1~3p /tmp/list | tr '\n' '\0' | xargs -0 rm -f &&
sed -n 2~3p /tmp/list | tr '\n' '\0' |
	xargs -0 -n 500 bash -c 'for f; do echo changed 1<>"$f"; done' bash &&
sync && find . -type f | wc -l && find . -newer /tmp/list -type f | wc -l
'''


class Demo:
    def __init__(self, ko, before):
        self.ko, self.began = ko, time.monotonic() - before
        self.table, self.wrong = [], []
        self.rng = random.Random(int(os.environ.get('FCLOCK_SEED') or 4711))

    def step(self, text):
        print(f'{time.monotonic() - self.began:5.0f} s  {text}', flush=True)

    def row(self, what, value, good=True):
        self.table.append((what, value, good))
        if not good:
            self.wrong.append(what)

    # -- the files --

    def choose_files(self):
        """Directories of this host: kernel headers, and more until it is enough."""
        top = sorted(Path('/usr/src').glob('linux-headers-*'))
        more = [Path(p) for p in ('/usr/include', '/usr/lib/python3',
                                  '/usr/share/perl', '/usr/lib/gcc',
                                  '/usr/share/doc')]
        chosen, total = [], 0
        for path in [p for p in top + more if p.is_dir()]:
            if total >= WANTED:
                break
            text = subprocess.run(['du', '-sm', str(path)], text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL).stdout
            size = int(text.split()[0]) * MIB
            if total + size <= WANTED * 5 // 4:
                chosen.append(str(path))
                total += size
        return chosen

    def pack(self, target):
        """A tar of the files straight onto the raw disk of a guest."""
        with open(target, 'r+b') as disk:
            tar = subprocess.Popen(
                ['tar', '--one-file-system', '--sort=name', '-cf', '-', '-C',
                 '/', '--exclude=*/.*', *(p[1:] for p in self.files)],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            size, limit = 0, 338 * MIB
            while block := tar.stdout.read(MIB):
                size += len(block)
                if size > limit:
                    tar.kill()
                    raise Bail('the files are too large for their disk')
                disk.write(block)
            tar.wait()

    # -- steps --

    def boot(self):
        self.files = self.choose_files()
        self.c = vm.Cluster(n=3, shared=DISKS, disks={'files': '340M'},
                            module=self.ko, mem=1024, ttl=1800)
        path = self.c.status()['nodes'][0]['disks']['files']
        self.packed = threading.Thread(target=self.pack, args=(path,),
                                       daemon=True)
        self.packed.start()

    def bring_up(self):
        self.v = Volume(self.c, slots=(0,))
        self.v.start_all()
        self.v.wait_connected()
        state = self.v.status(3)
        self.step(f'the volume is {state["state"]} on 3 nodes: '
                  f'{state["grains"]} grains of {state["grain"] // 2} KiB')

    def fill(self):
        n1 = self.c[1]
        n1.sh('mkfs.ext4 -q -E lazy_itable_init=0,nodiscard /dev/mapper/fa && '
              'mkdir -p /mnt && mount /dev/mapper/fa /mnt', 120)
        self.packed.join(120)
        n1.sh('mkdir /mnt/files && cd /mnt/files && '
              'tar -xf /dev/disk/fc/files && sync', 240)
        n1.sh('cd /mnt && find files -type f -print0 | xargs -0 -P 2 -n 400 '
              'md5sum >/tmp/sums', 240)
        count, size = n1.sh('echo $(wc -l </tmp/sums) '
                            '$(du -sm /mnt/files | cut -f1)').split()
        self.count = int(count)
        self.step(f'node 1 holds {count} files, {size} MiB')
        self.row('files in the origin', f'{count}, {size} MiB',
                 self.count > 1000)

    def copy(self):
        n1 = self.c[1]
        writer = n1.spawn(['python3', '-c', WRITER,
                           str(self.rng.getrandbits(30))])
        self.v.until(lambda: n1.run('test $(wc -l </tmp/journal) -gt 20').rc == 0,
                     30)
        n1.sh('sync')
        out = n1.sh('cut -d" " -f1 /proc/uptime; python3 -c "import time; '
                    'print(time.monotonic())"; dmsetup message fa 0 trigger 0 '
                    '&& python3 -c "import time; print(time.monotonic())"')
        _, self.called, self.returned = map(float, out.split())
        gate = self.v.status(1)['trigger_us']
        self.step(f'copy triggered on node 1 while it writes: the gates were '
                  f'closed for {gate / 1000:.1f} ms')
        self.row('longest gate of the trigger', f'{gate / 1000:.1f} ms')
        spoil = n1.spawn(SPOIL)
        r = spoil.wait(240)
        n1.sh('touch /tmp/stop')
        n = writer.wait(60).out.strip()
        if r.rc:
            raise Bail(f'changing the files: {r.out}')
        left, changed = map(int, r.out.split()[-2:])
        self.step(f'node 1 has removed {self.count - left} files, changed '
                  f'{changed}, and written {n} new ones')
        s = self.v.copy_status(1, 0)
        self.row('grains copied before they were written', s['split'])

    def check_live(self, node):
        """Files that were written around the trigger: (good, bad)."""
        journal = self.c[1].sh('cat /tmp/journal').splitlines()
        sums = dict(reversed(line.split()) for line in node.sh(
            'cd /mnt && md5sum live/* 2>/dev/null; true', 120).splitlines())
        good, bad = 0, []
        for line in journal:
            began, ended, name, md5 = line.split()
            if float(ended) < self.called and sums.get(name) != md5:
                bad.append(f'{name} was synced before the trigger and is '
                           f'{"missing" if name not in sums else "wrong"}')
            elif float(began) > self.returned and name in sums:
                bad.append(f'{name} was begun after the trigger and is there')
            elif float(ended) < self.called:
                good += 1
        return good, bad

    def verify(self):
        n2, n3 = self.c[2], self.c[3]
        for n in n2, n3:
            n.sh('mkdir -p /mnt')
            n.run(['sh', '-c', 'cat >/tmp/sums'], 60, check=True,
                  stdin=self.c[1].run('cat /tmp/sums').stdout)
        r = n2.run('e2fsck -fy /dev/mapper/fb0', 240)
        fixed = [s for s in r.out.splitlines() if 'recovering journal' in s]
        clean = n2.run('e2fsck -fn /dev/mapper/fb0', 240)
        self.row('e2fsck on node 2', 'journal replayed, clean' if fixed and
                 not clean.rc else f'exit {r.rc}, then {clean.rc}',
                 r.rc in (0, 1) and not clean.rc)
        self.step('node 2 has checked the copy')
        n2.sh('mount -o ro /dev/mapper/fb0 /mnt')
        r = n2.run('cd /mnt && split -n l/2 /tmp/sums /tmp/part && '
                   'md5sum --quiet -c /tmp/partaa & p=$!; '
                   'cd /mnt; sleep 1; md5sum --quiet -c /tmp/partab; rc=$?; '
                   'wait $p && exit $rc', 240)
        there = int(n2.sh('find /mnt/files -type f | wc -l'))
        self.row('files of the copy as at the trigger, on node 2',
                 f'{there} of {self.count}', not r.rc and there == self.count)
        if r.rc:
            print(r.out[-1000:])
        good, bad = self.check_live(n2)
        self.row('files synced while the trigger came', f'{good} right, '
                 f'{len(bad)} wrong', good > 0 and not bad)
        print(''.join(f'         {s}\n' for s in bad[:5]), end='')
        self.step('node 2 has compared every file')
        n3.sh('mount -o ro,noload /dev/mapper/fb0 /mnt')
        r = n3.run('cd /mnt && awk "NR % 10 == 1" /tmp/sums >/tmp/some && '
                   'md5sum --quiet -c /tmp/some', 240)
        n = n3.sh('wc -l </tmp/some')
        self.row('files read on node 3 (noload)', n, not r.rc)
        self.step(f'node 3 has looked at {n} of them, read-only')
        for n in self.c:
            n.sh('umount /mnt')
        self.v.remove_all()

    # -- messages --

    def fio(self, v, seconds):
        """Writes from all nodes at once: (I/Os, messages, requests, IOPS)."""
        for i in v.nodes:
            v.message(i, 'reset_stats')
        jobs = [self.c[i].spawn(
            f'fio --name=w --filename=/dev/mapper/{v.a} --rw=randwrite --bs=4k '
            f'--direct=1 --ioengine=psync --thread --numjobs=2 --size=40m '
            f'--time_based --runtime={seconds} --randseed={i} --group_reporting '
            '--output-format=json') for i in v.nodes]
        ios = rate = 0
        for job in jobs:
            r = job.wait(seconds + 60)
            text = r.stdout.decode(errors='replace')
            if r.rc:
                raise Bail(f'fio: {r.out[-1000:]}')
            write = json.loads(text[text.index('{'):])['jobs'][0]['write']
            ios += write['total_ios']
            rate += write['iops']
        s = [v.status(i) for i in v.nodes]
        return (ios, sum(x['msg_sent'] for x in s),
                sum(x['lock_requests'] for x in s), rate)

    def messages(self):
        v = Volume(self.c, slots=(0,), port=7790, prefix='raw')
        v.start_all()
        v.wait_connected()
        self.counts = {}
        for what, limit in (('with the cache', None), ('cache_limit 0', 0)):
            v.remove_all()
            v.args = {} if limit is None else {'cache_limit': limit}
            v.start_all()
            v.wait_connected()
            v.message(1, 'trigger 0')
            # What will be written is copied first, however fast this machine is;
            # the rest of the volume stays unsplit, or nobody would ask at all.
            self.c[1].sh(f'dd if=/dev/zero of=/dev/mapper/{v.a} bs=1M count=40 '
                         'oflag=direct 2>/dev/null', 120)
            self.fio(v, 1)
            self.counts[what] = self.fio(v, 8)
            ios, sent, _, rate = self.counts[what]
            self.step(f'fio on three nodes, {what}: {rate:.0f} writes/s, '
                      f'{sent / ios:.3f} messages per write')
        v.remove_all()
        for what, (ios, sent, asked, rate) in self.counts.items():
            self.row(f'{what}: writes, per s', f'{ios}, {rate:.0f}', ios > 100)
            self.row(f'{what}: messages per write', f'{sent / ios:.4f} '
                     f'({sent} sent, {asked} requests)')
        with_cache, without = (s / n for n, s, *_ in self.counts.values())
        self.row('the cache saves', f'{100 * (1 - with_cache / without):.1f} % of '
                 'the messages', with_cache < without / 10)

    def logs(self):
        bad = []
        for node in self.c:
            bad += [f'node {node.nr}: {s}' for s in node.log().splitlines()
                    if tap.forbidden().search(s)]
        self.row('kernel logs', 'clean' if not bad else f'{len(bad)} bad lines',
                 not bad)
        print(''.join(f'         {s}\n' for s in bad[:10]), end='')

    def run(self):
        self.c = None
        try:
            self.step('starting three guests')
            self.boot()
            self.step('three guests are up')
            self.bring_up()
            self.fill()
            self.copy()
            self.verify()
            self.messages()
            self.logs()
        except (vm.Error, Bail) as e:
            print(f'{type(e).__name__}: {e}')
            self.wrong.append('ran to its end')
            for node in self.c or []:
                lines = node.log().splitlines()[-15:]
                print(''.join(f'  node {node.nr}: {s}\n' for s in lines), end='')
        finally:
            if self.c:
                self.c.down()
        self.step('everything is stopped')
        print()
        for what, value, good in self.table:
            print(f'  {what:<46} {value}{"" if good else "   <-- WRONG"}')
        print()
        if self.wrong:
            print('demo: WRONG: ' + ', '.join(self.wrong))
        else:
            print('demo: all is as it should be')
        return 1 if self.wrong else 0


def main():
    return Demo(Path(sys.argv[1]), float(sys.argv[2])).run()


if __name__ == '__main__':
    sys.exit(main())
