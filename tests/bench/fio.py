# SPDX-License-Identifier: GPL-2.0-only
"""fio: several jobs one after the other in one process, and ratios of them."""
import json
import statistics
import subprocess

# mem: malloc would give some jobs buffers that are mapped already
GLOBAL = '''[global]
ioengine=libaio
direct=1
iodepth=16
thread=1
mem=mmap
gtod_reduce=1
stonewall
'''


def run(jobs, options):
    """Runs these devices in this order; seconds for one I/O of each."""
    text = GLOBAL + ''.join(f'{k}={v}\n' for k, v in options.items())
    for nr, device in enumerate(jobs):
        path = device if '/' in device else f'/dev/mapper/{device}'
        text += f'[j{nr}]\nfilename={path}\n'
    out = subprocess.run(['fio', '--output-format=json', '-'], input=text,
                         text=True, stdout=subprocess.PIPE, check=True).stdout
    done = json.loads(out[out.index('{'):])['jobs']
    return [1 / max(j['read']['iops'], j['write']['iops']) for j in done]


def order(others, base):
    """@others, two between one measurement of @base and the next."""
    jobs = [base]
    for i in range(0, len(others), 2):
        jobs += [*others[i:i + 2], base]
    return jobs


def beside(jobs, times, base):
    """(device, its time, that of @base: the mean of before and after it)."""
    at = [i for i, job in enumerate(jobs) if job == base]
    for i, job in enumerate(jobs):
        if at[0] < i < at[-1] and job != base:
            before = max(b for b in at if b < i)
            after = min(b for b in at if b > i)
            yield job, times[i], (times[before] + times[after]) / 2


class Table:
    """Median and spread of what is given for each line."""

    def __init__(self, title):
        self.values = {}
        print(f'\n{title}', flush=True)

    def add(self, name, value, layer=None):
        self.values.setdefault(name, []).append((value, layer))

    def show(self, names):
        for key, name in names.items():
            v, layer = zip(*self.values[key])
            line = (f'  {name:<48} {statistics.median(v):6.2f}'
                    f'   {min(v):5.2f} - {max(v):5.2f}')
            if layer[0] is not None:
                line += f'   {statistics.median(layer):6.2f}'
            print(line, flush=True)
