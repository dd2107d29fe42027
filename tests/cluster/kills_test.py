#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The checker while nodes die, return and freeze.

Every few seconds one node, or two, is killed (QEMU, kill -9): a client, an owner, the
primary, with a trigger in flight or not, in the view that an earlier death made or not.
A moment later the survivors hear a members list without it, as a cluster manager
tells them; the node boots meanwhile, comes back as a new instance, and a list takes it
in again. Nodes also freeze, with a clock that stops or jumps: they are thawed
before anybody left them out, or left out once they were killed or cut off from storage.

Nothing that is read may be wrong (history.py). After a list every bio ends, triggers
work, and superblock and status say what they should.

FCLOCK_SEED=<n> repeats a run's choices; FCLOCK_KILLS=<n> and FCLOCK_FREEZES=<n> make it
longer.
"""
# by name
# timeout: 2400
import errno
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checker_test  # noqa: E402
import fclock  # noqa: E402
import lib  # noqa: E402
from checker_test import DISKS, SLOTS  # noqa: E402
from fclock import Bail, stage  # noqa: E402

FULL = bool(os.environ.get('FCLOCK_FULL'))
KILLS = int(os.environ.get('FCLOCK_KILLS') or (52 if FULL else 3))
FREEZES = int(os.environ.get('FCLOCK_FREEZES') or (12 if FULL else 1))
EVENTS = 16             # of one volume: then a new one, with another grain
TIMEOUT = 3000          # ms, trigger_timeout
LIVE = 15               # s, for what has to happen after a list


class Trigger:
    """A trigger that may run while nodes die."""

    def __init__(self, round_, node, slots):
        self.r, self.node, self.slots = round_, node, slots
        self.called = round_.k.m.now()
        self.job = round_.c[node].spawn(
            ['checker', 'message', 'pci', round_.v.a,
             'trigger ' + ','.join(map(str, slots))])

    def end(self, killed=()):
        """The slots it changed, to be asked once the survivors have a state again."""
        r, self.error = self.r, None
        if self.node not in killed:
            out = self.job.wait(60).out
            self.error = int(re.search(r'errno=(\d+)', out)[1])
        was, now = r.generation, r.generations()
        done = [s for s in SLOTS if now[s] != was[s]]
        good = not done or (sorted(done) == sorted(self.slots) and
                            len({now[s] for s in done}) == 1 and
                            max(was) < now[done[0]] <= r.superblock()['state'])
        if not good or (self.error == 0 and not done):
            r.fail(f'trigger of {self.slots} by node {self.node}: error '
                   f'{errno.errorcode.get(self.error, self.error)}, '
                   f'generations {was} are now {now}')
        if done:
            r.k.h.trigger(done, self.called, r.k.m.now())
            r.taken += 1
        r.generation = now
        return done


class Round(checker_test.Round):
    """A volume that loses nodes."""

    def __init__(self, *args, **features):
        super().__init__(*args, trigger_timeout=TIMEOUT, **features)
        self.epoch = self.state = 0
        self.alive = list(self.v.nodes)
        self.down, self.booting = set(), {}
        self.kills = self.freezes = self.taken = self.lists = 0
        self.longest = (0.0, '')
        self.roles = {'primary': 0, 'owner': 0, 'client': 0}

    # -- looking --

    def superblock(self):
        line = self.c[self.alive[0]].sh('super newest /dev/disk/fc/m')
        sb = dict(w.split('=') for w in line.split()[1:])
        owners = int(sb['owners'], 16)
        return {'state': int(sb['state']), 'epoch': int(sb['epoch']),
                'primary': int(sb['primary']),
                'owners': [i for i in range(1, 65) if owners >> (i - 1) & 1],
                'listed': [int(i) for i in sb['listed'].split(',') if i]}

    def generations(self):
        return [self.v.copy_status(self.alive[0], s)['generation']
                for s in SLOTS]

    def settled(self):
        """Do the living have one state, without the dead? What differs."""
        sb = self.superblock()
        if sb['listed'] != self.alive or sb['epoch'] != self.epoch or \
                sb['primary'] not in self.alive or \
                sb['owners'] != self.alive:
            return sb
        for i in self.alive:
            s = self.v.status(i)
            members = ','.join(map(str, self.alive))
            if s['state'] != 'active' or s['epoch'] != self.epoch or \
                    str(s['members']) != members or \
                    s['connected'] != len(self.alive) - 1:
                return {'node': i, **s}
        return None

    def settle(self, what, changed=True):
        """Waits until the state is that of the newest list."""
        end = time.monotonic() + LIVE * lib.slow()
        while (wrong := self.settled()) and time.monotonic() < end:
            time.sleep(0.05)
        if wrong:
            raise Bail(f'{what}: not in {LIVE} s as epoch {self.epoch} of '
                       f'{self.alive} has it: {wrong}')
        state = self.superblock()['state']
        if state < self.state + changed:
            self.fail(f'{what}: state {state} after {self.state}')
        self.state = state

    def all_ended(self, what):
        """What was under way when the list came has an end."""
        k, now = self.k, self.k.m.now()
        began = time.monotonic()
        while waiting := k.m.waiting(k.h, now):
            if time.monotonic() > began + LIVE * lib.slow():
                raise Bail(f'{what}: {LIVE} s after the list '
                           f'{len(waiting)} writes wait: {waiting[:4]}')
            time.sleep(0.02)
        self.longest = max(self.longest, (time.monotonic() - began, what))

    # -- doing --

    def members(self, nodes):
        """A new list, as it comes: to all, in any order; late to some; or to one,
        who tells the others; or twice."""
        rng = self.rng
        self.alive = sorted(nodes)
        self.epoch += 1
        self.lists += 1
        text = f'members {self.epoch} {",".join(map(str, self.alive))}'
        up = [i for i in self.alive if i not in self.down]
        told = rng.sample(up, rng.randint(1, len(up)))
        for i in told:
            self.v.message(i, text)
        if rng.random() < 0.3:
            self.v.message(told[0], text)

    def up(self, slow=()):
        super().up(slow)
        self.members(self.v.nodes)
        self.settle('the first list')
        self.generation = self.generations()
        for i in self.v.nodes:
            self.load(i)
        self.trigger(list(SLOTS), 'the first trigger')
        for s in SLOTS[:-1]:
            self.load_copy(self.rng.choice(self.v.nodes), s)

    def cut(self, slots, what):
        """A trigger that has to work."""
        one = Trigger(self, self.rng.choice(self.alive), slots)
        one.end()
        if one.error:
            self.fail(f'{what}: trigger of {slots} by node {one.node}: '
                      f'{os.strerror(one.error)}')
        return one

    def trigger(self, slots, what):
        """The same, and the copies it makes."""
        one = self.cut(slots, what)
        if not one.error:
            self.look(slots, what)
            self.k.h.forget(one.called)

    def look(self, slots, what):
        """Every copy named, each read by a node of its own choice."""
        k, rng = self.k, self.rng
        scans = [k.scan(rng.choice(self.alive), s, wait=False,
                        repeat=rng.choice((1, 2))) for s in slots]
        good = all([k.check(s.wait()) for s in scans])
        if errors := k.errors():
            self.t.diag('\n'.join(errors))
        if not good:
            self.fail(f'{what}: a copy is wrong')

    def victims(self, number):
        """Whom it hits: each role in turn, two now and then."""
        sb, rng = self.superblock(), self.rng
        role = ('owner', 'primary', 'client')[number % 3]
        self.roles[role] += 1
        first = sb['primary'] if role == 'primary' else \
            rng.choice([i for i in self.alive if i != sb['primary']])
        if role == 'client':
            # nobody writes to that copy; were it complete, nobody would need it
            copy = f'{self.v.b}{SLOTS[-1]}'
            self.cut(SLOTS[-1:], 'before a client dies')
            self.c[first].sh(f'dmsetup remove --retry {copy}')
            if not self.v.until(lambda: first not in
                                self.superblock()['owners'], LIVE):
                self.fail(f'node {first} has no {copy} and owns')
        dead = [first]
        if number % 5 == 3:
            dead.append(rng.choice([i for i in self.alive if i != first]))
        return role, dead

    def kill(self, number):
        """One death, or two, and all that follows."""
        rng, k = self.rng, self.k
        role, dead = self.victims(number)
        what = f'{self.what}: death {number} of {role} {dead}'
        if role != 'client':
            # else all grains may be split by now, and nobody needs an owner
            self.cut(rng.sample(SLOTS, rng.choice((2, 3))), f'before {what}')
        time.sleep(rng.choice((0, 0.1, 0.5)))
        one_by_one = len(dead) > 1 and rng.random() < 0.5
        running = None
        if rng.random() < 0.5:
            # of a cluster that lacks a copy on the client it is refused
            running = Trigger(self, rng.choice(self.alive),
                              rng.sample(SLOTS, rng.choice((1, 2, 3))))
            time.sleep(rng.choice((0, 0.01, 0.03, 0.1)))
            what += f' in a trigger by node {running.node}'
        for i in dead:
            k.crash(i)
            self.kills += 1
            if one_by_one and i == dead[0]:
                what += ', one by one'
                self.members([j for j in self.alive if j != i])
                time.sleep(rng.choice((0, 0.02, 0.2)))
        self.boot(dead)
        time.sleep(rng.choice((0, 0, 0.3, 1.5)))
        self.members([i for i in self.alive if i not in dead])
        self.all_ended(what)
        self.settle(what)
        self.outcome(running, dead, what)
        self.look(list(SLOTS), f'{what}, older copies')
        self.trigger(rng.sample(SLOTS, rng.choice((1, 2, 3))), what)
        self.come_back(dead, what)

    def outcome(self, running, dead, what):
        """Of a trigger that was under way, if there was one."""
        if running:
            if done := running.end(dead):
                self.look(done, what)
        elif self.generations() != self.generation:
            self.fail(f'{what}: generations {self.generation} are now '
                      f'{self.generations()}')

    def boot(self, nodes):
        """Starts guests while the others go on."""
        for i in nodes:
            self.down.add(i)
            self.booting[i] = threading.Thread(target=self.c[i].start)
            self.booting[i].start()

    def come_back(self, nodes, what):
        for i in nodes:
            self.booting.pop(i).join()
        early = self.rng.random() < 0.5     # it waits for the list, or the list for it
        if early:
            self.members(self.alive + nodes)
        for i in nodes:
            self.v.start(i, wait=False)
            self.down.discard(i)
        if not early:
            if any(self.v.status(i)['state'] != 'suspended' for i in nodes):
                self.fail(f'{what}: a node that no list names takes part')
            self.members(self.alive + nodes)
        self.settle(f'{what}, back')
        for i in nodes:
            self.load(i)
        if len(nodes) > 1 or self.rng.random() < 0.3:
            self.look(list(SLOTS), f'{what}, back')

    def freeze(self, number):
        """A node that does nothing for a while."""
        rng, k = self.rng, self.k
        who = rng.choice(self.alive)
        jumps = bool(number % 2)
        how = ('thaw', 'cut', 'kill')[number % 3]
        what = (f'{self.what}: node {who} frozen, its clock '
                f'{"jumps" if jumps else "stops"}, {how}')
        others = [i for i in self.alive if i != who]
        self.freezes += 1
        self.c[who].freeze(clock_jumps=jumps)
        running = None
        if rng.random() < 0.5:
            running = Trigger(self, rng.choice(others), rng.sample(SLOTS, 1))
        time.sleep(rng.choice((0.3, 1, 4)))
        if how == 'thaw':
            self.c[who].thaw()
        elif how == 'kill':
            k.crash(who)
            self.boot([who])
        else:
            self.c.fence(who)
            k.leave(who)
        if how == 'thaw':
            self.all_ended(what)
            self.settle(what, changed=False)
        else:
            self.members(others)
            self.all_ended(what)
            self.settle(what)
        self.outcome(running, (), what)
        self.trigger(rng.sample(SLOTS, rng.choice((1, 2, 3))), what)
        if how == 'cut':
            self.thaw_cut(who, what)
        if how != 'thaw':
            self.come_back([who], what)

    def thaw_cut(self, who, what):
        """It wakes up left out and cut off from its disks: it says so and does no
        harm. Then it is killed, for nothing else ends its I/O for good."""
        v = self.v
        self.c[who].thaw()
        if not v.until(lambda: v.status(who)['epoch'] == self.epoch, LIVE) or \
                v.status(who)['state'] == 'active':
            self.fail(f'{what}: thawed it says {v.status(who)}')
        err, _ = self.k.trigger(who, [0])
        if not err or self.generations() != self.generation:
            self.fail(f'{what}: a node that is left out triggers')
        self.look(list(SLOTS), what)
        self.k.crash(who)
        self.c.unfence(who)
        self.boot([who])

    def run(self, events):
        self.bad = 0
        self.up()
        stage(f'{self.what}: up')
        for event, number in events:
            began = time.monotonic()
            getattr(self, event)(number)
            stage(f'{event} {number}: {time.monotonic() - began:.1f} s')
        said = self.k.stop(120)
        failed = [f'node {i}: {s}' for i, s in said if s['errors']]
        self.t.ok(not failed, f'{self.what}: no write of a living node failed')
        self.t.diag('\n'.join(failed))
        self.t.ok(not self.bad, f'{self.what}: {self.kills} deaths {self.roles}, '
                  f'{self.freezes} freezes, {self.lists} lists, {self.taken} '
                  'triggers: nothing was wrong')
        self.t.diag('the longest wait after a list: '
                    f'{self.longest[0]:.2f} s, {self.longest[1]}')
        self.everywhere()


def plan(rng):
    """Deaths and freezes, mixed."""
    events = [('kill', n) for n in range(KILLS)]
    for n in range(FREEZES):
        events.insert(rng.randint(0, len(events)), ('freeze', n))
    return events


def main():
    rng = random.Random(fclock.seed())
    events = plan(rng)
    with fclock.test(DISKS, array='volatile', ttl=7200) as (t, c):
        while events:
            grain = rng.choice((8, 16, 32))
            limit = rng.choice((0, 4, 4096, 4096))
            Round(t, c, rng, grain, cache_limit=limit).run(events[:EVENTS])
            events = events[EVENTS:]


if __name__ == '__main__':
    main()
