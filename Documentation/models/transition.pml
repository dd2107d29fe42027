/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Transitions, the role of the primary and its loss: one trigger after the other
 * among N participants, every one of which may write A.
 *
 *   proctype	what it abstracts
 *   node	transition.c: fclock_prepare(), fclock_progress(), fclock_adopt();
 *		primary.c: primary_begin(), fclock_primary_prepared(), build_next(),
 *		primary_abort(), fclock_primary_written(), primary_failed(),
 *		fclock_primary_take(), fclock_primary_link_up(); members.c:
 *		primary_gone(), role_of(), may_take(), fclock_members_news(),
 *		fclock_begin_ending(); core.c: receive_super(); the gate of A
 *   world	power, the cluster manager, the network
 *
 * M is one superblock: which of its two blocks is newest is on-disk.rst's matter. A
 * write of it ends well, or with an error and was done or not; when its
 * writer crashes or is fenced under it, it was done or not. A read of it
 * returns what stood there when the read began.
 *
 * A node is lost by a crash, by being fenced (it runs on, but reaches M and A no more), or
 * it ends because M cannot be written. Others hear that at any time after
 * (a members list, BYE, HELLO of a new instance), each on its own.
 *
 * Left out: all but A's gate and its one confirmation (grant.pml has the locks), which
 * node asks for the trigger, WISH and views, nodes that come and leave (members.pml). A
 * primary does not wait in RESUMING: an end of that wait at any time is what
 * its deadline allows.
 *
 * `calm` ends all faults and new I/O. When then nothing can happen any more, all that
 * are left must run the same state with gates open.
 *
 * Invariants (protocol.rst): 5 (one cut), 6 (fence first), and that the
 * superblock on M is the one state: no write of it undoes another's.
 */
#ifndef N
#define N 3		/* participants */
#endif
#ifndef TRIGGERS
#define TRIGGERS 1
#endif
#ifndef LOST
#define LOST 1		/* nodes that crash or are fenced */
#endif
#ifndef CUTS
#define CUTS 1		/* links that break */
#endif
#ifndef LATE
#define LATE 1		/* PREPAREs that time out */
#endif
#ifndef ERRORS
#define ERRORS 1	/* writes of M that fail */
#endif
#define CAP 5
#define NOBODY 255
#define ENDS 255	/* prep of an instance that begins nothing any more */

mtype = { IDLE, TAKING, PREPARING, WRITING, ABORTING };	/* the primary */
mtype = { PREPARE, PREPARED, RESUME, ABORT };		/* frames */
mtype = { RUNNING, ENDING, DEAD };			/* instances */

#define bit(n) (1 << (n))
#define ALL (bit(N) - 1)
#define to(i, j) q[(i) * N + (j)]

chan q[N * N] = [CAP] of { mtype, byte, byte, byte };	/* state, generation, primary */

byte m_state = 1, m_gen = 1, m_pri = 0;			/* the superblock on M */

mtype life[N] = RUNNING;
bool fenced[N];
byte knows[N];			/* bits: nodes it knows to be gone */
byte linkup = 255;		/* bits: pairs */

byte sb_state[N] = 1, sb_gen[N] = 1, sb_pri[N];		/* adopted */
byte prep[N];			/* number of the pending PREPARE */
bool said[N];			/* PREPARED */
byte conf[N] = 1;		/* generation of A's confirmation, 0: none */
byte io[N];			/* generation by which a write of A went, 0: none */

mtype ph[N] = IDLE;
byte num[N] = 1;		/* pri.number */
byte done[N];			/* bits: who said PREPARED */
byte writing[N];		/* write of M: 1 under way, 2 done, not yet reported */
byte nx_state[N], nx_gen[N], base[N];
bool resume[N];			/* announced as RESUME */
bool reading[N];
byte r_state[N], r_gen[N], r_pri[N];
bool news[N];

byte triggers = TRIGGERS, lost = LOST, cuts = CUTS, late = LATE, errors = ERRORS;
bool calm;

/* Pairs of at most three nodes: 0-1: 0, 0-2: 1, 1-2: 2. */
#define pair(i, j) ((i) + (j) - 1)
#define is_up(i, j) (linkup & bit(pair(i, j)))
#define is_gone(i, n) (knows[i] & bit(n))
#define works(i) (life[i] != DEAD)
#define reaches(i) (life[i] != DEAD && !fenced[i])

/* Used within one step only, so no part of the state. */
hidden mtype f_type;
hidden byte f_state, f_gen, f_pri, from, x, y;
hidden byte ok, done_on_m, aborts, announces;

inline send(src, dst, f1, f2, f3, f4)
{
	if
	:: dst != src && works(dst) && is_up(src, dst) ->
		assert(nfull(to(src, dst)));
		to(src, dst)!f1, f2, f3, f4
	:: else
	fi
}

/* The superblock that @i writes is on M now. */
inline land(i)
{
	/* no write undoes another's: it was made from what stands there */
	assert(nx_state[i] > m_state);
	assert(base[i] == m_state || m_pri == i);
	m_state = nx_state[i];
	m_gen = nx_gen[i];
	m_pri = i;
	/* invariant 5: from here on I/O to A goes by this generation */
	x = 0;
	do
	:: x < N ->
		assert(!reaches(x) || !io[x] || io[x] == m_gen);
		x++
	:: else -> break
	od;
	skip
}

inline next_number(i)
{
	num[i] = (sb_state[i] > num[i] -> sb_state[i] : num[i]);
	num[i] = (prep[i] != ENDS && prep[i] > num[i] -> prep[i] : num[i]);
	num[i]++;
	nx_state[i] = num[i]
}

inline write_super(i, phase)
{
	ph[i] = phase;
	writing[i] = 1
}

inline begin_ending(i)
{
	if
	:: life[i] == RUNNING ->
		life[i] = ENDING;
		prep[i] = ENDS;
		said[i] = true;
		ph[i] = (writing[i] -> ph[i] : IDLE)
	:: else
	fi
}

/* fclock_adopt() */
inline adopt(who, ns, ng, np)
{
	if
	:: ns > sb_state[who] && ns >= prep[who] ->
		/* only what is durable is ever run */
		assert(ns <= m_state);
		assert(ns < m_state || (ng == m_gen && np == m_pri));
		ph[who] = (sb_pri[who] == who && np != who -> IDLE : ph[who]);
#ifndef BUG_KEEP_CONFIRMATIONS
		conf[who] = (ng == sb_gen[who] -> conf[who] : 0);
#endif
		sb_state[who] = ns;
		sb_gen[who] = ng;
		sb_pri[who] = np;
		num[who] = (np != who -> ns : num[who]);
		prep[who] = 0;
		said[who] = false
	:: else
	fi
}

inline send_super(me, other)
{
	send(me, other, (resume[me] -> RESUME : ABORT), sb_state[me], sb_gen[me],
	     sb_pri[me])
}

inline announce(i, as_resume)
{
	resume[i] = as_resume;
	ph[i] = IDLE;
	adopt(i, nx_state[i], nx_gen[i], i);
	y = 0;
	do
	:: y < N -> send_super(i, y); y++
	:: else -> break
	od;
	skip
}

inline primary_abort(i)
{
	next_number(i);
	nx_gen[i] = sb_gen[i];
	base[i] = sb_state[i];
	write_super(i, ABORTING)
}

inline receive_prepare(me, from, n)
{
	if
	:: from == sb_pri[me] && n == prep[me] && said[me] ->
		send(me, from, PREPARED, n, 0, 0)
	:: from == sb_pri[me] && n > sb_state[me] && n > prep[me] ->
		prep[me] = n;
		said[me] = false
	:: else
	fi
}

inline primary_begin(i)
{
	next_number(i);
	ph[i] = PREPARING;
	done[i] = 0;
	y = 0;
	do
	:: y < N && y != i && !is_gone(i, y) ->
		send(i, y, PREPARE, num[i], 0, 0);
		y++
	:: y < N && (y == i || is_gone(i, y)) -> y++
	:: else -> break
	od;
	receive_prepare(i, i, num[i])
}

inline receive_prepared(i, from, n)
{
	if
#ifdef BUG_LATE_PREPARED
	:: ph[i] == PREPARING ->
#else
	:: ph[i] == PREPARING && n == num[i] ->
#endif
		done[i] = done[i] | bit(from)
	:: else
	fi
}

inline receive_super(i, src, s, g, p)
{
	if
	:: p == src || sb_pri[i] == src -> adopt(i, s, g, p)
	:: else
	fi
}

inline receive(i)
{
	to(from, i)?f_type, f_state, f_gen, f_pri;
	if
	:: f_type == PREPARE -> receive_prepare(i, from, f_state)
	:: f_type == PREPARED -> receive_prepared(i, from, f_state)
	:: else -> receive_super(i, from, f_state, f_gen, f_pri)
	fi
}

/* The drain has ended: fclock_progress(). */
inline progress(i)
{
	said[i] = true;
#ifndef BUG_KEEP_CONFIRMATIONS
	conf[i] = 0;
#endif
	if
	:: sb_pri[i] == i -> done[i] = (prep[i] == num[i] -> done[i] | bit(i) : done[i])
	:: else -> send(i, sb_pri[i], PREPARED, prep[i], 0, 0)
	fi
}

/* Whose is the role, if M says @p? members.c: role_of(), may_take() */
#define lowest_left(i) (!is_gone(i, 0) -> 0 : (!is_gone(i, 1) -> 1 : 2))
#define role_is(i, p) ((p) == (i) || (lost_to(i, p) && lowest_other(i, p) == (i)))
#ifdef BUG_TAKE_UNREACHABLE
#define lost_to(i, p) ((p) != (i) && (is_gone(i, p) || !is_up(i, p)))
#define lowest_other(i, p) (p == 0 && lowest_left(i) == 0 -> 1 : lowest_left(i))
#else
#define lost_to(i, p) is_gone(i, p)
#define lowest_other(i, p) lowest_left(i)
#endif

/* Reads that can change nothing are left out. */
#define may_read(i) (role_is(i, m_pri) || (LOST > 1 && !calm))

#ifdef BUG_TAKE_KNOWN
#define known(on_m, adopted) adopted	/* judges by what it has adopted */
#else
#define known(on_m, adopted) on_m
#endif

inline take(i)
{
	num[i] = (r_state[i] > num[i] -> r_state[i] : num[i]);
	next_number(i);
	nx_gen[i] = r_gen[i];
	base[i] = r_state[i];
	write_super(i, TAKING)
}

/* fclock_core_super_read() */
inline super_read(i)
{
	reading[i] = false;
	if
#ifdef BUG_STALE_READ
	:: life[i] == RUNNING && lost_to(i, sb_pri[i]) &&
#else
	:: life[i] == RUNNING && lost_to(i, sb_pri[i]) && !news[i] &&
#endif
	   role_is(i, r_pri[i]) && ph[i] == IDLE && !writing[i] ->
		take(i)
	:: else
	fi
}

#define others_left(i) (((knows[i] | bit(i)) & ALL) != ALL)

/* fclock_primary_written() */
inline written(i)
{
	if
	:: done_on_m && writing[i] == 1 -> land(i)
	:: else
	fi;
	writing[i] = 0;
	done[i] = 0;
	base[i] = 0;
	announces = false;
	aborts = false;
	if
	:: prep[i] == ENDS -> ph[i] = IDLE
	:: prep[i] != ENDS && ok ->
		/* a trigger that failed changed nothing */
		assert(ph[i] != ABORTING || fenced[i] || m_gen == sb_gen[i]);
		announces = true
	:: prep[i] != ENDS && !ok && ph[i] == TAKING -> ph[i] = IDLE
	:: prep[i] != ENDS && !ok && ph[i] == WRITING ->
#ifdef BUG_FAILED_IS_OLD
		/* it failed, so nothing has changed, and the gates open */
		ph[i] = IDLE;
		prep[i] = 0
#else
		aborts = true
#endif
	:: prep[i] != ENDS && !ok && ph[i] != TAKING && ph[i] != WRITING ->
		if
		:: others_left(i) -> begin_ending(i)
		:: else -> aborts = true
		fi
	fi;
	if
#ifdef BUG_TAKE_SILENTLY
	:: announces && ph[i] == TAKING ->
		ph[i] = IDLE;
		adopt(i, nx_state[i], nx_gen[i], i)
	:: announces && ph[i] != TAKING -> announce(i, ph[i] == WRITING)
#else
	:: announces -> announce(i, ph[i] == WRITING)
#endif
	:: !announces && aborts -> primary_abort(i)
	:: else
	fi
}

inline hears_of(i, n)
{
	knows[i] = knows[i] | bit(n);
	news[i] = reading[i];
	if
	:: n == i -> begin_ending(i)
	:: else
	fi
}

#define all_prepared(i) (((done[i] | knows[i]) & ALL) == ALL)
#define all_connected(i) (((knows[i] & bit(0)) || i == 0 || is_up(i, 0)) && \
	((knows[i] & bit(1)) || i == 1 || is_up(i, 1)) && \
	(N < 3 || (knows[i] & bit(2)) || i == 2 || is_up(i, 2)))

inline lose(n, crashed, was_done)
{
	lost--;
	if
	:: was_done -> land(n); writing[n] = 2
	:: else
	fi;
	if
	:: crashed ->
		life[n] = DEAD;
		io[n] = 0;
		writing[n] = 0;
		done[n] = 0;
		reading[n] = false;
		y = 0;
		do
		:: y < N && len(to(y, n)) > 0 -> to(y, n)?_, _, _, _
		:: y < N && len(to(y, n)) == 0 -> y++
		:: else -> break
		od
	:: else -> fenced[n] = true
	fi
}

inline empty_link(ea, eb)
{
	do
	:: len(to(ea, eb)) > 0 -> to(ea, eb)?_, _, _, _
	:: len(to(eb, ea)) > 0 -> to(eb, ea)?_, _, _, _
	:: else -> break
	od;
	skip
}

/* fclock_primary_link_up(): the newest superblock, then the pending PREPARE */
inline link_up(here, there)
{
	if
	:: life[here] == RUNNING && sb_pri[here] == here ->
		send_super(here, there);
		if
		:: ph[here] == PREPARING && !(done[here] & bit(there)) && !is_gone(here, there) ->
#ifndef BUG_NO_REPEAT
			send(here, there, PREPARE, num[here], 0, 0)
#else
			skip
#endif
		:: else
		fi
	:: else
	fi
}

#ifdef BUG_OPEN_GATE
/* asks, and writes, also while a PREPARE is pending */
#define gate_open(i) true
#else
#define gate_open(i) !prep[i]
#endif
#ifdef BUG_NO_DRAIN
#define drained(i) true
#else
#define drained(i) !io[i]
#endif

#define has_frame(i, j) ((i) != (j) && works(i) && nempty(to(j, i)))
#define may_hear(i, n) \
	(life[i] == RUNNING && !is_gone(i, n) && (life[n] == DEAD || fenced[n]))
#define may_fail (errors && !calm)

proctype node(byte i)
{
end:	do
	:: atomic {
		if
		:: has_frame(i, 0) -> from = 0
		:: has_frame(i, 1) -> from = 1
		:: N > 2 && has_frame(i, N - 1) -> from = N - 1
		fi;
		d_step { receive(i) } }
	:: atomic {
		if
		:: may_hear(i, 0) -> from = 0
		:: may_hear(i, 1) -> from = 1
		:: N > 2 && may_hear(i, N - 1) -> from = N - 1
		fi;
		d_step { hears_of(i, from) } }

	/* it is lost; what it was writing was done or not */
	:: atomic { !calm && lost && !fenced[i] && works(i) ->
		done_on_m = false;
		if
		:: writing[i] == 1 -> done_on_m = true
		:: true
		fi;
		if
		:: ok = true
		:: ok = false
		fi;
		d_step { lose(i, ok, done_on_m) } }

	/* I/O: a grant confirms the generation of this state; a write goes and ends */
	:: atomic { !calm && life[i] == RUNNING && gate_open(i) && !conf[i] ->
		conf[i] = sb_gen[i] }
	:: atomic { TRIGGERS && !calm && life[i] == RUNNING && !io[i] && conf[i] && gate_open(i) ->
		io[i] = conf[i];
		assert(fenced[i] || io[i] == m_gen) }
	:: atomic { io[i] && works(i) -> io[i] = 0 }

	/* participant */
	:: d_step { life[i] == RUNNING && prep[i] && !said[i] && drained(i) ->
		progress(i) }
	:: d_step { life[i] == ENDING && !io[i] && !writing[i] && !reading[i] ->
		life[i] = DEAD }

	/* primary */
	:: d_step { !calm && triggers && life[i] == RUNNING && sb_pri[i] == i &&
		ph[i] == IDLE && !prep[i] && all_connected(i) ->
		triggers--;
		primary_begin(i) }
	:: d_step { life[i] == RUNNING && ph[i] == PREPARING && all_prepared(i) ->
		nx_state[i] = num[i];
		nx_gen[i] = num[i];
		base[i] = sb_state[i];
		write_super(i, WRITING) }
	:: d_step { !calm && late && life[i] == RUNNING && ph[i] == PREPARING &&
		!all_prepared(i) ->
		late--;
		primary_abort(i) }
	:: atomic { works(i) && writing[i] ->
		if
		:: writing[i] == 2 -> ok = true; done_on_m = false
		:: writing[i] == 1 && !fenced[i] -> ok = true; done_on_m = true
		:: writing[i] == 1 && fenced[i] -> ok = false; done_on_m = false
		:: may_fail -> errors--; ok = false; done_on_m = false
		:: may_fail && writing[i] == 1 && !fenced[i] ->
			errors--; ok = false; done_on_m = true
		fi;
		d_step { written(i) } }

	/* the role */
	:: d_step { life[i] == RUNNING && !fenced[i] && !reading[i] && !writing[i] &&
		ph[i] == IDLE && lost_to(i, sb_pri[i]) && may_read(i) ->
		reading[i] = true;
		r_state[i] = known(m_state, sb_state[i]);
		r_gen[i] = known(m_gen, sb_gen[i]);
		r_pri[i] = known(m_pri, sb_pri[i]);
		news[i] = false }
	:: d_step { works(i) && reading[i] -> super_read(i) }
	od
}

proctype link(byte i; byte j)
{
end:	do
	:: d_step { !calm && cuts && is_up(i, j) && works(i) && works(j) ->
		cuts--;
		linkup = linkup & ~bit(pair(i, j));
		empty_link(i, j) }
	:: d_step { !is_up(i, j) && works(i) && works(j) ->
		linkup = linkup | bit(pair(i, j));
		link_up(i, j);
		link_up(j, i) }
	od
}

/* It is dead, or runs what stands on M with open gates, and the primary lives. */
#define at_rest(i) \
	(i >= N || life[i] == DEAD || \
	 (life[i] == RUNNING && !fenced[i] && !prep[i] && !io[i] && \
	  sb_state[i] == m_state && sb_gen[i] == m_gen && sb_pri[i] == m_pri && \
	  life[m_pri] == RUNNING))

init {
	atomic {
		run node(0);
		run node(1);
#if N > 2
		run node(2);
		run link(0, 2);
		run link(1, 2);
#endif
		run link(0, 1)
	}
	calm = true;
	timeout;
	if
	:: at_rest(0) && at_rest(1) && at_rest(2)
	:: else -> assert(!calm)	/* something waits for ever */
	fi
}
