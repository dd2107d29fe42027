# SPDX-License-Identifier: GPL-2.0-only
"""Where things lie: the source tree, the cache, the run directories."""
import os
import stat
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]

for _dir in ('/usr/local/sbin', '/usr/sbin', '/sbin'):
    if _dir not in os.environ.get('PATH', '').split(':'):
        os.environ['PATH'] = os.environ.get('PATH', '/usr/bin:/bin') + ':' + _dir


def cache_dir(*parts):
    """A directory below the cache, made if need be."""
    top = os.environ.get('FCLOCK_CACHE')
    if not top:
        xdg = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
        top = Path(xdg) / 'dm-fclock'
    path = Path(top, *parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _private(path):
    """Nobody else may have put a socket or a disk where ours will lie."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid():
        raise SystemExit(f'{path} belongs to somebody else')
    path.chmod(0o700)
    return path


def run_dir():
    """Sockets, logs and state of all clusters of this user."""
    top = os.environ.get('XDG_RUNTIME_DIR') or '/tmp'
    if not os.access(top, os.W_OK):
        top = '/tmp'
    return _private(Path(top) / f'dm-fclock-vm.{os.getuid()}')


def disk_dir():
    """Disk images: XDG_RUNTIME_DIR is memory, so they lie elsewhere."""
    top = os.environ.get('FCLOCK_DISKS') or '/var/tmp'
    return _private(Path(top) / f'dm-fclock-vm.{os.getuid()}')
