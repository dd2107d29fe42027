/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two owners: S slices of one grain each, that views move between nodes 0 and 1; node 2
 * is the client of both.
 *
 *   proctype	what it abstracts
 *   owner	owner.c: owner_begin(), owner_end(), fclock_owner_adopt(),
 *		fclock_owner_prepare(), owner_handle(); bits.c:
 *		fclock_bits_loaded(), fclock_bits_moved(); split.c
 *   node	transition.c: fclock_prepare(), fclock_progress(), fclock_adopt()
 *   client	client.c; what grant.pml says of locks in full
 *   primary	primary.c: primary_begin(), build_next(), primary_abort();
 *		placement.c: any owner for any slice
 *
 * view.c makes an owner of every participant that has all copies; here the owners change at
 * any view, so that each such change is met.
 *
 * What an owner reads of a bitmap comes from its buffer (dm-bufio) until start_owner has
 * forgotten that. An owner that is cut off goes on until it is fenced.
 *
 * Left out: requests and recalls take no time (an owner looks at what the client
 * wants and whether it uses its lock); start_owner and reading a bitmap block are one
 * step; the client and the primary are not lost; grains that share a bitmap block;
 * triggers: the bits are of one generation.
 *
 * `calm` ends faults, views and new I/O. When then nothing can happen any more, every I/O
 * must have gone.
 *
 * Invariants (protocol.rst): 1 and 2 (a grain is copied once, never after its bit
 * is durable, and what is read of M is what stands there), 3 (a confirmation given
 * by the old owner holds), 4, 6; no two nodes write one bitmap block; at a
 * change of owner nothing of the old one's is on its way to B or M.
 */
#ifndef S
#define S 1
#endif
#ifndef VIEWS
#define VIEWS 2		/* views that move slices */
#endif
#ifndef LATE
#define LATE 1		/* views that end in ABORT */
#endif
#ifndef LOST
#define LOST 1		/* owners that are cut off, and may be fenced */
#endif
#ifndef IOS
#define IOS 3		/* reads and writes of the client */
#endif
#define C 2		/* the client */

mtype = { NONE, LOCKING, COPYING, COMMITTING };		/* a split */
mtype = { PREPARE, RESUME, ABORT };
mtype = { LOCK, CONFIRM };				/* grants */
mtype = { READ, WRITE };
mtype = { UNKNOWN, UNSPLIT, IS_SPLIT };			/* what is known of a grain */

#define at(n, s) ((n) * S + (s))

byte m_state = 1, m_owner[S];	/* the superblock on M */
bool m_bit[S];			/* the bitmaps on M */

byte state[3] = 1, prep[3];
bool said[3], cut[2], dead[2];
chan news[3] = [4] of { mtype, byte, byte, byte };	/* number, owners of slices 0 and 1 */

/* owners, by owner and slice */
byte known[2 * S];		/* owner of the slice, by the superblock it runs */
mtype buffer[2 * S] = UNKNOWN;	/* what dm-bufio has of the bitmap */
mtype bits[2 * S] = UNKNOWN, split[2 * S] = NONE;
bool given[2 * S];		/* the client's shared lock, in the owner's table */
chan grant[2 * S] = [1] of { mtype, byte };		/* state */

/* the client, by slice */
byte asks[S];			/* owner of the slice, by the superblock it runs */
bool held[S], reading[S], conf[S];
byte lock_of[S];		/* owner that gave it */
mtype want[S];

byte number = 1, views = VIEWS, late = LATE, lost = LOST, ios = IOS;
byte next[S];
bool preparing, calm;

hidden mtype f_type;
hidden byte f_n, f_a, f_b, x, y;

/* Invariant 4: while the client reads A, nobody splits the grain. */
#define nobody_splits(s) (!m_bit[s] && split[at(0, s)] != COPYING && \
	split[at(0, s)] != COMMITTING && split[at(1, s)] != COPYING && \
	split[at(1, s)] != COMMITTING)

/* What ends or begins with a new superblock. */
inline adopt(n, t, num, a, b)
{
	if
	:: num > state[n] && num >= prep[n] ->
		state[n] = num;
		prep[n] = 0;
		said[n] = false;
		x = 0;
		do
		:: x < S ->
			y = (x == 0 -> a : b);
			if
			:: n == C -> asks[x] = y
			:: else ->
#ifndef BUG_ABORT_FORGETS
				given[at(n, x)] = given[at(n, x)] && t == ABORT;
#else
				given[at(n, x)] = false;
#endif
				if
				:: known[at(n, x)] != y ->
					known[at(n, x)] = y;
#ifndef BUG_KEEP_BITS
					bits[at(n, x)] = UNKNOWN;
#endif
#if !defined(BUG_STALE_BUFFER) && !defined(BUG_READ_EARLY)
					buffer[at(n, x)] = UNKNOWN
#endif
				:: else
				fi
			fi;
			x++
		:: else -> break
		od
	:: else
	fi
}

/* fclock_owner_prepare() */
inline stop_locking(n, s)
{
	if
	:: n != C -> split[at(n % 2, s)] = (split[at(n % 2, s)] == LOCKING -> NONE :
					    split[at(n % 2, s)])
	:: else
	fi
}

inline prepare(n, num)
{
	if
	:: num > state[n] && num > prep[n] ->
		prep[n] = num;
		said[n] = false;
#ifndef BUG_LOCKING_STAYS
		stop_locking(n, 0);
		stop_locking(n, S - 1)
#endif
	:: else
	fi
}

#ifdef BUG_SPLITS_PREPARED
#define goes(n) true
#else
#define goes(n) !prep[n]
#endif
#define owns(n, s) (!dead[n] && known[at(n, s)] == n)

proctype owner(byte n; byte s)
{
end:	do
	/* the bitmap is read when it is asked for */
	:: d_step { want[s] && owns(n, s) && !prep[n] && bits[at(n, s)] == UNKNOWN ->
		buffer[at(n, s)] = (buffer[at(n, s)] != UNKNOWN -> buffer[at(n, s)] :
				    (m_bit[s] -> IS_SPLIT : UNSPLIT));
		bits[at(n, s)] = buffer[at(n, s)];
		/* what it reads is what stands on M */
		assert((bits[at(n, s)] == IS_SPLIT) == m_bit[s]) }
#ifdef BUG_READ_EARLY
	/* forgets and reads at PREPARE, because it will own the slice */
	:: d_step { prep[n] && !dead[n] && known[at(n, s)] != n ->
		buffer[at(n, s)] = (m_bit[s] -> IS_SPLIT : UNSPLIT) }
#endif
	/* grants */
	:: d_step { owns(n, s) && !prep[n] && !cut[n] && want[s] && asks[s] == n &&
		state[C] == state[n] && !prep[C] && !conf[s] && !held[s] &&
		nfull(grant[at(n, s)]) && bits[at(n, s)] == IS_SPLIT ->
		grant[at(n, s)]!CONFIRM, state[n] }
	:: d_step { owns(n, s) && !prep[n] && !cut[n] && want[s] == READ && asks[s] == n &&
		state[C] == state[n] && !prep[C] && !held[s] && !given[at(n, s)] &&
		nfull(grant[at(n, s)]) && bits[at(n, s)] == UNSPLIT &&
		split[at(n, s)] == NONE ->
		given[at(n, s)] = true;
		grant[at(n, s)]!LOCK, state[n] }
	/* recall, and what the client answers */
	:: d_step { !dead[n] && !cut[n] && given[at(n, s)] && empty(grant[at(n, s)]) &&
		!(held[s] && lock_of[s] == n && reading[s]) ->
		given[at(n, s)] = false;
		held[s] = held[s] && lock_of[s] != n;
		lock_of[s] = (held[s] -> lock_of[s] : 0) }
	/* a split */
	:: d_step { owns(n, s) && goes(n) && want[s] == WRITE && asks[s] == n &&
		bits[at(n, s)] == UNSPLIT && split[at(n, s)] == NONE ->
		split[at(n, s)] = LOCKING }
	:: d_step { split[at(n, s)] == LOCKING && goes(n) && !given[at(n, s)] ->
		split[at(n, s)] = COPYING;
		assert(!held[s]);		/* invariant 4 */
		assert(!m_bit[s]) }		/* invariants 1, 2 */
	:: d_step { split[at(n, s)] == COPYING ->
		/* the copy reaches B: it may hold newer data already */
		assert(!m_bit[s]);
		split[at(n, s)] = (goes(n) -> COMMITTING : NONE) }
	:: d_step { split[at(n, s)] == COMMITTING ->
		/* one slice, one owner: nobody else writes this block */
		assert(m_owner[s] == n);
		assert(split[at(1 - n, s)] != COMMITTING);
		m_bit[s] = true;
		buffer[at(n, s)] = IS_SPLIT;
		bits[at(n, s)] = (owns(n, s) -> IS_SPLIT : UNKNOWN);
		split[at(n, s)] = NONE }
	od
}

#define copies(n) ((split[at(n, 0)] == COPYING || split[at(n, 0)] == COMMITTING || \
	split[at(n, S - 1)] == COPYING || split[at(n, S - 1)] == COMMITTING))
#ifdef BUG_PREPARED_COPYING
#define drained(n) true
#else
#define drained(n) !copies(n)
#endif

proctype node(byte n)
{
end:	do
	:: d_step { nempty(news[n]) ->
		news[n]?f_type, f_n, f_a, f_b;
		if
		:: f_type == PREPARE -> prepare(n, f_n)
		:: else -> adopt(n, f_type, f_n, f_a, f_b)
		fi }
	:: d_step { n != C && !dead[n % 2] && prep[n] && !said[n] && drained(n % 2) ->
		said[n] = true }
	:: d_step { n == C && prep[C] && !said[C] && !reading[0] && !reading[S - 1] ->
		said[C] = true;
#ifndef BUG_LOCKS_CROSS
		held[0] = false;
		held[S - 1] = false
#endif
		}
	od
}

proctype client(byte s)
{
end:	do
	:: atomic { !calm && ios && !want[s] && !reading[s] ->
		if
		:: want[s] = READ
		:: want[s] = WRITE
		fi;
		ios-- }
	:: atomic {
		if
		:: nempty(grant[at(0, s)]) -> x = 0
		:: nempty(grant[at(1, s)]) -> x = 1
		fi;
		d_step {
			grant[at(x, s)]?f_type, f_n;
			if
#ifndef BUG_OLD_GRANT
			:: prep[C] || f_n != state[C] || !want[s] || held[s] -> skip
#else
			:: !want[s] || held[s] -> skip
#endif
			:: else ->
				if
				:: f_type == LOCK ->
					held[s] = true;
					lock_of[s] = x
				:: else -> conf[s] = true
				fi
			fi } }
	:: d_step { want[s] == READ && held[s] && !prep[C] ->
		reading[s] = true;
		want[s] = 0;
		assert(nobody_splits(s)) }
	:: d_step { reading[s] -> assert(nobody_splits(s)); reading[s] = false }
	:: d_step { want[s] && conf[s] -> assert(m_bit[s]); want[s] = 0 }
	od
}

/* ------------------------------------------------------------- primary */

#ifdef BUG_UNFENCED
#define certain(n) cut[n]
#else
#define certain(n) dead[n]
#endif
#define prepared(n) (prep[n] == number && said[n])

inline tell(t)
{
	if
	:: !dead[0] -> news[0]!t, number, m_owner[0], m_owner[S - 1]
	:: else
	fi;
	if
	:: !dead[1] -> news[1]!t, number, m_owner[0], m_owner[S - 1]
	:: else
	fi;
	news[C]!t, number, m_owner[0], m_owner[S - 1]
}

/* PREPARED by all: of a slice that is lost nothing is on its way to B or M. */
inline moves(s)
{
	assert(next[s] == m_owner[s] ||
	       (split[at(m_owner[s], s)] != COPYING &&
		split[at(m_owner[s], s)] != COMMITTING));
	m_owner[s] = next[s]
}

/* To whom it can be said: who is cut off hears it later, or never. */
#define room (nfull(news[0]) && nfull(news[1]) && nfull(news[C]))

/* What it still does reaches no device. */
inline fenced(n)
{
	dead[n] = true;
	prep[n] = 0;
	said[n] = false;
	do
	:: nempty(news[n]) -> news[n]?_, _, _, _
	:: else -> break
	od;
	x = 0;
	do
	:: x < S ->
		split[at(n, x)] = NONE;
		bits[at(n, x)] = UNKNOWN;
		buffer[at(n, x)] = UNKNOWN;
		given[at(n, x)] = false;
		x++
	:: else -> break
	od;
	skip
}

proctype primary()
{
	byte s;

end:	do
	:: atomic { !preparing && room && views && !calm ->
		views--;
		s = 0;
		do
		:: s < S && !certain(0) -> next[s] = 0; s++
		:: s < S && !certain(1) -> next[s] = 1; s++
		:: s >= S -> break
		od;
		s = 0;
		d_step { number++; preparing = true; tell(PREPARE) } }
	:: d_step { preparing && room && prepared(C) && (certain(0) || prepared(0)) &&
		(certain(1) || prepared(1)) ->
		m_state = number;
		moves(0);
		moves(S - 1);
		next[0] = 0;
		next[S - 1] = 0;
		preparing = false;
		tell(RESUME) }
	:: d_step { preparing && room && late && !calm ->
		late--;
		number++;
		m_state = number;
		next[0] = 0;
		next[S - 1] = 0;
		preparing = false;
		tell(ABORT) }
	/* an owner is cut off; it is fenced; a view takes its slices away */
	:: d_step { !calm && lost && !cut[0] -> lost--; cut[0] = true }
	:: d_step { !calm && lost && !cut[1] -> lost--; cut[1] = true }
	:: d_step { cut[0] && !dead[0] -> fenced(0) }
	:: d_step { cut[1] && !dead[1] -> fenced(1) }
	:: d_step { !preparing && room && certain(0) && !certain(1) &&
		(m_owner[0] == 0 || m_owner[S - 1] == 0) ->
		next[0] = 1;
		next[S - 1] = 1;
		number++;
		preparing = true;
		tell(PREPARE) }
	:: d_step { !preparing && room && certain(1) && !certain(0) &&
		(m_owner[0] == 1 || m_owner[S - 1] == 1) ->
		next[0] = 0;
		next[S - 1] = 0;
		number++;
		preparing = true;
		tell(PREPARE) }
	od
}

init {
	atomic {
		run node(0);
		run node(1);
		run node(C);
		run owner(0, 0);
		run owner(1, 0);
		run client(0);
#if S > 1
		run owner(0, 1);
		run owner(1, 1);
		run client(1);
#endif
		run primary()
	}
	calm = true;
	timeout;
	if
	:: !want[0] && !want[S - 1] && !prep[C] && !reading[0] && !reading[S - 1]
	:: else -> assert(!calm)	/* something waits for ever */
	fi
}
