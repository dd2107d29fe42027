#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The checker checked: histories made up here, some of them wrong. No guests."""
import os
import random
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import history  # noqa: E402
from history import NEVER, ORIGIN, History, Write  # noqa: E402

SECTORS = 64
SEED = int(os.environ.get('FCLOCK_SEED') or random.SystemRandom().getrandbits(31))


class World:
    """A cluster that is right: each write takes effect at one moment between
    issue and acknowledgement, each trigger copies A at one moment."""

    def __init__(self, rng, slots=2, writes=400, triggers=3):
        self.rng = rng
        self.slots = slots
        events = []
        self.all = []
        end = writes * 10
        for i in range(writes):
            issue = rng.uniform(1, end)
            ack = issue + rng.expovariate(1 / 40)
            at = rng.uniform(issue, ack)
            if rng.random() < 0.02:
                ack = NEVER
                if rng.random() < 0.5:
                    at = None
            target = rng.randrange(slots) if rng.random() < 0.2 else ORIGIN
            n = rng.randint(1, 8)
            w = Write((1 + i % 3) << 32 | i + 1, target,
                      rng.randrange(SECTORS - n), n, issue, ack)
            self.all.append(w)
            if at:
                events.append((at, 'write', w))
        self.triggers = []
        for k in range(triggers):
            c = end * (k + 1) / (triggers + 1)
            r = c + rng.expovariate(1 / 100) % (end / (triggers + 2))
            slots = rng.sample(range(self.slots), rng.randint(1, self.slots))
            t = rng.uniform(c, r)
            self.triggers.append((slots, c, r))
            events.append((t, 'trigger', slots))
            events.append((r + rng.uniform(0, 200), 'scan', (k, slots)))
        self.events = sorted(events, key=lambda e: e[0])
        self.a = [0] * SECTORS
        self.b = {}

    def run(self, break_copy=None, break_scan=None):
        """Plays it; the functions may spoil what a trigger or a scan gives."""
        h = History(SECTORS)
        for w in self.all:
            h.add(w)
        done = set()
        for at, what, x in self.events:
            if what == 'write':
                image = self.a if x.target == ORIGIN else self.b.get(x.target)
                if image is not None:
                    image[x.sector:x.sector + x.n] = [x.id] * x.n
            elif what == 'trigger':
                copy = list(self.a)
                if break_copy:
                    copy = break_copy(self, at, x, copy)
                for s in x:
                    self.b[s] = list(copy)
            else:
                k, slots = x
                if k not in done:
                    h.trigger(*self.triggers[k])
                done.add(k)
                self.scan(h, slots, at, break_scan)
                if not h.errors and k + 1 == len(done) and \
                        self.rng.random() < 0.5:
                    h.forget(self.triggers[k][1])
        end = self.events[-1][0] + 1000
        self.scan(h, list(h.copies), end, break_scan)
        h.check_origin(self.a, end, end + 1)
        return h.errors

    def scan(self, h, slots, at, spoil):
        for s in slots:
            if s not in h.copies:
                continue
            content = list(self.b[s])
            if spoil:
                content = spoil(self, h, s, at, content)
            h.check_copy(s, content, at - 0.01, at + 0.01)


def acked_before(world, x, time, target=ORIGIN):
    return [w for w in world.all if w.target == target and w.ack < time and
            w.sector <= x < w.sector + w.n]


def older(w, v):
    return w.ack < v.issue


def lose_acked(world, at, slots, copy):
    """A sector falls back to a write that was overwritten before the call."""
    called = next(c for s, c, r in world.triggers if s is slots)
    for x in range(SECTORS):
        known = acked_before(world, x, called)
        for w in known:
            if any(older(w, v) for v in known):
                copy[x] = w.id
                return copy
    return copy


def too_new(world, at, slots, copy):
    """A sector holds what was issued after the trigger returned."""
    returned = next(r for s, c, r in world.triggers if s is slots)
    w = next(w for w in world.all if w.issue > returned and w.target == ORIGIN)
    copy[w.sector] = w.id
    return copy


def two_moments(world, at, slots, copy):
    """One half of A is cut at the call, the other half at the return."""
    _, called, returned = next(t for t in world.triggers if t[0] is slots)
    for x in range(0, SECTORS):
        late = [w for w in world.all if w.target == ORIGIN and
                w.sector <= x < w.sector + w.n]
        if x % 2:
            early = [w for w in late if w.ack < called]
            copy[x] = max(early, key=lambda w: w.ack).id if early else 0
        else:
            before = [w for w in late if w.ack < returned]
            copy[x] = max(before, key=lambda w: w.ack).id if before else 0
    return copy


def through_the_trigger(world, at, slots, copy):
    """A sector keeps a write that went to the copy before the trigger."""
    called = next(c for s, c, r in world.triggers if s is slots)
    for w in world.all:
        if w.target == slots[0] and w.ack < called:
            copy[w.sector] = w.id
            break
    return copy


def changes_later(world, h, slot, at, content):
    """The origin shows through a sector of the copy at the second look."""
    copy = h.copies[slot]
    for x, id in copy.base.items():
        if world.a[x] != id and x not in h.through.get(slot, {}):
            content[x] = world.a[x]
            return content
    return content


def lose_copy_write(world, h, slot, at, content):
    """An acknowledged write through the copy is gone."""
    copy = h.copies[slot]
    for x in range(SECTORS):
        for w in h.through.get(slot, {}).get(x, ()):
            if w.issue > copy.cut.returned and w.ack < at - 1 and \
                    copy.base.get(x, content[x]) != content[x]:
                content[x] = copy.base[x]
                return content
    return content


def foreign(world, h, slot, at, content):
    """A sector holds the stamp of another sector."""
    w = next(w for w in world.all if w.target == ORIGIN)
    content[(w.sector + w.n + 1) % SECTORS] = w.id
    return content


def other_copy(world, h, slot, at, content):
    """A sector holds what was written through another slot."""
    w = next(w for w in world.all if w.target not in (ORIGIN, slot))
    content[w.sector] = w.id
    return content


def garbage(world, h, slot, at, content):
    content[7] = history.BAD
    return content


MUTANTS = [
    ('an acknowledged write is missing', lose_acked, None),
    ('a write issued after the return is in', too_new, None),
    ('two moments in one copy', two_moments, None),
    ('a write through the copy outlives a trigger', through_the_trigger, None),
    ('the copy changes after it was seen', None, changes_later),
    ('a write through the copy is lost', None, lose_copy_write),
    ('the stamp of another sector', None, foreign),
    ('a write of another slot', None, other_copy),
    ('no stamp at all', None, garbage),
]


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def ok(self, good, text):
        self.n += 1
        self.bad += not good
        print(f'{"" if good else "not "}ok {self.n} - {text}', flush=True)


def lost_on_origin(rng):
    """An acknowledged write is not in A and nothing came after it."""
    world = World(rng)
    h = History(SECTORS)
    for w in world.all:
        h.add(w)
    content = [0] * SECTORS
    h.check_origin(content, NEVER - 1, NEVER - 1)
    return bool(h.errors)


def read_goes_back(target, apart):
    """Two reads, one after the other if apart, of a write that is never acknowledged:
    the second one finds what was there before it."""
    old = Write(1 << 32 | 1, ORIGIN, 5, 1, 10, 20)
    new = Write(1 << 32 | 2, target, 5, 1, 50, NEVER)
    h = History(SECTORS)
    h.add(old)
    h.add(new)
    h.trigger([0], 30, 40)
    for id, began in ((new.id, 60), (old.id, 71 if apart else 69)):
        content = [0] * SECTORS
        content[5] = id
        if target == ORIGIN:
            h.check_origin(content, began, 70)
        else:
            h.check_copy(0, content, began, 70)
    return bool(h.errors)


def seen_and_overwritten(issue):
    """A write that is never acknowledged is read from 20 to 25; another one, issued then
    or later, is acknowledged at 35; at 40 the first one is there again."""
    seen = Write(1 << 32 | 1, ORIGIN, 5, 1, 10, NEVER)
    h = History(SECTORS)
    h.add(seen)
    h.add(Write(2 << 32 | 1, ORIGIN, 5, 1, issue, 35))
    content = [0] * SECTORS
    content[5] = seen.id
    h.check_origin(content, 20, 25)
    h.check_origin(content, 40, 41)
    return bool(h.errors)


def outlived_its_trigger():
    """A write through a copy, never acknowledged but read, is in the next copy."""
    h = History(SECTORS)
    h.trigger([0], 1, 2)
    h.add(Write(1 << 32 | 1, 0, 5, 1, 10, NEVER))
    content = [0] * SECTORS
    content[5] = 1 << 32 | 1
    h.check_copy(0, content, 20, 25)
    fine = not h.errors
    h.trigger([0], 30, 40)
    h.check_copy(0, content, 50, 55)
    return fine and bool(h.errors)


def cut_before_what_was_seen():
    """A copy without a write that a read had seen when its trigger was called."""
    seen = Write(1 << 32 | 1, ORIGIN, 5, 1, 10, NEVER)
    h = History(SECTORS)
    h.add(seen)
    content = [0] * SECTORS
    content[5] = seen.id
    h.check_origin(content, 20, 25)
    h.trigger([0], 30, 40)
    h.check_copy(0, [0] * SECTORS, 50, 51)
    return bool(h.errors)


def memory_round():
    """The log is read as the tool writes it."""
    with tempfile.NamedTemporaryFile() as f:
        m = history.Memory(f.name, 99)
        at = history.LOG_START + history.LOG_SIZE
        history.RECORD.pack_into(m.map, at, 5 | 3 << 40 | 2 << 56, 11, 12, 0)
        history.RECORD.pack_into(m.map, at + 32, 9 | 1 << 40 | 255 << 56, 13,
                                 0, 0)
        history.struct.pack_into('<Q', m.map, 64 + 64 * 2, 2)
        h = History(SECTORS)
        m.update(h)
        a, b = h.writes[2 << 32 | 1], h.writes[2 << 32 | 2]
        good = (a.target, a.sector, a.n, a.issue, a.ack) == (2, 5, 3, 11, 12)
        good = good and (b.target, b.sector, b.ack) == (ORIGIN, 9, NEVER)
        history.RECORD.pack_into(m.map, at + 32, 9 | 1 << 40 | 255 << 56, 13,
                                 14, 0)
        m.update(h)
        return good and b.ack == 14 and not m.open


def counter_back():
    """A write that ended before it began: of such a log nothing can be said."""
    with tempfile.NamedTemporaryFile() as f:
        m = history.Memory(f.name, 99)
        history.RECORD.pack_into(m.map, history.LOG_START, 5 | 1 << 40, 12, 11, 0)
        history.struct.pack_into('<Q', m.map, 64 + 64, 1)
        try:
            m.update(History(SECTORS))
        except RuntimeError as e:
            return 'went back' in str(e)
        return False


def killed_writer():
    """What a node that is killed has taken and not issued, and what it has issued and
    not seen the end of; and the records of its next life behind them."""
    log = ((5, 11, 12), (0, 0, 0), (6, 13, 0), (0, 0, 0), (0, 0, 0), (7, 14, 0))
    with tempfile.NamedTemporaryFile() as f:
        m = history.Memory(f.name, 99)
        at = history.LOG_START
        for sector, issue, ack in log:
            history.RECORD.pack_into(m.map, at, sector | 1 << 40 | 255 << 56,
                                     issue, ack, 0)
            at += 32
        history.struct.pack_into('<Q', m.map, 64 + 64, len(log))
        h = History(SECTORS)
        open_before = len(m.waiting(h, 20))
        m.forget_open(1, h)
        good = open_before == 0 and not m.waiting(h, 20) and \
            [h.writes[1 << 32 | n].ack for n in (1, 3, 6)] == [12, NEVER, NEVER]
        history.RECORD.pack_into(m.map, at, 9 | 1 << 40 | 255 << 56, 21, 0, 0)
        history.struct.pack_into('<Q', m.map, 64 + 64, len(log) + 1)
        return good and [w.sector for w in m.waiting(h, 30)] == [9]


def main():
    tap = Tap()
    print(f'# seed {SEED}')
    rng = random.Random(SEED)
    wrong = []
    for i in range(60):
        errors = World(rng).run()
        if errors:
            wrong.append((i, errors))
    tap.ok(not wrong, '60 right histories raise no alarm')
    for i, errors in wrong[:3]:
        print(f'# {i}: {errors[0]}')
    for text, copy, scan in MUTANTS:
        found = sum(bool(World(rng).run(copy, scan)) for _ in range(20))
        # A spoiled history may be right by chance; most are not.
        tap.ok(found >= 15, f'found: {text} ({found} of 20)')
    tap.ok(lost_on_origin(rng), 'found: an acknowledged write is not in A')
    for target, name in ((ORIGIN, 'A'), (0, 'a copy')):
        tap.ok(read_goes_back(target, True) and not read_goes_back(target, False),
               f'found: a write to {name} that was read is gone at the next read')
    tap.ok(seen_and_overwritten(30) and not seen_and_overwritten(24),
           'found: a write that came after one that was read is lost')
    tap.ok(outlived_its_trigger(), 'found: what was read of a copy is in the next one')
    tap.ok(cut_before_what_was_seen(), 'found: a copy lacks what was read before it')
    tap.ok(memory_round(), 'the log is read as it is written')
    tap.ok(counter_back(), 'found: the counter went back')
    tap.ok(killed_writer(), 'the log of a node that was killed and came back')
    print(f'1..{tap.n}')
    return 1 if tap.bad else 0


if __name__ == '__main__':
    sys.exit(main())
