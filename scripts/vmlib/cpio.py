# SPDX-License-Identifier: GPL-2.0-only
"""Writes newc cpio archives, device nodes too, without being root."""
import os
import stat


class Writer:
    """One archive. Parent directories are added as they are needed."""

    def __init__(self, out):
        self._out = out
        self._seen = set()
        self._ino = 0

    def _member(self, name, mode, data=b'', mtime=0, rdev=(0, 0)):
        self._ino += 1
        raw = name.encode() + b'\0'
        head = '070701' + ''.join('%08X' % v for v in (
            self._ino, mode, 0, 0, 1, int(mtime) & 0xffffffff, len(data), 0, 0,
            rdev[0], rdev[1], len(raw), 0))
        block = head.encode() + raw
        block += b'\0' * (-len(block) % 4)
        self._out.write(block)
        self._out.write(data)
        self._out.write(b'\0' * (-len(data) % 4))

    def has(self, name):
        return name.strip('/') in self._seen

    def _new(self, name):
        name = name.strip('/')
        if not name or name in self._seen:
            return None
        parent = os.path.dirname(name)
        if parent:
            self.dir(parent)
        self._seen.add(name)
        return name

    def dir(self, name, mode=0o755):
        name = self._new(name)
        if name:
            self._member(name, stat.S_IFDIR | mode)

    def data(self, name, data, mode=0o644, mtime=0):
        name = self._new(name)
        if name:
            self._member(name, stat.S_IFREG | mode, data, mtime)

    def symlink(self, name, target):
        name = self._new(name)
        if name:
            self._member(name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def char(self, name, major, minor, mode=0o600):
        name = self._new(name)
        if name:
            self._member(name, stat.S_IFCHR | mode, rdev=(major, minor))

    def copy(self, name, path):
        """A file or symbolic link of the host, with its mode and mtime."""
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            self.symlink(name, os.readlink(path))
        elif stat.S_ISDIR(info.st_mode):
            self.dir(name)
        else:
            with open(path, 'rb') as f:
                self.data(name, f.read(), info.st_mode & 0o777, info.st_mtime)

    def tree(self, name, path):
        """A file, or a directory with all that is in it."""
        if not os.path.isdir(path):
            self.copy(name, os.path.realpath(path))
            return
        self.dir(name)
        for top, dirs, files in os.walk(path):
            dirs[:] = sorted(d for d in dirs if d != '__pycache__')
            rel = os.path.relpath(top, path)
            for f in sorted(files) + [d for d in dirs if
                                      os.path.islink(os.path.join(top, d))]:
                self.copy(os.path.normpath(os.path.join(name, rel, f)),
                          os.path.join(top, f))

    def end(self):
        self._member('TRAILER!!!', 0)
        self._out.write(b'\0' * (-self._out.tell() % 512))
