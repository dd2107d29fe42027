# SPDX-License-Identifier: GPL-2.0-only
"""What a flash copy may hold, decided from a log of all writes.

Every write of the checker puts its id into each sector it covers. The log says
for each write when it was issued and when it was acknowledged, in stamps of one
counter that all guests share (see tests/tools/checker.c), so the order is exact and
the rules can be too. A sector is a register, a write takes effect somewhere
between its issue and its acknowledgement (never to be acknowledged: any time), and
before the end of any read that saw it: who reads later does not see what was there
before it.

A trigger that was called at c and returned at r stands for one moment t, with
c < t < r, and the copy must be what the origin was then:

  - a held write was issued before t: t > issue
  - a held write was not overwritten before t: if a later write v to the same
    sector (issued after the held one was acknowledged) was acknowledged, t < ack

The trigger is right if one t satisfies all sectors of all nodes at once. With c
and r among the bounds this says: everything acknowledged before the call is in,
nothing issued after the return is, and the cut is consistent across nodes. A
trigger of several slots has one t for all of them.

Afterwards the copy changes only by writes through it: Copy remembers what each
sector was seen to hold, and the registers of such writes.
"""
import array
import mmap
import os
import struct

NEVER = 1 << 63
BAD = (1 << 64) - 1
ORIGIN = 255

SHM_SIZE = 64 << 20
LOG_START, LOG_SIZE = 4 << 20, 12 << 20
AREA_START, AREA_SIZE, AREAS = 40 << 20, 1 << 20, 24
NODE_HEADER, NODE_SIZE = 64, 64
RECORD = struct.Struct('<4Q')


class Write:
    __slots__ = ('id', 'target', 'sector', 'n', 'issue', 'ack', 'seen')

    def __init__(self, id, target, sector, n, issue, ack):
        self.id, self.target, self.sector, self.n = id, target, sector, n
        self.issue, self.ack = issue, ack
        self.seen = None        # {sector: end of the first read that saw it}

    def done(self, x):
        """It has taken effect in this sector by then."""
        return min(self.ack, self.seen.get(x, NEVER)) if self.seen else self.ack

    def __repr__(self):
        where = 'A' if self.target == ORIGIN else f'B{self.target}'
        ack = '-' if self.ack == NEVER else self.ack
        return (f'{self.id >> 32}/{self.id & 0xffffffff} ({where} '
                f'{self.sector}+{self.n}, issued {self.issue}, acked {ack})')


INITIAL = Write(0, ORIGIN, 0, 0, 0, 0)


class Memory:
    """The memory that guests and host share; path: a file to make, or with
    keep one that guests have already."""

    def __init__(self, path, nonce, keep=False):
        self.path = path
        with open(path, 'r+b' if keep else 'wb') as f:
            f.truncate(SHM_SIZE)
        fd = os.open(path, os.O_RDWR)
        self.map = mmap.mmap(fd, SHM_SIZE)
        os.close(fd)
        self.clear(nonce)

    def clear(self, nonce):
        """A new history: no records, stamps of other runs are foreign."""
        self.map[0:4096] = bytes(4096)
        self.map[LOG_START:AREA_START] = bytes(AREA_START - LOG_START)
        self.map[0:16] = struct.pack('<2Q', 1, nonce)
        self.seen = {1: 0, 2: 0, 3: 0}
        self.open = {}

    def now(self):
        return struct.unpack_from('<Q', self.map, 0)[0]

    def stop(self, node, value=1):
        struct.pack_into('<Q', self.map, NODE_HEADER + NODE_SIZE * node + 8,
                         value)

    def records(self, node):
        return struct.unpack_from('<Q', self.map,
                                  NODE_HEADER + NODE_SIZE * node)[0]

    def area(self, number, sectors):
        at = AREA_START + number * AREA_SIZE
        return array.array('Q', self.map[at:at + sectors * 8])

    def _record(self, node, index):
        return RECORD.unpack_from(self.map, LOG_START + (node - 1) * LOG_SIZE
                                  + index * RECORD.size)

    def update(self, history):
        """Brings the history up to now."""
        for id, w in list(self.open.items()):
            self._ended(w, self._record(id >> 32, (id & 0xffffffff) - 1)[2])
        for node in self.seen:
            end = min(self.records(node), LOG_SIZE // RECORD.size)
            at = self.seen[node]
            while at < end:
                where, issue, ack, _ = self._record(node, at)
                if not issue:
                    break       # its writer is between two instructions
                w = Write(node << 32 | at + 1, where >> 56,
                          where & (1 << 40) - 1, where >> 40 & 0xffff, issue,
                          NEVER)
                at += 1
                history.add(w)
                self.open[w.id] = w
                self._ended(w, ack)
            self.seen[node] = at

    def _ended(self, w, ack):
        if ack:
            if ack <= w.issue:
                raise RuntimeError(f'{w}, {ack}: the counter went back')
            w.ack = NEVER if ack == BAD else ack
            del self.open[w.id]

    def forget_open(self, node, history):
        """The node was killed: what it had in flight stays open for ever."""
        self.update(history)
        end = self.records(node)
        while self.seen[node] < end:
            if not self._record(node, self.seen[node])[1]:
                self.seen[node] += 1    # taken, but never issued
            self.update(history)
        self.open = {k: w for k, w in self.open.items() if k >> 32 != node}

    def waiting(self, history, issued):
        """Writes that were issued before this moment and have not ended."""
        self.update(history)
        return [w for w in self.open.values() if w.issue < issued]


class Cut:
    """One trigger: bounds of its moment, and who set them."""

    def __init__(self, called, returned):
        self.called, self.returned = called, returned
        self.low, self.low_why = called, 'the call of the trigger'
        self.high, self.high_why = returned, 'the return of the trigger'


class Copy:
    """A slot since its last trigger."""

    def __init__(self, slot, cut):
        self.slot, self.cut = slot, cut
        self.base = {}          # sector -> id seen of the cut
        self.partial = False    # a sector had been overwritten when first seen


class History:
    """All writes to one volume."""

    def __init__(self, sectors):
        self.sectors = sectors
        self.writes = {0: INITIAL}
        self.origin = {}        # sector -> writes that may still be in it
        self.through = {}       # slot -> sector -> writes
        self.copies = {}
        self.errors = []

    def add(self, w):
        self.writes[w.id] = w
        table = self.origin if w.target == ORIGIN else \
            self.through.setdefault(w.target, {})
        for x in range(w.sector, w.sector + w.n):
            table.setdefault(x, []).append(w)

    def error(self, text):
        if len(self.errors) < 20:
            self.errors.append(text)

    # -- one sector --

    def _covers(self, w, x):
        return w is INITIAL or w.sector <= x < w.sector + w.n

    def _lookup(self, id, x, who):
        w = self.writes.get(id)
        if w is None or not self._covers(w, x):
            self.error(f'{who} sector {x}: {id:#x} was never written there')
            return None
        return w

    def _later(self, table, x, w):
        """The first write, acknowledged or seen, that certainly came after w."""
        best, done = None, w.done(x)
        for v in table.get(x, ()):
            if v.issue > done and v.done(x) != NEVER and \
                    (best is None or v.done(x) < best.done(x)):
                best = v
        return best

    def check_register(self, table, x, w, began, ended, who):
        """A sector that was read between began and ended held w."""
        if w.issue > ended:
            self.error(f'{who} sector {x}: {w} was read before it was issued')
        v = self._later(table, x, w)
        if v and v.done(x) < began:
            self.error(f'{who} sector {x}: holds {w} and lost {v}')
        if ended < w.done(x):
            w.seen = w.seen or {}
            w.seen[x] = ended

    # -- the origin --

    def check_origin(self, content, began, ended, who='A'):
        """A as it was read by a scan."""
        before = len(self.errors)
        for x, id in enumerate(content):
            w = self._lookup(id, x, who)
            if w is None:
                continue
            if w.target != ORIGIN:
                self.error(f'{who} sector {x}: {w} was written to a copy')
            else:
                self.check_register(self.origin, x, w, began, ended, who)
        return len(self.errors) == before

    # -- copies --

    def trigger(self, slots, called, returned):
        """A trigger that succeeded; every slot is to be checked before the
        next trigger of any slot is."""
        cut = Cut(called, returned)
        for s in slots:
            self.copies[s] = Copy(s, cut)
        return cut

    def stop(self, slot):
        self.copies.pop(slot, None)

    def _bounds(self, cut, x, w, who):
        """What the cut's holding w in sector x says of its moment."""
        if w.issue > cut.low:
            cut.low, cut.low_why = w.issue, f'{who} sector {x} holds {w}'
        v = self._later(self.origin, x, w)
        if v and v.done(x) < cut.high:
            cut.high = v.done(x)
            cut.high_why = f'{who} sector {x} holds {w} and not {v}'

    def _through(self, copy, x, w, began, ended, who):
        table = self.through[copy.slot]
        self.check_register(table, x, w, began, ended, who)
        if w.done(x) < copy.cut.called:
            self.error(f'{who} sector {x}: {w} outlived the trigger '
                       f'({copy.cut.called} to {copy.cut.returned})')

    def _from_cut(self, copy, x, w, began, who):
        cut = copy.cut
        for v in self.through.get(copy.slot, {}).get(x, ()):
            if v.issue > cut.returned and v.done(x) < began:
                self.error(f'{who} sector {x}: holds {w} and lost {v}')
                return
        old = copy.base.setdefault(x, w.id)
        if old != w.id:
            self.error(f'{who} sector {x}: was {self.writes[old]} and is {w}')
        else:
            self._bounds(cut, x, w, who)

    def check_seen(self, slot, x, id, began, ended, who):
        """One sector of a copy (or of the origin) as it was read."""
        w = self._lookup(id, x, who)
        if w is None:
            return
        if slot == ORIGIN:
            self.check_register(self.origin, x, w, began, ended, who)
        elif w.target == slot:
            self._through(self.copies[slot], x, w, began, ended, who)
        elif w.target != ORIGIN:
            self.error(f'{who} sector {x}: {w} is of another copy')
        else:
            self._from_cut(self.copies[slot], x, w, began, who)

    def check_copy(self, slot, content, began, ended, who=None):
        """A copy as it was read by a scan."""
        who = who or f'B{slot}'
        before = len(self.errors)
        copy = self.copies[slot]
        cut, origin, base = copy.cut, self.origin, copy.base
        through = self.through.get(slot, {})
        for x, id in enumerate(content):
            if base.get(x) == id and x not in through:
                continue
            if not id and x not in origin and x not in through:
                base[x] = 0
                continue
            self.check_seen(slot, x, id, began, ended, who)
        if cut.low >= cut.high:
            self.error(f'{who}: no moment between {cut.called} and '
                       f'{cut.returned} explains the copy: after {cut.low} '
                       f'({cut.low_why}) and before {cut.high} '
                       f'({cut.high_why})')
            cut.low, cut.high = 0, NEVER
        return len(self.errors) == before

    def forget(self, called):
        """Drops what no trigger called after this one may hold. Only when the
        copies of all triggers so far have been seen whole."""
        for x, writes in self.origin.items():
            if len(writes) < 2:
                continue
            newest = max((w.issue for w in writes if w.ack < called),
                         default=0)
            self.origin[x] = [w for w in writes if w.ack > newest]
