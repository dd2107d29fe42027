# SPDX-License-Identifier: GPL-2.0-only
"""TAP: writing it, and joining that of several files into one stream."""
import re
import sys
import threading

from . import paths

LINE = re.compile(r'^(not )?ok\b *(\d+)?(?: *- *)?(.*)$')
PLAN = re.compile(r'^1\.\.(\d+)(?:\s*#\s*SKIP\s*(.*))?', re.I)


def forbidden():
    """The words that no kernel log may have."""
    text = (paths.TREE / 'tests/guest/forbidden-log').read_text()
    return re.compile('|'.join(f'(?:{p})' for p in text.splitlines() if p))


class Joiner:
    """Takes the TAP of one file after the other; prints one numbered list."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.number = self.passed = self.failed = self.skipped = 0
        self.whole = threading.Lock()   # what one Held says stays together
        self._lock = threading.Lock()

    def line(self, text):
        with self._lock:
            print(text, file=self.out, flush=True)

    def result(self, good, text, skip=None):
        self.number += 1
        if skip is not None:
            self.skipped += 1
            text += f' # SKIP {skip}'
        elif good:
            self.passed += 1
        else:
            self.failed += 1
        self.line(f'{"" if good else "not "}ok {self.number} - {text}')

    def file(self, name):
        return File(self, name)

    def end(self):
        self.line(f'1..{self.number}')
        print(f'# {self.passed} passed, {self.failed} failed, '
              f'{self.skipped} skipped', file=self.out, flush=True)
        return 1 if self.failed or not self.number else 0


class Held:
    """A Joiner that keeps what it is told until another may say all of it at once."""

    def __init__(self, joiner):
        self.joiner, self.said = joiner, []

    def line(self, text):
        self.said.append(('line', (text,)))

    def result(self, *args):
        self.said.append(('result', args))

    def file(self, name):
        return File(self, name)

    def release(self):
        with self.joiner.whole:
            for how, args in self.said:
                getattr(self.joiner, how)(*args)
        self.said = []


class File:
    """One file's TAP, fed as bytes; checks its plan."""

    def __init__(self, joiner, name):
        self.joiner, self.name = joiner, name
        self.seen = self.failed = 0
        self.plan = None
        self.bailed = False
        self._rest = b''

    def feed(self, data):
        *lines, self._rest = (self._rest + data).split(b'\n')
        for line in lines:
            self._line(line.decode(errors='replace').rstrip('\r'))

    def _line(self, text):
        m = LINE.match(text)
        if m:
            self.seen += 1
            good, what = not m.group(1), m.group(3)
            what, _, skip = what.partition('# SKIP')
            self.failed += not good
            self.joiner.result(good, f'{self.name}: {what.strip()}',
                               skip.strip() if '# SKIP' in text else None)
            return
        m = PLAN.match(text)
        if m:
            self.plan = int(m.group(1))
            if not self.plan and 'skip' in text.lower():
                self.seen += 1
                self.plan = 1
                self.joiner.result(True, self.name, m.group(2) or 'no reason')
            return
        if text.startswith('Bail out!'):
            self.bailed = True
        if text:
            self.joiner.line(text if text.startswith('#') else f'# {text}')

    def end(self, trouble=None):
        """trouble: why the file did not end well, if it did not."""
        if self._rest:
            self.feed(b'\n')
        if trouble is None and self.bailed:
            trouble = 'bailed out'
        if trouble is None and self.plan is None:
            trouble = 'ended without a plan'
        if trouble is None and not self.plan:
            trouble = 'planned no test'
        if trouble is None and self.plan != self.seen:
            trouble = f'planned {self.plan} tests and ran {self.seen}'
        if trouble:
            self.failed += 1
            self.joiner.result(False, f'{self.name}: {trouble}')
        return not self.failed
