#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The fake array itself: flushed writes survive a power cut, others need not."""
# timeout: 900
# by name
import lib

STAMP = '''
import os, sys
fd = os.open('/dev/disk/fc/a', os.O_RDWR | os.O_DIRECT)
import mmap
buf = mmap.mmap(-1, 512)
first, count, text = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
for i in range(first, first + count):
    buf[:] = (f'{text} {i} '.encode() * 512)[:512]
    os.pwrite(fd, buf, i * 512)
if 'flush' in sys.argv:
    os.fsync(fd)
'''

READ = '''
import os
data = open('/dev/disk/fc/a', 'rb').read(400 * 512)
for i in range(400):
    s = data[i * 512:(i + 1) * 512]
    words = s.split(b' ', 2)
    text = words[0].decode() if s.strip(b'\\0') else 'zero'
    whole = not s.strip(b'\\0') or s == (f'{text} {i} '.encode() * 512)[:512]
    print(text if whole else 'torn', end=' ')
'''


def stamp(node, *args):
    node.run(['python3', '-c', STAMP, *map(str, args)], 120, check=True)


def read(node):
    return node.run(['python3', '-c', READ], 120, check=True).out.split()


with lib.test(n=2, shared={'a': '16M', 'b': '16M'}, array='volatile') as (t, c):
    stamp(c[1], 0, 200, 'one', 'flush')
    stamp(c[2], 100, 200, 'two')
    t.is_(read(c[1]), ['one'] * 100 + ['two'] * 200 + ['zero'] * 100,
          'both nodes see all that was written')
    t.like(c.array('stat'), r'a:dirty=200,', 'the array knows what is unflushed')
    c.power_cut(seed=1, keep=50)
    now = read(c[1])
    t.is_(now[:100], ['one'] * 100, 'what was flushed survives')
    t.ok(set(now[100:200]) == {'one', 'two'},
         'of an overwrite some sectors survive and some do not')
    t.ok(set(now[200:300]) == {'zero', 'two'}, 'of a first write, too')
    t.is_(now[300:], ['zero'] * 100, 'nothing else changes')
    t.is_(read(c[2]), now, 'both nodes agree')

    stamp(c[1], 0, 400, 'three')
    c[2].sh('dd if=/dev/zero of=/dev/disk/fc/a seek=8000 count=1 oflag=direct '
            'conv=fsync')
    c.power_cut(seed=2, keep=0)
    t.is_(read(c[2]), ['three'] * 400,
          'a flush of one node covers completed writes of the other')
    stamp(c[1], 0, 400, 'four')
    c[1].kill()
    c[1].start()
    t.is_(read(c[1]), ['four'] * 400, 'a node crash loses nothing')
    c.power_cut(seed=3, keep=0)
    t.is_(read(c[1]), ['three'] * 400, 'a power cut that keeps nothing loses all')

    t.allow_log('I/O error, dev')
    c.fence(2)
    t.ok(c[2].run('dd if=/dev/disk/fc/a of=/dev/null count=1 iflag=direct').rc,
         'a fenced node gets errors')
    t.is_(c[1].run('dd if=/dev/disk/fc/a of=/dev/null count=1 iflag=direct').rc,
          0, 'and only that node')
    c.unfence(2)
    t.is_(c[2].run('dd if=/dev/disk/fc/a of=/dev/null count=1 iflag=direct').rc,
          0, 'until it is let in again')
    c[1].sh('mkfs.ext4 -q /dev/disk/fc/b && mount /dev/disk/fc/b /mnt && '
            'cp -a /usr/sbin /mnt/ && sync && umount /mnt')
    c.power_cut(seed=4, keep=0)
    t.is_(c[2].run('e2fsck -fn /dev/disk/fc/b', 120).rc, 0,
          'a file system that was unmounted is clean after a power cut')
