# SPDX-License-Identifier: GPL-2.0-only
"""The guest: its kernel, its modules and its root file system.

The root is an uncompressed initramfs (unpacking is what a slow emulated CPU
does worst) in three archives: user land, the kernel's modules, and whatever a
test adds. The first two are cached, each under what it was made from.
"""
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import cpio, paths

# Packages whose programs go into the guest.
PACKAGES = '''bash bsdextrautils busybox-static coreutils dash diffutils dmsetup
e2fsprogs findutils fio grep gzip hostname iproute2 iputils-ping kmod lvm2
mawk mount ncurses-bin nftables procps python3 sed strace tar util-linux
util-linux-extra xfsprogs xxd'''.split()
# What the host needs besides.
HOST_PACKAGES = '''gcc libc6-dev binutils qemu-system-x86 qemu-utils
kmod'''.split()

# A cluster engine for guests that want one: unpacked into the cache, installed
# nowhere (the daemons would start on the host).
ENGINE_PACKAGES = '''corosync dlm-controld gfs2-utils libcfg7 libcmap4
libcorosync-common4 libcpg4 libdlm3 libdlmcontrol3 libknet1 libnl-3-200
libnl-route-3-200 libnozzle1 libqb100 libquorum5 libstatgrab10
libvotequorum8'''.split()
ENGINE_PROGRAMS = '''corosync corosync-cfgtool corosync-cmapctl
corosync-cpgtool corosync-quorumtool dlm_controld dlm_tool mkfs.gfs2
fsck.gfs2'''.split()

# The host's own, not one that a user has put in front of it.
PYTHON = os.path.realpath('/usr/bin/python3').partition('python')[2] or '3.11'
PYTHON_SKIP = {'idlelib', 'lib2to3', 'ensurepip', 'test', 'tests', 'distutils',
               'pydoc_data', 'tkinter', 'turtledemo', 'venv', 'wsgiref',
               '__pycache__', 'sqlite3', 'curses', 'dbm', 'xmlrpc'}

PYTHON_SKIP_SO = re.compile(
    r'(_ssl|_hashlib|_sqlite3|_dbm|_gdbm|_tkinter|nis|readline|_curses|_codecs_|'
    r'_test|_xx|audioop|ossaudiodev|_crypt|_lsprof|_lzma|_bz2)')
# What a test of block devices does not call and what pulls in libraries.
SKIP_PROGRAMS = re.compile(
    r'/(python3?-?config|pdb3.*|pydoc.*|py3.*|pygettext.*|genfio|fio2gnuplot|'
    r'fio-.*|fio_.*|perf|busctl|xfs_(scrub.*|db|spaceman|quota|estimate|logprint|'
    r'mdrestore|metadump|admin|bmap|copy|fsr|info|mkfile|ncheck|rtcp)|e4crypt|'
    r'e4defrag|lvm_import.*|lvmdump|fsadm|lvmpolld|chfn|chsh|newgrp|runuser|su|'
    r'login|sulogin|dmeventd|lvmdbusd|rtmon|devlink|dcb|rdma|tipc|vdpa|bridge-.*|'
    r'mii-tool|wall|write.*|ul|ncal|lpr|bashbug|clear_console|tarcat|rmt.*)$')

# fio is linked against whole storage stacks that no guest here uses (more
# than all the rest of the image): empty libraries stand in for them.
STUB_LIBS = ('libgfapi', 'libnbd', 'libibverbs', 'librdmacm', 'librados',
             'librbd', 'libpmemblk', 'libpmem')

BOOT_MODULES = 'virtio_pci virtio_console virtio_blk virtio_net'.split()
MODULES = '''
dm-mod dm-bufio dm-snapshot dm-flakey dm-delay dm-log-writes dm-thin-pool
dm-mirror dm-raid dm-crypt dm-dust dm-clone dm-era dm-unstripe dm-zero
dm-persistent-data dm-bio-prison
loop brd null_blk scsi_debug nbd md-mod raid1
ext4 xfs jbd2 mbcache crc16 overlay
crc32c_generic crc32c-intel libcrc32c crct10dif_common hmac sha256_generic
sha256_ssse3 sha512_generic xxhash_generic aes_generic gcm ctr ghash-generic
veth bridge dummy tun 8021q sch_netem sch_tbf sch_ingress cls_u32 cls_matchall
act_mirred ifb sch_fq sch_fq_codel sch_htb
nf_tables nf_tables_inet nft_compat nft_counter nft_ct nft_limit nft_log
nft_reject nft_reject_inet nft_reject_ipv4 nft_reject_ipv6 nft_chain_nat
nft_masq nft_nat nft_numgen nft_quota nft_meta nft_cmp nft_fib_inet
nf_reject_ipv4 nf_reject_ipv6 nf_conntrack xt_tcpudp nfnetlink
vxlan tcp_diag inet_diag udp_diag unix_diag netlink_diag
dlm gfs2 ocfs2 configfs sctp
virtio_scsi sd_mod sg virtio_rng pcspkr ptp evdev i6300esb softdog
kunit test_bpf
'''.split()

LVM_CONF = '''devices {
	dir = "/dev"
	obtain_device_list_from_udev = 0
	external_device_info_source = "none"
	use_devicesfile = 0
}
activation {
	udev_sync = 0
	udev_rules = 0
	monitoring = 0
}
global {
	event_activation = 0
	use_lvmpolld = 0
	locking_dir = "/run/lvm"
}
backup {
	backup = 0
	archive = 0
}
'''


# insmod knows no dependencies, and the module is not below /lib/modules.
LOAD_FCLOCK = '''#!/bin/sh
# Loads the module of this tree: load-fclock [KO]
ko=${1:-/fc/dm-fclock.ko}
[ -d /sys/module/dm_fclock ] && exit 0
for dep in $(modinfo -F depends "$ko" | tr , ' '); do
	modprobe "$dep" || exit 1
done
exec insmod "$ko"
'''


def say(text):
    print(f'guest-image: {text}', file=sys.stderr, flush=True)


def run(*argv, **kw):
    kw.setdefault('check', True)
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, **kw).stdout


class Lock:
    """One builder at a time; the second finds the first one's result."""

    def __init__(self, name):
        self._path = paths.cache_dir('guest') / f'{name}.lock'

    def __enter__(self):
        self._file = open(self._path, 'w')
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self._file.close()


def missing_packages():
    """Packages of the two lists that the host lacks."""
    out = run('dpkg-query', '-W', '-f', '${Package} ${Status}\n',
              *PACKAGES, *HOST_PACKAGES, check=False,
              stderr=subprocess.DEVNULL)
    have = {line.split()[0] for line in out.splitlines()
            if line.endswith('install ok installed')}
    return sorted(set(PACKAGES + HOST_PACKAGES) - have)


# ---- user land ----

def memo(name, watched, make):
    """make() again only when a watched file has changed: apt and dpkg are slow.

    make returns something that JSON can hold."""
    stamp = [[p, os.stat(p).st_mtime_ns if os.path.exists(p) else 0]
             for p in (*watched, __file__)]
    path = paths.cache_dir('guest') / f'memo-{name}.json'
    try:
        old = json.loads(path.read_text())
        if old['stamp'] == stamp:
            return old['value']
    except (OSError, ValueError, KeyError):
        pass
    value = make()
    part = path.with_suffix(f'.{os.getpid()}')
    part.write_text(json.dumps({'stamp': stamp, 'value': value}))
    os.rename(part, path)
    return value


APT = ('/var/lib/apt/lists', '/var/lib/apt/lists/partial', '/etc/apt/sources.list',
       '/etc/apt/sources.list.d', '/var/lib/dpkg/status')
DPKG = ('/var/lib/dpkg/status',)


def package_versions():
    out = run('dpkg-query', '-W', '-f', '${Package} ${Version}\n', *PACKAGES,
              'libc6')
    return ''.join(sorted(set(out.splitlines(True))))


def usr(path):
    """Where a path lies once /bin and its like are links into /usr."""
    return re.sub(r'^/(bin|sbin|lib|lib64)/', r'/usr/\1/', path)


def programs():
    """The programs of the packages, as host paths."""
    out = run('dpkg-query', '-L', *PACKAGES, 'python3-minimal',
              f'python{PYTHON}-minimal')
    dirs = {'/bin', '/sbin', '/usr/bin', '/usr/sbin'}
    return sorted({p for p in out.splitlines()
                   if os.path.dirname(p) in dirs and os.path.exists(p)
                   and not SKIP_PROGRAMS.search(p)})


def libraries(files):
    """Shared libraries that ELF files need, by soname path."""
    found = set()
    for i in range(0, len(files), 100):
        out = run('ldd', *files[i:i + 100], check=False,
                  stderr=subprocess.DEVNULL)
        for line in out.splitlines():
            m = re.search(r'(?:=> )?(/\S+) \(0x', line)
            if m:
                found.add(m.group(1))
    return found


def is_elf(path):
    try:
        with open(path, 'rb') as f:
            return f.read(4) == b'\x7fELF'
    except OSError:
        return False


def stub_libraries(program, work):
    """Empty libraries with every symbol that program wants of STUB_LIBS.

    Returns the paths of the stubs and the libraries that stay real.
    """
    head = run('objdump', '-p', program)
    needed = re.findall(r'NEEDED\s+(\S+)', head)
    stubs = [n for n in needed if n.split('.so')[0] in STUB_LIBS]
    real = [n for n in needed if n not in stubs]
    owner = {}
    for block in re.findall(r'required from (\S+):\n((?:    0x.*\n)+)', head):
        for version in re.findall(r'\s(\S+)\n', block[1]):
            owner[version] = block[0]
    wanted = {lib: {} for lib in stubs}
    for line in run('objdump', '-T', program).splitlines():
        m = re.search(r'\*UND\*\s+\S+\s+(?:\((\S+)\)|Base|\s)\s*(\S+)$', line)
        if not m:
            continue
        version, name = m.groups()
        if version:
            if owner.get(version) in wanted:
                wanted[owner[version]].setdefault(version, []).append(name)
        elif name.startswith(('rados_', 'rbd_')):
            lib = next(s for s in stubs if s.startswith(
                'librados' if name.startswith('rados_') else 'librbd'))
            wanted[lib].setdefault('', []).append(name)
    made = []
    for lib, versions in wanted.items():
        src, script = work / f'{lib}.c', work / f'{lib}.map'
        names = [n for v in versions.values() for n in v]
        src.write_text('#include <stdlib.h>\n' + ''.join(
            f'void {n}(void);\nvoid {n}(void) {{ abort(); }}\n'
            for n in names))
        script.write_text(''.join(
            f'{v} {{ global: {" ".join(n + ";" for n in ns)} }};\n'
            for v, ns in versions.items() if v))
        args = ['gcc', '-shared', '-fPIC', '-O2', '-fno-builtin', '-o',
                str(work / lib), str(src), f'-Wl,-soname,{lib}']
        if script.stat().st_size:
            args.append(f'-Wl,--version-script={script}')
        run(*args)
        made.append(work / lib)
    return made, real


def add_python(out, work):
    """The interpreter's library as byte code only: half the size."""
    top = Path(f'/usr/lib/python{PYTHON}')
    stage = work / 'python'
    extensions = []
    for path in sorted(top.rglob('*')):
        rel = path.relative_to(top)
        if PYTHON_SKIP & set(rel.parts[:-1]) or path.is_dir():
            continue
        if rel.parts[0].startswith('config-') or path.name == 'turtle.py':
            continue
        if path.suffix == '.so':
            if PYTHON_SKIP_SO.match(path.name):
                continue
            extensions.append(str(path))
            out.copy(str(path), str(path.resolve()))
        elif path.suffix == '.py':
            (stage / rel).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, stage / rel)
    # The guest's interpreter compiles: byte code differs between versions.
    run(f'/usr/bin/python{PYTHON}', '-m', 'compileall', '-q', '-b', '-s',
        str(stage), '-p', str(top), str(stage))
    for path in sorted(stage.rglob('*.pyc')):
        out.copy(str(top / path.relative_to(stage)), str(path))
    return extensions


def build_init(path):
    src = paths.TREE / 'tests/guest/init/init.c'
    run('gcc', '-O2', '-Wall', '-Wextra', '-static', '-o', str(path), str(src))


def write_userland(target, work):
    with open(target, 'wb') as f:
        out = cpio.Writer(f)
        for link in ('bin', 'sbin', 'lib', 'lib64'):
            out.symlink(link, f'usr/{link}')
        for d in ('dev', 'proc', 'sys', 'run', 'mnt', 'root', 'etc', 'var/log',
                  'usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'fc/bin'):
            out.dir(d)
        out.dir('tmp', 0o1777)
        out.symlink('var/run', '/run')
        out.symlink('var/lock', '/run/lock')
        out.symlink('etc/mtab', '/proc/self/mounts')
        out.char('dev/console', 5, 1)
        out.char('dev/null', 1, 3, 0o666)

        init = work / 'init'
        build_init(init)
        out.data('init', init.read_bytes(), 0o755)

        progs = programs()
        for p in progs:
            out.copy(usr(p), p)
        for p in progs:            # links that leave the packages' directories
            real = os.path.realpath(p)
            if os.path.islink(p) and not out.has(usr(real)):
                out.copy(usr(real), real)
        extensions = add_python(out, work)
        fio = '/usr/bin/fio'
        stubs, real = stub_libraries(fio, work)
        elfs = [os.path.realpath(p) for p in progs if p != fio and is_elf(p)]
        libs = libraries(elfs + extensions)
        cache = run('ldconfig', '-p')
        for name in real:
            m = re.search(rf'^\s+{re.escape(name)} .*x86-64.* => (\S+)', cache,
                          re.M)
            if m:
                libs |= {m.group(1)} | libraries([m.group(1)])
        libs |= {p for p in ('/lib/x86_64-linux-gnu/libnss_files.so.2',)
                 if os.path.exists(p)}
        for lib in sorted(libs):
            out.copy(usr(lib), os.path.realpath(lib))
        for stub in stubs:
            out.copy(f'/usr/lib/x86_64-linux-gnu/{stub.name}', str(stub))
        for applet in run('busybox', '--list').split():
            if not out.has(f'usr/bin/{applet}') and \
               not out.has(f'usr/sbin/{applet}'):
                out.symlink(f'usr/bin/{applet}', 'busybox')
        for t in ('l/linux', 'x/xterm', 'x/xterm-256color', 's/screen',
                  'v/vt100', 'd/dumb'):
            for base in ('/lib/terminfo', '/usr/share/terminfo'):
                if os.path.exists(f'{base}/{t}'):
                    out.copy(f'/usr/lib/terminfo/{t}',
                             os.path.realpath(f'{base}/{t}'))
        out.tree('usr/lib/locale/C.utf8', '/usr/lib/locale/C.utf8')
        for path in ('/etc/mke2fs.conf', '/etc/protocols'):
            if os.path.exists(path):
                out.copy(path, path)
        out.data('etc/passwd', b'root:x:0:0:root:/root:/bin/bash\n'
                 b'nobody:x:65534:65534:nobody:/:/bin/false\n')
        out.data('etc/group', b'root:x:0:\nnogroup:x:65534:\ndisk:x:6:\n')
        out.data('etc/hosts', ('127.0.0.1 localhost\n::1 localhost\n' + ''.join(
            f'10.77.0.{i} node{i}\n' for i in range(1, 65))).encode())
        out.data('etc/nsswitch.conf', b'hosts: files\n')
        out.data('etc/lvm/lvm.conf', LVM_CONF.encode())
        out.data('usr/bin/load-fclock', LOAD_FCLOCK.encode(), 0o755)
        out.data('root/.bashrc', b"PS1='[\\h \\w]\\$ '\n")
        out.end()


def userland():
    """Path of the user land archive; built if the cache has none."""
    missing = memo('missing', DPKG, missing_packages)
    if missing:
        raise SystemExit('guest-image: these packages are missing (as root: '
                         'scripts/guest-image --install): ' + ' '.join(missing))
    key = hashlib.sha256(memo('versions', DPKG, package_versions).encode())
    here = Path(__file__).resolve()
    for src in (here, here.parent / 'cpio.py',
                paths.TREE / 'tests/guest/init/init.c'):
        key.update(src.read_bytes())
    target = paths.cache_dir('guest') / f'user-{key.hexdigest()[:16]}.cpio'
    with Lock('user'):
        if target.exists():
            return target
        say('building the user land')
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            part = Path(work) / 'out.cpio'
            write_userland(part, Path(work))
            os.rename(part, target)
        prune(target.parent, 'user-*.cpio')
    return target


def prune(directory, pattern, keep=4):
    old = sorted(directory.glob(pattern), key=lambda p: p.stat().st_mtime)
    for path in old[:-keep]:
        path.unlink(missing_ok=True)


# ---- the cluster engine ----

def engine_versions():
    out = run('apt-cache', 'policy', *ENGINE_PACKAGES, check=False,
              stderr=subprocess.DEVNULL)
    found = re.findall(r'^(\S+):\n.*?\n\s+Candidate: (\S+)', out, re.M)
    return [list(f) for f in found if f[1] != '(none)']


def engine():
    """Path of the archive with corosync, dlm_controld and the tools of gfs2."""
    top = paths.cache_dir('guest')
    found = memo('engine', APT, engine_versions)
    key = hashlib.sha256(repr(found).encode())
    for src in (Path(__file__).resolve(), Path(cpio.__file__).resolve()):
        key.update(src.read_bytes())
    # The libraries of the host that they are linked against go in, too.
    key.update(memo('versions', DPKG, package_versions).encode())
    target = top / f'engine-{key.hexdigest()[:16]}.cpio'
    with Lock('engine'):
        if target.exists():
            return target
        missing = set(ENGINE_PACKAGES) - {name for name, _ in found}
        if missing:
            raise SystemExit(f'apt knows no {" ".join(sorted(missing))}; run '
                             'apt-get update')
        say('building the cluster engine')
        with tempfile.TemporaryDirectory(dir=top) as work:
            work = Path(work)
            run('apt-get', 'download', *(f'{n}={v}' for n, v in found),
                cwd=work, stderr=subprocess.DEVNULL)
            for deb in work.glob('*.deb'):
                run('dpkg-deb', '-x', str(deb), str(work / 'tree'))
            write_engine(work / 'out.cpio', work / 'tree')
            os.rename(work / 'out.cpio', target)
        prune(top, 'engine-*.cpio')
    return target


def write_engine(target, tree):
    """Programs, and whatever libraries they need, of the packages or the host."""
    libs = 'usr/lib/x86_64-linux-gnu'
    progs = [tree / 'usr/sbin' / name for name in ENGINE_PROGRAMS]
    env = dict(os.environ, LD_LIBRARY_PATH=str(tree / libs))
    needed = run('ldd', *map(str, progs), env=env)
    missing = re.findall(r'(\S+) => not found', needed)
    if missing:
        raise SystemExit('guest-image: the cluster engine lacks ' +
                         ' '.join(sorted(set(missing))))
    with open(target, 'wb') as f:
        out = cpio.Writer(f)
        for prog in progs:
            out.copy(f'usr/sbin/{prog.name}', str(prog))
        for name, path in sorted(set(re.findall(r'(\S+) => (/\S+)', needed))):
            out.copy(f'{libs}/{name}', os.path.realpath(path))
        for d in ('var/lib/corosync', 'var/log/cluster', 'etc/corosync/uidgid.d',
                  'etc/dlm', 'run/corosync'):
            out.dir(d)
        out.end()


# ---- kernels ----

class Kernel:
    """image: the bzImage; modules: the directory of its release or None."""

    def __init__(self, image, modules, release):
        self.image, self.modules, self.release = image, modules, release


def debian_package(flavour):
    """(name, version) of the newest kernel of a flavour that apt knows."""
    out = run('apt-cache', 'depends', f'linux-image-{flavour}', check=False,
              stderr=subprocess.DEVNULL)
    m = re.search(r'Depends: (linux-image-\S+)', out)
    if not m:
        return None
    policy = run('apt-cache', 'policy', m.group(1))
    v = re.search(r'Candidate: (\S+)', policy)
    return (m.group(1), v.group(1)) if v else None


def debian_kernel(flavour):
    """A kernel of Debian, unpacked into the cache; nothing is installed."""
    top = paths.cache_dir('guest', 'kernel')
    found = memo(f'kernel-{flavour}', APT, lambda: debian_package(flavour))
    if not found:
        old = sorted(top.glob(f'linux-image-[0-9]*[0-9]-{flavour}_*'),
                     key=lambda p: p.stat().st_mtime)
        if not old:
            raise SystemExit(f'apt knows no linux-image-{flavour}; run '
                             'apt-get update')
        return kernel_tree(old[-1])
    package, version = found
    target = top / f'{package}_{version.replace(":", "%3a")}'
    with Lock('kernel'):
        if not target.exists():
            say(f'fetching {package} {version}')
            with tempfile.TemporaryDirectory(dir=top) as work:
                run('apt-get', 'download', f'{package}={version}', cwd=work,
                    stderr=subprocess.DEVNULL)
                deb, = Path(work).glob('*.deb')
                tree = Path(work) / 'tree'
                run('dpkg-deb', '-x', str(deb), str(tree))
                shutil.rmtree(tree / 'usr/share', ignore_errors=True)
                release, = os.listdir(tree / 'lib/modules')
                run('depmod', '-b', str(tree), release)
                os.rename(tree, target)
    return kernel_tree(target)


def kernel_tree(tree):
    """A kernel below boot/ and lib/modules/ of a directory."""
    tree = Path(tree)
    image = sorted(tree.glob('boot/vmlinuz-*')) + \
        sorted(tree.glob('boot/bzImage')) + sorted(tree.glob('bzImage')) + \
        sorted(tree.glob('vmlinuz'))
    if not image:
        raise SystemExit(f'{tree}: no boot/vmlinuz-*, bzImage or vmlinuz')
    return with_modules(image[0], tree / 'lib/modules')


def with_modules(image, top):
    release = image_release(image)
    modules = Path(top) / release
    if not modules.is_dir():
        modules = None
    elif not (modules / 'modules.dep').exists():
        run('depmod', '-b', str(Path(top).parents[1]), release)
    return Kernel(image, modules, release)


def image_release(image):
    """The release is in the bzImage's setup header."""
    with open(image, 'rb') as f:
        head = f.read(65536)
    if head[0x202:0x206] == b'' or head[0x1fe:0x200] != b'\x55\xaa':
        raise SystemExit(f'{image} is not a bzImage')
    at = int.from_bytes(head[0x20e:0x210], 'little') + 0x200
    return head[at:head.index(b'\0', at)].split()[0].decode()


def kernel(which='amd64'):
    """'amd64', 'cloud', a directory with boot/ and lib/modules/, a bzImage."""
    names = {'cloud': 'cloud-amd64', 'cloud-amd64': 'cloud-amd64',
             'amd64': 'amd64'}
    if which in names:
        return debian_kernel(names[which])
    path = Path(which)
    if path.is_dir():
        return kernel_tree(path)
    if not path.exists():
        raise SystemExit(f'no kernel {which}')
    for top in (path.parent, path.parent.parent):
        if (top / 'lib/modules').is_dir():
            return with_modules(path, top / 'lib/modules')
    return Kernel(path, None, image_release(path))


def module_closure(directory, names):
    """Paths, relative to the release's directory, dependencies first."""
    deps, by_name = {}, {}
    for line in (directory / 'modules.dep').read_text().splitlines():
        path, _, rest = line.partition(':')
        deps[path] = rest.split()
        by_name[Path(path).name.split('.ko')[0].replace('-', '_')] = path
    soft = {}
    for line in (directory / 'modules.softdep').read_text().splitlines() \
            if (directory / 'modules.softdep').exists() else []:
        words = line.split()
        if words[:1] == ['softdep']:
            soft.setdefault(words[1].replace('-', '_'), []).extend(
                w for w in words[2:] if not w.endswith(':'))
    result, stack = [], []

    def visit(name):
        path = by_name.get(name.replace('-', '_'))
        if not path or path in result or path in stack:
            return
        stack.append(path)
        for dep in deps[path]:
            visit(Path(dep).name.split('.ko')[0])
        for dep in soft.get(name.replace('-', '_'), []):
            visit(dep)
        stack.pop()
        result.append(path)

    for name in names:
        visit(name)
    return result


def modules(kern):
    """Path of the archive with a kernel's modules, or None without any."""
    if not kern.modules:
        return None
    key = hashlib.sha256(Path(__file__).resolve().read_bytes())
    for name in ('modules.dep', 'modules.order', 'modules.builtin'):
        path = kern.modules / name
        if path.exists():
            key.update(path.read_bytes())
    key.update(str(kern.modules).encode())
    key.update(str(kern.modules.stat().st_mtime_ns).encode())
    target = paths.cache_dir('guest') / \
        f'modules-{kern.release}-{key.hexdigest()[:16]}.cpio'
    with Lock('modules'):
        if target.exists():
            return target
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            part = Path(work) / 'out.cpio'
            write_modules(kern, part, Path(work) / 'tree')
            os.rename(part, target)
        prune(target.parent, 'modules-*.cpio', 8)
    return target


def write_modules(kern, target, stage):
    boot = module_closure(kern.modules, BOOT_MODULES)
    top = stage / 'lib/modules' / kern.release
    for rel in module_closure(kern.modules, BOOT_MODULES + MODULES):
        (top / rel).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kern.modules / rel, top / rel)
    for name in ('modules.builtin', 'modules.builtin.modinfo', 'modules.order'):
        if (kern.modules / name).exists():
            shutil.copyfile(kern.modules / name, top / name)
    run('depmod', '-b', str(stage), kern.release)
    with open(target, 'wb') as f:
        out = cpio.Writer(f)
        out.tree(f'usr/lib/modules/{kern.release}', str(top))
        out.data('etc/fc/boot-modules', ''.join(
            f'/usr/lib/modules/{kern.release}/{p}\n' for p in boot).encode())
        out.end()


def extra(files, target):
    """An archive of files: {path in the guest: path on the host}."""
    with open(target, 'wb') as f:
        out = cpio.Writer(f)
        for guest, host in files.items():
            out.tree(guest, str(host))
        out.end()
    return target


def initramfs(kern, target, files=None, archives=()):
    """Joins the archives into one file for QEMU's -initrd."""
    parts = [userland(), modules(kern), *archives]
    with open(target, 'wb') as out:
        for part in parts:
            if part:
                with open(part, 'rb') as f:
                    shutil.copyfileobj(f, out, 1 << 20)
    if files:
        work = Path(str(target) + '.extra')
        extra(files, work)
        with open(target, 'ab') as out, open(work, 'rb') as f:
            shutil.copyfileobj(f, out, 1 << 20)
        work.unlink()
    return target
