# SPDX-License-Identifier: GPL-2.0-only
"""QEMU: accelerator, bootable kernel, command line."""
import gzip
import hashlib
import json
import lzma
import os
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

from . import image, paths

QEMU = 'qemu-system-x86_64'
TCG = ['-accel', 'tcg,thread=multi', '-cpu', 'qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt']
KVM = ['-accel', 'kvm', '-cpu', 'host']

# What only costs time in a guest that lives for a minute. norandmaps: a program
# at the address where it ran before needs no new translation by TCG, which makes
# starting programs three times as fast.
CMDLINE = '''console=ttyS0 quiet panic=-1 oops=panic net.ifnames=0
mitigations=off init_on_alloc=0 page_poison=0 nokaslr numa=off no_timer_check
tsc=reliable apparmor=0 security=none audit=0 cryptomgr.notests
8250.nr_uarts=1 random.trust_bootloader=on rcupdate.rcu_cpu_stall_timeout=60
watchdog_thresh=30 norandmaps'''.split()


def pvh_kernel(path):
    """The ELF kernel inside a bzImage.

    Unpacking an xz kernel takes an emulated CPU seconds; QEMU loads the ELF
    file by its PVH note. Returns the bzImage itself where that cannot be done.
    """
    path = Path(path)
    with open(path, 'rb') as f:
        raw = f.read()
    key = hashlib.sha256(raw).hexdigest()[:16]
    target = paths.cache_dir('guest') / f'vmlinux-{key}'
    if target.exists():
        return target
    elf = None
    for magic, unpack in ((b'\xfd7zXZ\0', unxz), (b'\x1f\x8b\x08', ungzip)):
        at = raw.find(magic)
        while at > 0 and elf is None:
            elf = unpack(raw[at:])
            at = raw.find(magic, at + 1)
    # ELF note 18 of "Xen" names the 32 bit entry point.
    note = b'\x04\0\0\0' + b'\x04\0\0\0' + b'\x12\0\0\0' + b'Xen\0'
    if elf is None or not (note in elf or note.replace(
            b'\x04\0\0\0\x12', b'\x08\0\0\0\x12') in elf):
        return path
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as f:
        f.write(elf)
    os.rename(f.name, target)
    image.prune(target.parent, 'vmlinux-*', 6)
    return target


def unxz(raw):
    try:
        data = lzma.LZMADecompressor(format=lzma.FORMAT_XZ).decompress(raw)
    except lzma.LZMAError:
        return None
    return data if data.startswith(b'\x7fELF') else None


def ungzip(raw):
    try:
        data = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(raw)
    except (zlib.error, gzip.BadGzipFile):
        return None
    return data if data.startswith(b'\x7fELF') else None


def accelerator(kern, initrd):
    """KVM if a guest really boots with it, else TCG; asked once per host boot."""
    forced = os.environ.get('FCLOCK_ACCEL')
    if forced in ('tcg', 'kvm'):
        return KVM if forced == 'kvm' else TCG
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return TCG
    boot = Path('/proc/sys/kernel/random/boot_id').read_text().strip()
    memo = paths.cache_dir('guest') / f'kvm-{boot}'
    with image.Lock('kvm'):
        if not memo.exists():
            for old in memo.parent.glob('kvm-*-*'):
                old.unlink()
            memo.write_text('yes' if kvm_boots(kern, initrd) else 'no')
    return KVM if memo.read_text() == 'yes' else TCG


def kvm_boots(kern, initrd):
    with tempfile.TemporaryDirectory() as work:
        out = Path(work) / 'control'
        argv = [QEMU, *KVM, '-M', 'q35', '-m', '768', '-nodefaults', '-display',
                'none', '-no-reboot', '-kernel', str(kern), '-initrd',
                str(initrd), '-append', ' '.join(CMDLINE),
                '-device', 'virtio-serial-pci',
                '-chardev', f'file,id=control,path={out}', '-device',
                'virtserialport,chardev=control,name=fc.control']
        qemu = subprocess.Popen(argv, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 20
            while time.monotonic() < end and qemu.poll() is None:
                if out.exists() and b'fc-init' in out.read_bytes():
                    return True
                time.sleep(0.1)
        finally:
            qemu.kill()
            qemu.wait()
    return False


def disk_args(name, path, cache):
    """-blockdev and -device options of one raw disk, as QMP would take them."""
    flags = {'none': (True, False), 'writeback': (False, False),
             'unsafe': (False, True)}[cache]
    blockdev = {
        'node-name': f'd-{name}', 'driver': 'raw', 'discard': 'unmap',
        'detect-zeroes': 'off',
        'cache': {'direct': flags[0], 'no-flush': flags[1]},
        'file': {'driver': 'file', 'filename': str(path), 'locking': 'off',
                 'discard': 'unmap', 'aio': 'threads',
                 'cache': {'direct': flags[0], 'no-flush': flags[1]}},
    }
    return blockdev


def nbd_args(export, name, socket_path):
    """A disk of the fake array."""
    return {'node-name': f'd-{name}', 'driver': 'nbd', 'export': export,
            'discard': 'unmap',
            'server': {'type': 'unix', 'path': str(socket_path)},
            'cache': {'direct': True, 'no-flush': False}}


def disk_device(name):
    return {'driver': 'virtio-blk-pci', 'id': f'v-{name}', 'drive': f'd-{name}',
            'share-rw': True, 'serial': name, 'discard': True,
            'write-zeroes': True, 'logical_block_size': 512,
            'physical_block_size': 512}


def command_line(spec, node, run, accel):
    """node: its number; run: its run directory; disks: name -> blockdev."""
    argv = [QEMU, '-name', f'fclock-{spec["name"]}-{node}', *accel, '-M', 'q35',
            '-smp', str(spec['smp']), '-m', str(spec['mem']), '-nodefaults',
            '-no-user-config', '-display', 'none', '-no-reboot',
            '-kernel', str(spec['boot']), '-initrd', str(spec['initrd']),
            '-append', ' '.join([*CMDLINE, *spec['cmdline'], f'fc.node={node}']),
            '-chardev', f'file,id=con,path={run}/console.log,append=on',
            '-serial', 'chardev:con',
            '-chardev', f'socket,id=qmp,path={run}/qmp.sock,server=off',
            '-mon', 'chardev=qmp,mode=control',
            '-device', 'virtio-serial-pci,max_ports=2',
            '-chardev', f'socket,id=control,path={run}/control.sock,server=off',
            '-device', 'virtserialport,chardev=control,name=fc.control']
    if spec['net']:
        argv += ['-netdev', 'stream,id=net0,server=off,addr.type=unix,'
                 f'addr.path={run}/net.sock', '-device',
                 'virtio-net-pci,id=nic0,netdev=net0,romfile=,'
                 f'mac=52:54:00:77:00:{node:02x}']
    for k in range(spec['slots']):
        argv += ['-device', f'pcie-root-port,id=hp{k},bus=pcie.0,chassis={k + 1},'
                 f'addr=1{k // 8:x}.{k % 8:x}' +
                 (',multifunction=on' if k % 8 == 0 else '')]
    for name, blockdev in spec['disks'][str(node)].items():
        argv += ['-blockdev', json.dumps(blockdev),
                 '-device', json.dumps(disk_device(name))]
    return argv + spec['qemu_args']
