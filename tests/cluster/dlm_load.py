#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs in a guest for dlm_test.py.

	dlm_load.py files DIR NODE      files with known content, each made durable, then
	                                its number is printed; until /run/stop exists
	dlm_load.py verify DIR NODE N   are files 0 to N there and right?
	dlm_load.py raw DEV FIRST N     direct writes of one block in each of N grains, round
	                                and round, until /run/stop-raw exists; prints the
	                                number and the longest of them
	dlm_load.py sweep DEV FIRST N   one round; prints when each was done
"""
import mmap
import os
import sys
import time

GRAIN = 65536


def content(node, k):
    return (b'node %d file %d\n' % (node, k)) * (100 + 37 * k % 900)


def files(path, node):
    node, k = int(node), 0
    while not os.path.exists('/run/stop'):
        fd = os.open(f'{path}/{node}.{k}', os.O_WRONLY | os.O_CREAT)
        os.write(fd, content(node, k))
        os.fsync(fd)
        os.close(fd)
        print(k, flush=True)
        k += 1
        time.sleep(0.1)


def verify(path, node, last):
    node, bad = int(node), []
    for k in range(int(last) + 1):
        try:
            with open(f'{path}/{node}.{k}', 'rb') as f:
                good = f.read() == content(node, k)
        except OSError as e:
            good = False
            bad.append(str(e))
        if not good:
            bad.append(k)
    print(f'bad={bad}')
    return 1 if bad else 0


def blocks(dev, first, n):
    fd = os.open(dev, os.O_WRONLY | os.O_DIRECT)
    buf = mmap.mmap(-1, 4096)
    while True:
        for g in range(int(first), int(first) + int(n)):
            buf[:8] = g.to_bytes(8, 'little')
            began = time.monotonic()
            os.pwrite(fd, buf, g * GRAIN)
            yield g, time.monotonic() - began


def raw(dev, first, n):
    count, longest = 0, 0
    for _, took in blocks(dev, first, n):
        count, longest = count + 1, max(longest, took)
        if count == int(n):
            print('round', flush=True)
            longest = 0
        if os.path.exists('/run/stop-raw'):
            break
        time.sleep(0.005)
    print(f'writes={count} longest_ms={longest * 1000:.0f}')


def sweep(dev, first, n):
    longest, last = 0, int(first) + int(n) - 1
    for g, took in blocks(dev, first, n):
        longest = max(longest, took)
        if g == last:
            break
    uptime = open('/proc/uptime').read().split()[0]
    print(f'longest_ms={longest * 1000:.0f} ended={uptime}')


if __name__ == '__main__':
    sys.exit({'files': files, 'verify': verify, 'raw': raw,
              'sweep': sweep}[sys.argv[1]](*sys.argv[2:]))
