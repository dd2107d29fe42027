/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One grain, its owner (node 0) and two clients: shared locks, recall, splits and
 * confirmations, across transitions that complete or end in ABORT.
 *
 *   proctype	what it abstracts
 *   client	client.c: client_ask(), fclock_client_grant(), client_granted(),
 *		fclock_client_recall(), object_release(), object_unused(),
 *		fclock_client_drop_requests(), fclock_client_forget_locks();
 *		transition.c: fclock_prepare(), fclock_progress(), fclock_adopt()
 *   owner	owner.c: fclock_owner_request(), owner_handle(), owner_decide(),
 *		fclock_owner_released(), fclock_owner_prepare(),
 *		fclock_owner_adopt(); split.c: fclock_split_start(),
 *		fclock_splits_recheck(), fclock_core_copied(), fclock_core_committed()
 *   link	link.c: fclock_link_down(), link_up(); what client.c and owner.c do then
 *   primary	all of primary.c in a few lines: transition.pml has the rest. An ABORT
 *		may come without a PREPARE, as a new primary's does
 *
 * What is queued (struct fclock_out) is a flag that is sent when the connection has
 * room; two flags for one peer are sent in any order. Frames of the
 * primary come on connections of their own, so in any order with those of the owner.
 * A client has one place, so one object at the owner, and one I/O at a time.
 *
 * Left out: runs, slices, several slots, loads of bitmaps, credits, time (a lock is
 * given back at any moment when nothing uses it), errors of copies.
 *
 * `calm` ends faults, transitions and new I/O. When then nothing can happen any more,
 * every I/O must have gone.
 *
 * Invariants (protocol.rst): 2 (durable before use), 3 (a confirmation is true
 * until its generation ends), 4 (no split under a reader), 5 (nothing of a generation
 * that ends is on its way), 6 (fence first). No client that is cut off holds a lock by
 * a grant that was never sent.
 */
#ifndef TRANSITIONS
#define TRANSITIONS 1
#endif
#ifndef LATE
#define LATE 1		/* transitions that end in ABORT */
#endif
#ifndef CUTS
#define CUTS 1		/* links that break */
#endif
#ifndef LOST
#define LOST 0		/* clients that crash */
#endif
#ifndef IOS
#define IOS 3		/* reads and writes in all */
#endif
#define N 3
#define CAP 2

mtype = { REQUEST, GRANT, CONFIRM, RECALL, RELEASED };	/* frames; CONFIRM: a grant of runs */
mtype = { PREPARE, RESUME, ABORT };
mtype = { FREE, OPEN, HELD, RELEASING, WAITING, GRANTING };	/* objects, records */
mtype = { NONE, LOCKING, COPYING, COMMITTING };			/* the split */
mtype = { SHARED, SPLIT };

chan up[N] = [CAP] of { mtype, byte, byte, mtype };	/* client to owner: id, state, kind */
chan down[N] = [CAP] of { mtype, byte, byte };		/* owner to client: id, state */
chan news[N] = [4] of { mtype, byte, byte };		/* from the primary: number, generation */

byte m_state = 1, m_gen = 1;	/* the superblock */
byte m_bit;			/* generation in which the grain's bit is durable */
bool over;			/* ghost: A's grain was written in this generation */

/* every node as a participant */
byte state[N] = 1, gen[N] = 1, prep[N];
bool said[N], trigger[N];
bool dead[N], linked[N] = true;
bool gone[N], struck[N];	/* by the primary */

/* clients */
mtype obj[N] = FREE, kind[N] = SHARED;
byte id[N], last_id[N], nh_id[N];
bool recalled[N], req_q[N], rel_q[N], nh_q[N];
bool reading[N];		/* A under the shared lock */
bool conf[N];			/* confirmation */
mtype want[N];			/* I/O that waits: SHARED (a read), SPLIT (a write), 0 */

/* the owner: records by client */
mtype rec[N] = FREE, rec_kind[N] = SHARED, split = NONE;
byte rec_id[N], rec_state[N];
bool rec_recalled[N], rec_sent[N], out_q[N], recall_q[N];
bool bits;			/* split, as the owner knows */

byte ios = IOS, transitions = TRANSITIONS, cuts = CUTS, lost = LOST, late = LATE;
bool calm;
byte number = 1;		/* the primary's */
bool preparing, as_resume;
bool is_trigger;

/* Used within one step only. */
hidden mtype f_type, f_kind;
hidden byte f_id, f_state, x;

inline object_free(c)
{
	obj[c] = FREE;
	recalled[c] = false;
	req_q[c] = false;
	id[c] = 0;
	kind[c] = SHARED
}

inline record_free(c)
{
	rec[c] = FREE;
	rec_recalled[c] = false;
	rec_sent[c] = false;
	out_q[c] = false;
	recall_q[c] = false;
	rec_id[c] = 0;
	rec_state[c] = 0;
	rec_kind[c] = SHARED
}

/* ------------------------------------------ the owner: what waits, the split */

#define held_by_any (rec[1] == HELD || rec[2] == HELD)
#define lost_holder ((rec[1] == HELD && !linked[1]) || (rec[2] == HELD && !linked[2]))
#define waits(c, k) (rec[c] == WAITING && rec_kind[c] == k && rec_state[c] == state[0])

/*
 * No lock is held by a client that is cut off and was never told: it could not give it
 * back, and writers would wait for it.
 */
#define told(c) (rec[c] != HELD || rec_sent[c] || linked[c])

inline split_copy()
{
	split = COPYING;
	/* invariant 4: no client holds, whatever the table says */
	assert(obj[1] != HELD || dead[1]);
	assert(obj[2] != HELD || dead[2])
}

inline recheck()
{
	if
	:: split == LOCKING && !held_by_any -> split_copy()
	:: else
	fi
}

inline recall(c)
{
	if
	:: rec[c] == HELD && !rec_recalled[c] ->
		rec_recalled[c] = true;
		recall_q[c] = linked[c]
	:: else
	fi
}

/* owner_handle(), owner_decide() for a record that waits */
inline owner_handle(c)
{
	if
	:: rec[c] != WAITING || rec_state[c] > state[0] -> skip
	:: rec[c] == WAITING && (rec_state[c] < state[0] || prep[0]) -> record_free(c)
	:: else ->
		if
		:: bits -> rec[c] = GRANTING; out_q[c] = linked[c]
#ifdef BUG_SHARED_PASSES
		:: !bits && rec_kind[c] == SHARED ->
#else
		:: !bits && rec_kind[c] == SHARED && split == NONE &&
		   !(lost_holder && (waits(1, SPLIT) || waits(2, SPLIT))) ->
#endif
			rec[c] = HELD;
			out_q[c] = linked[c];
			assert(told(c))
		:: !bits && rec_kind[c] == SPLIT && split == NONE && !lost_holder ->
			split = LOCKING;
			recall(1);
			recall(2);
			recheck()
		:: else
		fi
	fi
}

inline owner_retry()
{
	owner_handle(1);
	owner_handle(2)
}

/* --------------------------------------------------------------- links */

/* Both ends; what was on its way is lost. */
inline link_down(c)
{
	linked[c] = false;
	do
	:: len(up[c]) > 0 -> up[c]?_, _, _, _
	:: len(down[c]) > 0 -> down[c]?_, _, _
	:: else -> break
	od;
	req_q[c] = false;
	rel_q[c] = false;
	nh_q[c] = false;
	nh_id[c] = 0;
	out_q[c] = false;
	recall_q[c] = false;
	if
	:: obj[c] == RELEASING -> object_free(c)
	:: else
	fi;
	/* no reader is left with a lock that it never heard of: it asks again */
	if
	:: rec[c] == GRANTING -> record_free(c)
#ifndef BUG_CUT_OFF_WAITS
	:: rec[c] == WAITING && rec_kind[c] == SHARED -> record_free(c)
#endif
#ifndef BUG_UNSENT_STAYS
	:: rec[c] == HELD && !rec_sent[c] -> record_free(c); recheck()
#endif
	:: else
	fi;
	assert(told(c));
	/* no split waits for a client that is cut off; who needs it is stuck until then */
	if
	:: split == LOCKING && lost_holder -> split = NONE
	:: else
	fi;
	owner_retry()
}

inline link_up(c)
{
	linked[c] = true;
	req_q[c] = obj[c] == OPEN;
#ifndef BUG_RECALL_LOST
	recall_q[c] = rec[c] == HELD && rec_recalled[c]
#endif
}

/* The primary's connection breaks and comes back: the newest superblock, the PREPARE. */
inline news_again(c)
{
	do
	:: len(news[c]) > 0 -> news[c]?_, _, _
	:: else -> break
	od;
	if
	:: as_resume -> news[c]!RESUME, m_state, m_gen
	:: else -> news[c]!ABORT, m_state, m_gen
	fi;
	if
	:: preparing -> news[c]!PREPARE, number, is_trigger
	:: else
	fi
}

proctype link(byte c)
{
end:	do
	:: d_step { !calm && cuts && linked[c] -> cuts--; link_down(c) }
	:: d_step { !linked[c] && !dead[c] -> link_up(c) }
	:: d_step { !calm && cuts && !dead[c] -> cuts--; news_again(c) }
	od
}

/* ------------------------------------------------------------- client */

inline not_held(c, what)
{
	nh_id[c] = what;
	nh_q[c] = linked[c]
}

inline object_release(c)
{
	if
	:: linked[c] -> obj[c] = RELEASING; rel_q[c] = true
	:: else -> object_free(c)
	fi
}

inline client_ask(c)
{
	last_id[c]++;
	id[c] = last_id[c];
	obj[c] = OPEN;
	kind[c] = want[c];
	req_q[c] = linked[c]
}

inline drop_requests(c)
{
	if
	:: obj[c] == OPEN ->
		if
		:: recalled[c] -> not_held(c, id[c])
		:: else
		fi;
		object_free(c)
	:: else
	fi
}

/* The drain has ended: locks are forgotten, by word if they were recalled. */
inline client_prepared(c)
{
	said[c] = true;
#ifndef BUG_KEEP_LOCKS
	if
#ifndef BUG_FORGET_SILENTLY
	:: obj[c] == HELD && recalled[c] -> object_release(c)
	:: obj[c] == HELD && !recalled[c] -> object_free(c)
#else
	:: obj[c] == HELD -> object_free(c)
#endif
	:: else
	fi;
#endif
	conf[c] = conf[c] && !trigger[c]
}

inline client_adopt(c, s, g)
{
	if
	:: s > state[c] && s >= prep[c] ->
		drop_requests(c);
		conf[c] = (g == gen[c] -> conf[c] : false);
		state[c] = s;
		gen[c] = g;
		prep[c] = 0;
		said[c] = false
	:: else
	fi
}

/* Invariant 4: a read of A under a lock, when nothing splits the grain. */
#define no_split (split != COPYING && split != COMMITTING && !over)

inline client_grant(c)
{
	if
#ifndef BUG_GRANT_IN_PREPARE
	:: obj[c] == OPEN && id[c] == f_id && !prep[c] && f_state == state[c] ->
#else
	:: obj[c] == OPEN && id[c] == f_id ->
#endif
		if
		:: f_type == GRANT ->
			obj[c] = HELD;
			req_q[c] = false;
			if
			:: want[c] == SHARED ->
				reading[c] = true;
				want[c] = 0;
				assert(no_split)
			:: else
			fi
		:: else -> object_free(c); conf[c] = true
		fi
	:: else
	fi
}

inline client_recall(c)
{
	if
	:: obj[c] == HELD && id[c] == f_id -> recalled[c] = true
	:: obj[c] == OPEN && id[c] == f_id ->
#ifndef BUG_OPEN_NOT_HELD
		recalled[c] = true
#else
		not_held(c, f_id)
#endif
	:: obj[c] == RELEASING && id[c] == f_id -> skip
	:: else ->
#ifndef BUG_NO_ANSWER
		not_held(c, f_id)
#else
		skip
#endif
	fi
}

inline prepare(c, n, t)
{
	if
	:: n > state[c] && n > prep[c] ->
		prep[c] = n;
		said[c] = false;
		trigger[c] = t
	:: else
	fi
}

#define alive(c) (!dead[c])

proctype client(byte c)
{
end:	do
	/* frames of the owner, of the primary */
	:: d_step { alive(c) && nempty(down[c]) ->
		down[c]?f_type, f_id, f_state;
		if
		:: f_type == RECALL -> client_recall(c)
		:: else -> client_grant(c)
		fi }
	:: d_step { alive(c) && nempty(news[c]) ->
		news[c]?f_type, f_id, f_state;
		if
		:: f_type == PREPARE ->
			prepare(c, f_id, f_state);
			if
#ifndef BUG_GRANT_IN_PREPARE
			:: prep[c] == f_id && !said[c] -> drop_requests(c)
#endif
			:: else
			fi
		:: else -> client_adopt(c, f_id, f_state)
		fi }
	:: d_step { alive(c) && prep[c] && !said[c] && !reading[c] -> client_prepared(c) }

	/* I/O */
	:: atomic { !calm && ios && alive(c) && !want[c] && !reading[c] ->
		if
		:: want[c] = SHARED
		:: want[c] = SPLIT
		fi;
		ios-- }
	:: d_step { alive(c) && want[c] && conf[c] && !prep[c] ->
		/* invariants 2 and 3: the bit is durable in this generation */
		assert(m_bit == m_gen);
		over = over || want[c] == SPLIT;
		want[c] = 0 }
	:: d_step { alive(c) && want[c] == SHARED && !conf[c] && !prep[c] &&
		obj[c] == HELD && !recalled[c] && !reading[c] ->
		reading[c] = true;
		want[c] = 0;
		assert(no_split) }
	:: d_step { reading[c] ->
		/* invariant 4, until its end */
		assert(dead[c] || no_split);
		reading[c] = false }
	:: d_step { alive(c) && want[c] && !conf[c] && !prep[c] && obj[c] == FREE ->
		client_ask(c) }
	/* given back: recalled, or long unused */
	:: d_step { alive(c) && obj[c] == HELD && !reading[c] &&
		(recalled[c] || want[c] == SPLIT || !calm) ->
		object_release(c) }

	/* frames to the owner */
	:: d_step { alive(c) && linked[c] && req_q[c] && nfull(up[c]) ->
		req_q[c] = false;
		up[c]!REQUEST, id[c], state[c], kind[c] }
	:: d_step { alive(c) && linked[c] && rel_q[c] && nfull(up[c]) ->
		rel_q[c] = false;
		up[c]!RELEASED, id[c], 0, 0;
		object_free(c) }
	:: d_step { alive(c) && linked[c] && nh_q[c] && nfull(up[c]) ->
		nh_q[c] = false;
		up[c]!RELEASED, nh_id[c], 0, 0;
		nh_id[c] = 0 }

	:: d_step { !calm && lost && alive(c) ->
		lost--;
		dead[c] = true;
		reading[c] = false;
		want[c] = 0;
		conf[c] = false;
		prep[c] = 0;
		said[c] = false;
		link_down(c);
		object_free(c) }
	od
}

/* -------------------------------------------------------------- owner */

inline owner_request(c)
{
	if
	:: rec[c] != FREE && rec_id[c] == f_id ->
		out_q[c] = (rec[c] != WAITING -> linked[c] : out_q[c])
	:: else ->
		/* the place is used again, so nothing is held there */
		record_free(c);
		recheck();
		if
		:: f_state >= state[0] ->
			rec[c] = WAITING;
			rec_id[c] = f_id;
			rec_state[c] = f_state;
			rec_kind[c] = f_kind;
			owner_handle(c)
		:: else
		fi
	fi
}

inline owner_released(c)
{
	if
#ifndef BUG_ANY_RELEASED
	:: rec[c] == HELD && rec_id[c] == f_id -> record_free(c); recheck()
#else
	:: rec[c] == HELD -> record_free(c); recheck()
#endif
	:: else
	fi
}

inline owner_prepare()
{
	split = (split == LOCKING -> NONE : split);
	x = 1;
	do
	:: x < N ->
		if
		:: (rec[x] == WAITING && rec_state[x] <= state[0]) ||
		   rec[x] == GRANTING || (rec[x] == HELD && !rec_sent[x]) ->
			record_free(x)
		:: else
		fi;
		x++
	:: else -> break
	od;
	skip
}

inline owner_adopt(t, s, g)
{
	if
	:: s > state[0] && s >= prep[0] ->
		bits = (g == gen[0] -> bits : false);
		state[0] = s;
		gen[0] = g;
		prep[0] = 0;
		said[0] = false;
		x = 1;
		do
		:: x < N ->
			if
			:: (rec[x] == WAITING || rec[x] == GRANTING) && rec_state[x] < s ->
				record_free(x)
#ifndef BUG_ABORT_FORGETS
			:: rec[x] == HELD && t == RESUME -> record_free(x)
#else
			:: rec[x] == HELD -> record_free(x)
#endif
			:: else
			fi;
			x++
		:: else -> break
		od;
		recheck();
		owner_retry()
	:: else
	fi
}

inline send_grant(c)
{
	out_q[c] = false;
	if
	:: rec[c] == HELD -> rec_sent[c] = true; down[c]!GRANT, rec_id[c], state[0]
	:: else -> down[c]!CONFIRM, rec_id[c], state[0]; record_free(c)
	fi
}

proctype owner()
{
end:	do
	:: atomic {
		if
		:: nempty(up[1]) -> x = 1
		:: nempty(up[2]) -> x = 2
		fi;
		d_step {
			if
			:: x == 1 -> up[1]?f_type, f_id, f_state, f_kind;
				if
				:: f_type == REQUEST -> owner_request(1)
				:: else -> owner_released(1)
				fi
			:: else -> up[2]?f_type, f_id, f_state, f_kind;
				if
				:: f_type == REQUEST -> owner_request(2)
				:: else -> owner_released(2)
				fi
			fi } }
	:: d_step { nempty(news[0]) ->
		news[0]?f_type, f_id, f_state;
		if
		:: f_type == PREPARE ->
			prepare(0, f_id, f_state);
			if
			:: prep[0] == f_id && !said[0] -> owner_prepare()
			:: else
			fi
		:: else -> owner_adopt(f_type, f_id, f_state)
		fi }
#ifndef BUG_PREPARED_COPYING
	:: d_step { prep[0] && !said[0] && split != COPYING && split != COMMITTING ->
#else
	:: d_step { prep[0] && !said[0] ->
#endif
		said[0] = true }

	:: d_step { split == NONE && !lost_holder && !prep[0] &&
		(waits(1, SPLIT) || waits(2, SPLIT) || waits(1, SHARED) || waits(2, SHARED)) ->
		owner_retry() }

	/* copies, commits */
	:: d_step { split == COPYING && prep[0] -> split = NONE; owner_retry() }
	:: d_step { split == COPYING && !prep[0] -> split = COMMITTING;
#ifdef BUG_GRANT_EARLY
		bits = true; owner_retry()
#endif
		}
	:: d_step { split == COMMITTING ->
		m_bit = m_gen;
		bits = true;
		split = NONE;
		owner_retry() }

	/* frames to the clients; a grant of runs is forgotten when it is sent */
	:: d_step { linked[1] && out_q[1] && nfull(down[1]) -> send_grant(1) }
	:: d_step { linked[2] && out_q[2] && nfull(down[2]) -> send_grant(2) }
	:: d_step { linked[1] && recall_q[1] && nfull(down[1]) ->
		recall_q[1] = false; down[1]!RECALL, rec_id[1], 0 }
	:: d_step { linked[2] && recall_q[2] && nfull(down[2]) ->
		recall_q[2] = false; down[2]!RECALL, rec_id[2], 0 }
	od
}

/* ------------------------------------------------------------- primary */

#define prepared(c) (gone[c] || (prep[c] == number && said[c]))

inline tell(t, a, b)
{
	news[0]!t, a, b;
	if
	:: !dead[1] -> news[1]!t, a, b
	:: else
	fi;
	if
	:: !dead[2] -> news[2]!t, a, b
	:: else
	fi
}

inline begin(t)
{
	number++;
	preparing = true;
	is_trigger = t;
	tell(PREPARE, number, t)
}

/* The superblock with @number is on M. */
inline durable(t)
{
	m_state = number;
	if
	:: preparing && t == RESUME && is_trigger ->
		/* invariant 5 */
		assert(!reading[1] && !reading[2]);
		assert(!(split == COPYING || split == COMMITTING));
		m_gen = number;
		over = false
	:: else
	fi;
	if
	:: preparing && t == RESUME ->
		struck[1] = gone[1];
		struck[2] = gone[2]
	:: else
	fi;
	preparing = false;
	is_trigger = false;
	as_resume = t == RESUME;
	tell(t, number, m_gen)
}

#ifdef BUG_UNFENCED
#define certain(c) (dead[c] || !linked[c])
#else
#define certain(c) dead[c]
#endif

proctype primary()
{
end:	do
	:: atomic { !calm && transitions && !preparing ->
		transitions--;
		if
		:: d_step { begin(true) }
		:: d_step { begin(false) }
		:: d_step { number++; durable(ABORT) }	/* a new primary */
		fi }
	:: d_step { preparing && prepared(0) && prepared(1) && prepared(2) ->
		durable(RESUME) }
	/* time-out, or a new primary while this PREPARE is pending */
	:: d_step { !calm && late && preparing -> late--; number++; durable(ABORT) }
	:: d_step { !calm && late && preparing -> late--; durable(ABORT) }
	/* a client is lost: a view, repeated until it succeeds, strikes it */
	:: d_step { certain(1) && !struck[1] && !preparing -> gone[1] = true; begin(false) }
	:: d_step { certain(2) && !struck[2] && !preparing -> gone[2] = true; begin(false) }
	od
}

#define at_rest(c) (dead[c] || (!want[c] && !reading[c] && !prep[c] && state[c] == m_state))

init {
	atomic {
		run owner();
		run client(1);
		run client(2);
		run link(1);
		run link(2);
		run primary()
	}
	calm = true;
	timeout;
	if
	:: at_rest(0) && at_rest(1) && at_rest(2) && split == NONE && !preparing
	:: else -> assert(!calm)	/* something waits for ever */
	fi
}
