/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two nodes that start, leave, are cut from power and return; members lists; the role
 * of the primary that is handed over, or taken; writes of M that land twice.
 *
 *   proctype	what it abstracts
 *   node	members.c: instance_gone(), role_of(), was_announced(),
 *		under_way(), may_take(), super_seen(), may_be_untold(),
 *		fclock_members_adopt(), fclock_begin_ending(), reborn(),
 *		left_done(), fclock_core_leave(), fclock_core_leave_now();
 *		view.c: view_node(), view_primary(); primary.c: fclock_primary_kick(),
 *		primary_begin(), all_resumed(), fclock_primary_take();
 *		transition.c: fclock_prepare(), fclock_adopt(), fclock_wish();
 *		link.c: link_up()
 *   link	the network
 *   manager	the cluster manager: lists, each with its epoch
 *   third	(with THIRD) what a third node says of its state
 *
 * M is one superblock: its state, the instance of each participant, the primary and its
 * instance, the epoch. A read of it returns what stood there when the read
 * began. A write lands at some moment, and ends later: until then it may land once
 * more (multipath, iSCSI), over what was written since. When its node loses power it has
 * landed or not, and does so no more.
 *
 * A frame is made when the link can take it (frame.c), and arrives then: what is
 * to be said waits as a bit, and the bits go in any order, but PREPARE after the
 * superblock. An instance is numbered
 * within its node, and numbers are only compared for equality.
 *
 * The manager's part: it leaves a node out when it is off. It lets a node start that is
 * in the newest list, and tells it that list first, whatever the other one knows or
 * does. (When both were off, and lists came between that of M and the newest, the other one
 * may be taking the role by one of those: told[] is the word that it is not.)
 *
 * Left out: nodes that are left out while they run, so ENDING and reborn() are hardly
 * met; nodes that leave before they take part; writes of M that fail, time-outs of
 * PREPARE, triggers (transition.pml); the end of RESUMING by its deadline; owners, slots.
 * More than two nodes: the third one is heard and hears, always, and may be a witness of
 * what was announced. It does not PREPARE, is not waited for, and never has the role.
 *
 * And the second landing (see `apart`) of a write by which a starting node took the role
 * of nobody (case (c)) where it cannot know of that write: it does not hear who
 * writes, who may as well have left properly; or who writes became the primary after
 * HELLO, and the starting node has not got its superblock yet.
 *
 * `calm` ends faults and what administrators do. When then nothing can happen any
 * more and both nodes are up, both take part. Is only one up, the manager
 * leaves the other one out, and then that one takes part. Before that already, if M
 * names it and lists nobody else, and the former primary is gone or a witness is heard.
 *
 * Invariant 6 of protocol.rst (nobody is struck who does I/O, none does I/O who is
 * not listed on M); no write of the superblock undoes another's, and none that lands twice
 * does; BYE only when all has ended; who hands the role over stays until that is heard.
 */
#ifndef STARTS
#define STARTS 2
#endif
#ifndef LEAVES
#define LEAVES 1
#endif
#ifndef CRASHES
#define CRASHES 1	/* nodes that lose power */
#endif
#ifndef LATE
#define LATE 0		/* leaving nodes that do not wait */
#endif
#ifndef LISTS
#define LISTS 1
#endif
#ifndef CUTS
#define CUTS 0		/* links that break */
#endif
#ifndef FRESH
#define FRESH 0		/* M is empty, both nodes are off */
#endif
#ifndef THIRD
#define THIRD 0		/* a third node, that may be a witness */
#endif
#define NOBODY 2
#define ENDS 255	/* prep of an instance that begins nothing any more */

mtype = { OFF, STARTING, RUNNING, LEAVING, LEFT, ENDING };
mtype = { IDLE, TAKING, PREPARING, WRITING, RESUMING };

/* Frames that wait. */
#define WISH 1
#define SUPER 2
#define PREPARE 4
#define PREPARED 8
#define BYE 16
#define PING 32

#define o(i) (1 - (i))
#define at(i, n) ((i) * 2 + (n))
#define bit(n) (1 << (n))

/* M; the lists */
byte m_state, m_p[2], m_pri, m_inst, m_ep;
byte mem[5], newest;
bool powered[2];		/* ghost: not off */

/* nodes */
mtype phase[2] = OFF;
byte inst[2], last[2], ep[2];
byte s_state[2], s_p[4], s_pri[2] = NOBODY, s_inst[2], s_ep[2];	/* adopted */
byte prep[2];
bool said[2], io[2], now[2];	/* io: I/O under a lock, copies */
byte top[2];			/* ghost: highest state that ran there */

/* what a node knows of the other one */
byte k_inst[2], k_state[2];
bool k_bye[2], k_pri[2], wv[2], wj[2];	/* k_pri: said it in HELLO, while linked */
byte told[2];			/* epoch that it said in PING, not TAKING */
byte out[2];			/* what it has to tell it */

/* as primary, or to become it */
mtype ph[2] = IDLE;
byte num[2], base[2];
bool need[2], done[2], writing[2], reading[2], news[2];
bool landed[2];			/* what it writes is on M, and has not ended */
bool apart[2];			/* ghost: the other one has not heard it ever since */
byte n_state[2], n_p[4], n_pri[2], n_inst[2], n_ep[2];
byte r_state[2], r_p[4], r_pri[2], r_inst[2], r_ep[2];

#if THIRD
byte w_state, k_w[2];		/* the third node's state, as it runs, as they know */
bool w_listed;
#endif

bool linked, calm;
byte starts = STARTS, leaves = LEAVES, crashes = CRASHES, late = LATE, lists = LISTS;
byte cuts = CUTS;

hidden byte x, y;
hidden byte b;

/* ----------------------------------------------------------- who is gone */

#define in(e, n) ((e) == 0 || (mem[e] & bit(n)))
#ifdef BUG_GONE_UNREACHABLE
#define off_link(i, n) ((n) != (i) && !linked)
#else
#define off_link(i, n) false
#endif
/* instance_gone() */
#define gone(i, n, a, st) (!in(ep[i], n) || off_link(i, n) || \
	((n) == (i) -> (a) != inst[i] : (k_inst[i] == (a) -> k_bye[i] : \
	 (k_inst[i] && k_state[i] >= (st)))))
#define listed(i) (s_state[i] && s_p[at(i, i)] == inst[i])
#define is_primary(i) (s_state[i] && s_pri[i] == (i) && s_inst[i] == inst[i])
#define s_gone(i, n) gone(i, n, s_p[at(i, n)], s_state[i])
#define s_primary_gone(i) (s_pri[i] == NOBODY || gone(i, s_pri[i], s_inst[i], s_state[i]))
#define r_primary_gone(i) (r_pri[i] == NOBODY || gone(i, r_pri[i], r_inst[i], r_state[i]))
#define r_alive(i, n) (r_p[at(i, n)] && !gone(i, n, r_p[at(i, n)], r_state[i]))
#define names_this(i) (r_pri[i] == (i) && r_inst[i] == inst[i])
#define joined(i) (phase[i] == STARTING || phase[i] == RUNNING)
#define takes_part(i) (phase[i] == RUNNING || phase[i] == LEAVING)
#define works(i) (phase[i] != OFF && phase[i] != LEFT)

/* may_be_untold() */
#ifdef BUG_NO_LOOK
#define untold(i) false
#else
#define untold(i) (prep[i] && s_pri[i] == o(i) && !(linked && k_inst[i] == s_inst[i]))
#endif
#define reads_wanted(i) (works(i) && prep[i] != ENDS && \
	((phase[i] == STARTING && !is_primary(i)) || \
	 (takes_part(i) && (untold(i) || s_primary_gone(i)))))

/*
 * was_announced(): who is listed in what was read runs it, so its write has ended. The
 * state of any other node may be from M, too.
 */
#ifdef BUG_READER_IS_WITNESS
#define in_r(i) true
#define w_counts true
#else
#define in_r(i) (r_p[at(i, o(i))] && r_p[at(i, o(i))] == k_inst[i])
#define w_counts w_listed
#endif
#if THIRD
#define third_runs(i, st) (w_counts && k_w[i] >= (st))
#else
#define third_runs(i, st) false
#endif
#define was_announced(i) ((linked && k_state[i] >= r_state[i] && in_r(i)) || \
	third_runs(i, r_state[i]))

/* under_way(): the primary is heard, and has not come to what was read. */
#define hears_primary(i) (linked && \
	(k_pri[i] || (s_state[i] && s_pri[i] == o(i) && s_inst[i] == k_inst[i])))
#ifdef BUG_READS_AHEAD
#define under_way(i) false
#else
#define under_way(i) (hears_primary(i) && k_state[i] < r_state[i] && \
	!k_bye[i] && in(ep[i], o(i)))
#endif

/* Case (c): nodes of M's list that no newer one left out. */
#define candidate(i, n) (in(r_ep[i], n) && in(ep[i], n))

#ifdef BUG_UNHEARD_LIST
#define all_heard(i) true
#else
#define all_heard(i) (ep[i] <= r_ep[i] + 1 || !in(ep[i], o(i)) || told[i] == ep[i])
#endif

/* role_of(), may_take(): to b */
inline may_take(i)
{
	if
	:: !in(ep[i], i) -> b = false
	:: in(ep[i], i) && r_state[i] && names_this(i) ->
		/* a write that has not ended may land once more, over what this node writes */
#ifdef BUG_NAMED_AT_ONCE
		b = !is_primary(i)
#else
		b = !is_primary(i) &&
			(!s_state[i] || s_primary_gone(i) || was_announced(i))
#endif
	:: else ->
		if
		:: r_state[i] && !r_primary_gone(i) -> b = false
		:: (!r_state[i] || r_primary_gone(i)) && r_state[i] &&
		   (r_alive(i, 0) || r_alive(i, 1)) ->
			b = r_alive(i, i) && (i == 0 || !r_alive(i, 0))
		:: else ->
#ifdef BUG_NOT_LOWEST
			b = phase[i] == STARTING
#else
			b = phase[i] == STARTING && all_heard(i) &&
				!(r_state[i] && under_way(i)) &&
				(candidate(i, i) -> i == 0 || !candidate(i, 0) :
				 !candidate(i, o(i)) && (i == 0 || !in(ep[i], 0)))
#endif
		fi
	fi
}

/* ---------------------------------------------------------- the instance */

inline say(i, what)
{
	out[i] = (linked && powered[o(i)] -> out[i] | what : out[i])
}

inline wish(i)
{
#ifndef BUG_WISH_ONCE
	if
	:: s_state[i] && s_pri[i] == o(i) && k_inst[i] == s_inst[i] &&
	   phase[i] != ENDING && phase[i] != LEFT -> say(i, WISH)
	:: else
	fi
#else
	if
	:: s_state[i] && s_pri[i] == o(i) && k_inst[i] == s_inst[i] &&
	   phase[i] == STARTING -> say(i, WISH)
	:: else
	fi
#endif
}

inline link_down()
{
	linked = false;
	out[0] = 0;
	out[1] = 0;
	told[0] = 0;
	told[1] = 0;
	k_pri[0] = false;
	k_pri[1] = false;
	apart[0] = landed[0];
	apart[1] = landed[1]
}

inline stop_all(i)
{
	prep[i] = ENDS;
	said[i] = false;
	ph[i] = (writing[i] -> ph[i] : IDLE);
	out[i] = out[i] & BYE
}

inline begin_ending(i)
{
	if
	:: phase[i] == ENDING || phase[i] == LEFT -> skip
	:: phase[i] == LEAVING -> now[i] = true; stop_all(i)
	:: else -> phase[i] = ENDING; stop_all(i)
	fi
}

inline members_news(i)
{
	news[i] = reading[i]
}

inline members_adopt(i, e)
{
	if
	:: e > ep[i] ->
		ep[i] = e;
		say(i, PING);
		if
		:: !in(e, i) && (takes_part(i) || ph[i] != IDLE || is_primary(i)) ->
			begin_ending(i)
		:: else
		fi;
		members_news(i)
	:: else
	fi
}

/* fclock_adopt() */
inline adopt(i, st, p0, p1, pri, pin, e)
{
	if
	:: st > s_state[i] && st >= prep[i] ->
		b = pri != s_pri[i] || pin != s_inst[i];
		if
		:: b && s_pri[i] == i && s_inst[i] == inst[i] && s_state[i] ->
			ph[i] = (ph[i] == RESUMING -> RESUMING : IDLE);
			wv[i] = false;
			wj[i] = false
		:: else
		fi;
		s_state[i] = st;
		s_p[at(i, 0)] = p0;
		s_p[at(i, 1)] = p1;
		s_pri[i] = pri;
		s_inst[i] = pin;
		s_ep[i] = e;
		num[i] = (pri == i && pin == inst[i] -> num[i] : st);
		top[i] = (st > top[i] -> st : top[i]);
		prep[i] = 0;
		said[i] = false;
		members_adopt(i, e);
		if
		:: phase[i] == STARTING && listed(i) -> phase[i] = RUNNING
		:: phase[i] == RUNNING && !listed(i) -> begin_ending(i)
		:: else
		fi;
		wish(i);
		say(i, PING);
		if
		:: b && is_primary(i) -> say(i, SUPER)
		:: else
		fi;
		/* a read that began before this is of no use */
		if
		:: reads_wanted(i) -> members_news(i)
		:: else
		fi
	:: else
	fi
}

inline forget(i)
{
	io[i] = false;
	now[i] = false;
	ph[i] = IDLE;
	prep[i] = 0;
	said[i] = false;
	write_over(i);
	need[i] = false;
	done[i] = false;
	wv[i] = false;
	wj[i] = false;
	news[i] = false;
	read_over(i);
	next_over(i)
}

inline off(i)
{
	phase[i] = OFF;
	powered[i] = false;
	link_down();
	forget(i);
	inst[i] = 0;
	ep[i] = 0;
	num[i] = 0;
	s_state[i] = 0;
	s_p[at(i, 0)] = 0;
	s_p[at(i, 1)] = 0;
	s_pri[i] = NOBODY;
	s_inst[i] = 0;
	s_ep[i] = 0;
	k_inst[i] = 0;
	k_state[i] = 0;
	k_bye[i] = false;
#if THIRD
	k_w[i] = 0
#endif
}

inline new_instance(i)
{
	last[i]++;
	inst[i] = last[i];
	phase[i] = STARTING
}

/* All of the instance's has ended. */
inline reborn(i)
{
	assert(!io[i] && !writing[i]);
	link_down();
	forget(i);
	new_instance(i)
}

/* ------------------------------------------------------------- the primary */

inline read_over(i)
{
	reading[i] = false;
	r_state[i] = 0;
	r_p[at(i, 0)] = 0;
	r_p[at(i, 1)] = 0;
	r_pri[i] = 0;
	r_inst[i] = 0;
	r_ep[i] = 0
}

inline next_over(i)
{
	n_state[i] = 0;
	n_p[at(i, 0)] = 0;
	n_p[at(i, 1)] = 0;
	n_pri[i] = 0;
	n_inst[i] = 0;
	n_ep[i] = 0
}

inline write_over(i)
{
	writing[i] = false;
	landed[i] = false;
	apart[i] = false;
	base[i] = 0
}

inline read_begin(i)
{
	reading[i] = true;
	news[i] = false;
	r_state[i] = m_state;
	r_p[at(i, 0)] = m_p[0];
	r_p[at(i, 1)] = m_p[1];
	r_pri[i] = m_pri;
	r_inst[i] = m_inst;
	r_ep[i] = m_ep
}

inline next_number(i)
{
	num[i] = (s_state[i] > num[i] -> s_state[i] : num[i]);
	num[i] = (prep[i] != ENDS && prep[i] > num[i] -> prep[i] : num[i]);
	num[i]++
}

inline take(i)
{
	num[i] = (r_state[i] > num[i] -> r_state[i] : num[i]);
	next_number(i);
	base[i] = r_state[i];
	n_state[i] = num[i];
	n_p[at(i, 0)] = r_p[at(i, 0)];
	n_p[at(i, 1)] = r_p[at(i, 1)];
	n_pri[i] = i;
	n_inst[i] = inst[i];
	n_ep[i] = (r_state[i] -> r_ep[i] : ep[i]);
	ph[i] = TAKING;
	writing[i] = true
}

/* super_read(), super_seen(), empty_seen() */
inline read_end(i)
{
	reading[i] = false;
	if
#ifndef BUG_STALE_READ
	:: reads_wanted(i) && !news[i] ->
#else
	:: reads_wanted(i) ->
#endif
		if
		:: r_state[i] && phase[i] == STARTING && !under_way(i) &&
		   r_p[at(i, i)] != inst[i] && !names_this(i) ->
			adopt(i, r_state[i], r_p[at(i, 0)], r_p[at(i, 1)], r_pri[i],
			      r_inst[i], r_ep[i])
		:: else
		fi;
		members_adopt(i, r_ep[i]);
		may_take(i);
		if
		:: phase[i] != ENDING && reads_wanted(i) && b && ph[i] == IDLE &&
		   !writing[i] -> take(i)
		:: else
		fi
	:: else
	fi;
	news[i] = false;
	read_over(i)
}

/* view_node(), for this node and the other one */
#define self_next(i) (joined(i) && in(ep[i], i) -> inst[i] : 0)
#define cur(i) s_p[at(i, o(i))]
#ifdef BUG_OLD_STAYS
#define strikes(i) (cur(i) && (!in(ep[i], o(i)) || k_bye[i]))
#else
#define strikes(i) (cur(i) && (s_gone(i, o(i)) || (cur(i) == k_inst[i] && wv[i] && !wj[i])))
#endif
#define enters(i) (linked && wv[i] && wj[i] && !k_bye[i] && in(ep[i], o(i)))
#define other_next(i) ((!cur(i) || strikes(i)) -> (enters(i) -> k_inst[i] : 0) : cur(i))
#define differs(i) ((self_next(i)) != s_p[at(i, i)] || (other_next(i)) != cur(i) || \
	ep[i] != s_ep[i])
#define other_alive(i) (cur(i) && !s_gone(i, o(i)))
#define unconnected(i) (other_alive(i) && !(linked && k_inst[i] == cur(i)))

inline primary_begin(i)
{
	next_number(i);
	ph[i] = PREPARING;
	need[i] = other_alive(i);
	done[i] = false;
	if
	:: need[i] -> say(i, PREPARE)
	:: else
	fi;
	prep[i] = (listed(i) -> num[i] : prep[i]);
	said[i] = false
}

inline build_view(i)
{
	base[i] = s_state[i];
	n_state[i] = num[i];
	n_p[at(i, i)] = (self_next(i));
	n_p[at(i, o(i))] = (other_next(i));
	n_pri[i] = (n_p[at(i, i)] -> i : (n_p[at(i, o(i))] -> o(i) : NOBODY));
	n_inst[i] = (n_pri[i] == NOBODY -> 0 : n_p[at(i, n_pri[i] % 2)]);
	n_ep[i] = ep[i];
	ph[i] = WRITING;
	writing[i] = true
}

#define struck(i, n) (m_p[n] && n_p[at(i, n)] != m_p[n])

inline put(i)
{
	m_state = n_state[i];
	m_p[0] = n_p[at(i, 0)];
	m_p[1] = n_p[at(i, 1)];
	m_pri = n_pri[i];
	m_inst = n_inst[i];
	m_ep = n_ep[i]
}

/* What @i writes is on M now, though nobody knows yet. */
inline land(i)
{
	/* no write undoes another's: it was made from what stands there */
	assert(n_state[i] > m_state);
	assert(base[i] == m_state);
	/* invariant 6 */
	assert(!(struck(i, 0) && inst[0] == m_p[0] && io[0]));
	assert(!(struck(i, 1) && inst[1] == m_p[1] && io[1]));
	put(i);
	base[i] = 0;
	landed[i] = true;
	apart[i] = !hears_primary(o(i))
}

/*
 * It is sent to the device once more, at any moment before its end. Who starts, and finds
 * that nobody has the role, cannot know of one that it does not hear (apart).
 */
#define names_running(i) (n_pri[i] != NOBODY && n_inst[i] == inst[n_pri[i] % 2])
#define lands_again(i) (landed[i] && (!apart[i] || names_running(i)))
inline land_again(i)
{
	assert(m_state == n_state[i] && m_pri == n_pri[i] && m_inst == n_inst[i]);
	put(i)
}

/* fclock_primary_written() */
inline written(i)
{
	write_over(i);
	if
	:: prep[i] == ENDS || ph[i] == IDLE -> ph[i] = IDLE
	:: else ->
		ph[i] = (ph[i] == WRITING -> RESUMING : IDLE);
		adopt(i, n_state[i], n_p[at(i, 0)], n_p[at(i, 1)], n_pri[i], n_inst[i],
		      n_ep[i]);
		say(i, SUPER)
	fi;
	next_over(i)
}

/* all_resumed() */
#ifdef BUG_GO_AT_ONCE
#define is_successor(i) false
#else
#define is_successor(i) (s_pri[i] == o(i) && !s_gone(i, o(i)))
#endif
#ifdef BUG_JOINER_FOLLOWS
/* who joins by this very view was not asked to prepare it */
#define resumed(i) (!need[i] || k_state[i] >= s_state[i] || !(linked || is_successor(i)))
#else
#define resumed(i) (k_state[i] >= s_state[i] || !((need[i] && linked) || is_successor(i)))
#endif

/* ---------------------------------------------------------------- frames */

inline heard(i)
{
	if
	:: s_state[o(i)] > k_state[i] -> k_state[i] = s_state[o(i)]
	:: else
	fi
}

inline link_up(i)
{
	if
	:: k_inst[i] != inst[o(i)] ->
		k_inst[i] = inst[o(i)];
		k_state[i] = s_state[o(i)];
		k_bye[i] = false;
		wv[i] = false;
		wj[i] = false
	:: else -> heard(i)
	fi;
	k_pri[i] = is_primary(o(i));
	if
	:: phase[i] == LEFT -> say(i, BYE)
	:: else ->
		say(i, PING);
		if
		:: is_primary(i) || ph[i] == RESUMING -> say(i, SUPER)
		:: else
		fi;
		if
		:: is_primary(i) && ph[i] == PREPARING && need[i] && !done[i] &&
		   s_p[at(i, o(i))] == k_inst[i] -> say(i, PREPARE)
		:: else
		fi;
		wish(i);
		members_news(i)
	fi
}

#define sends(j, what) (linked && (out[j] & what))

inline receive(i, what)
{
	out[o(i)] = out[o(i)] & ~what;
	heard(i);
	if
	:: what == WISH && works(i) ->
		wv[i] = true;
		wj[i] = joined(o(i))
	:: what == SUPER && works(i) && s_state[o(i)] &&
	   (s_pri[o(i)] == o(i) || s_pri[i] == o(i)) ->
		adopt(i, s_state[o(i)], s_p[at(o(i), 0)], s_p[at(o(i), 1)], s_pri[o(i)],
		      s_inst[o(i)], s_ep[o(i)])
	:: what == PREPARE && works(i) && s_state[i] && s_pri[i] == o(i) &&
	   s_inst[i] == inst[o(i)] && ph[o(i)] == PREPARING && listed(i) &&
	   num[o(i)] > s_state[i] && num[o(i)] >= prep[i] ->
		said[i] = said[i] && prep[i] == num[o(i)];
		prep[i] = num[o(i)];
		if
		:: said[i] -> say(i, PREPARED)
		:: else
		fi
	:: what == PREPARED && works(i) && ph[i] == PREPARING && said[o(i)] &&
	   prep[o(i)] == num[i] && s_p[at(i, o(i))] == k_inst[i] ->
		done[i] = true
	:: what == BYE -> k_bye[i] = true; members_news(i)
	:: what == PING && works(i) && ph[o(i)] != TAKING ->
		members_adopt(i, ep[o(i)]);
		if
		:: linked && told[i] != ep[o(i)] ->
			told[i] = ep[o(i)];
			members_news(i)
		:: else
		fi
	:: else
	fi
}

/* ------------------------------------------------------------------ nodes */

#ifdef BUG_BYE_EARLY
#define drained(i) (!writing[i] && !reading[i])
#else
#define drained(i) (!io[i] && !writing[i] && !reading[i])
#endif

proctype node(byte i)
{
end:	do
	/* administrators, power */
	:: d_step { !calm && starts && phase[i] == OFF && in(newest, i) ->
		starts--;
		powered[i] = true;
		ep[i] = newest;
		new_instance(i) }
	:: d_step { !calm && leaves && phase[i] == RUNNING ->
		leaves--;
		phase[i] = LEAVING;
		wish(i) }
	:: d_step { !calm && late && phase[i] == LEAVING && !now[i] ->
		late--;
		now[i] = true;
		stop_all(i) }
	:: d_step { !calm && crashes && works(i) -> crashes--; off(i) }
	:: d_step { phase[i] == LEFT -> off(i) }

	/* the life of an instance */
	:: d_step { phase[i] == LEAVING && drained(i) &&
		(now[i] || (!listed(i) && ph[i] == IDLE)) ->
		/* BYE: all has ended, and who follows as primary knows */
		assert(!io[i] && !writing[i]);
		assert(now[i] || s_pri[i] != o(i) || inst[o(i)] != s_inst[i] ||
		       top[o(i)] >= s_state[i]);
		stop_all(i);
		phase[i] = LEFT;
		say(i, BYE) }
	:: d_step { phase[i] == ENDING && drained(i) -> reborn(i) }
	:: d_step { works(i) && ep[i] < newest ->
		y = ep[i] + 1;
		members_adopt(i, y) }

	/* I/O */
	:: d_step { !calm && phase[i] == RUNNING && !prep[i] && !io[i] ->
		io[i] = true;
		assert(m_p[i] == inst[i]) }
	:: d_step { io[i] -> io[i] = false }

	/* participant */
	:: d_step { works(i) && prep[i] && prep[i] != ENDS && !said[i] && !io[i] ->
		said[i] = true;
		if
		:: s_pri[i] == o(i) -> say(i, PREPARED)
		:: else
		fi }

	/* the role */
	:: d_step { reads_wanted(i) && !reading[i] && !writing[i] && ph[i] != TAKING &&
		(m_state != s_state[i] || s_primary_gone(i)) ->
		read_begin(i) }
	:: d_step { works(i) && reading[i] -> read_end(i) }

	/* the primary */
	:: d_step { works(i) && is_primary(i) && ph[i] == IDLE && prep[i] != ENDS &&
		!unconnected(i) && differs(i) ->
		primary_begin(i) }
	:: d_step { works(i) && ph[i] == PREPARING &&
		(!need[i] || done[i] || s_gone(i, o(i))) &&
		(said[i] || prep[i] != num[i]) ->
		build_view(i) }
	:: d_step { writing[i] && !landed[i] -> land(i) }
	:: d_step { lands_again(i) -> land_again(i) }
	:: d_step { works(i) && landed[i] -> written(i) }
	:: d_step { works(i) && ph[i] == RESUMING && resumed(i) ->
		ph[i] = IDLE;
		need[i] = false;
		done[i] = false }

	/* frames */
	:: d_step { sends(o(i), WISH) -> receive(i, WISH) }
	:: d_step { sends(o(i), SUPER) -> receive(i, SUPER) }
	:: d_step { sends(o(i), PREPARE) && !sends(o(i), SUPER) -> receive(i, PREPARE) }
	:: d_step { sends(o(i), PREPARED) -> receive(i, PREPARED) }
	:: d_step { sends(o(i), BYE) -> receive(i, BYE) }
	:: d_step { sends(o(i), PING) -> receive(i, PING) }
	od
}

proctype link()
{
end:	do
	:: d_step { !calm && cuts && linked -> cuts--; link_down() }
	:: d_step { !linked && powered[0] && powered[1] && (works(0) || works(1)) ->
		/* HELLO and WELCOME carry the lists */
		y = ep[1];
		members_adopt(0, y);
		y = ep[0];
		members_adopt(1, y);
		linked = true;
		link_up(0);
		link_up(1) }
	od
}

#if THIRD
#define announces(n) (works(n) && (is_primary(n) || ph[n] == RESUMING))

/*
 * A participant, which runs what was announced, or a node that starts, and reads M. It
 * hears the others, and they hear it.
 */
proctype third()
{
end:	do
	:: d_step { w_listed && announces(0) && s_state[0] > w_state -> w_state = s_state[0] }
	:: d_step { w_listed && announces(1) && s_state[1] > w_state -> w_state = s_state[1] }
	:: d_step { !w_listed && m_state > w_state -> w_state = m_state }
	:: d_step { works(0) && k_w[0] < w_state -> k_w[0] = w_state; members_news(0) }
	:: d_step { works(1) && k_w[1] < w_state -> k_w[1] = w_state; members_news(1) }
	od
}
#endif

#define alive ((powered[0] -> 1 : 0) + (powered[1] -> 2 : 0))

inline new_list()
{
	newest++;
	mem[newest] = alive
}

proctype manager()
{
end:	do
	:: d_step { !calm && lists && alive && alive != (newest -> mem[newest] : 3) ->
		lists--;
		new_list() }
	/* it lets nodes start again */
	:: d_step { !calm && newest && mem[newest] != 3 ->
		newest++;
		mem[newest] = 3 }
	od
}

#define at_rest(i) (phase[i] == OFF || \
	(phase[i] == RUNNING && s_state[i] == m_state && m_p[i] == inst[i] && !prep[i] && \
	 ph[i] == IDLE && powered[m_pri % 2] && m_inst == inst[m_pri % 2]))

/* It may take the role that M says it has: nobody has to be left out for that. */
#define certain(i) (s_primary_gone(i) || third_runs(i, m_state))
#define alone(i) (m_pri == (i) && powered[i] && m_inst == inst[i] && !m_p[o(i)] && certain(i))

init {
	d_step {
#if !FRESH
		x = 0;
		do
		:: x < 2 ->
			phase[x] = RUNNING;
			powered[x] = true;
			inst[x] = 1;
			last[x] = 1;
			m_p[x] = 1;
			s_state[x] = 1;
			s_p[at(x, 0)] = 1;
			s_p[at(x, 1)] = 1;
			s_pri[x] = 0;
			s_inst[x] = 1;
			k_inst[x] = 1;
			k_state[x] = 1;
			top[x] = 1;
			wv[x] = x == 0;
			wj[x] = x == 0;
			x++
		:: else -> break
		od;
		m_state = 1;
		m_inst = 1;
		linked = true
#else
		m_pri = NOBODY
#endif
	}
	atomic {
		run node(0);
		run node(1);
		run link();
#if THIRD
		if
		:: w_listed = true; w_state = 1
		:: skip
		fi;
		run third();
#endif
		run manager()
	}
	calm = true;
	timeout;
	assert((!alone(0) || at_rest(0)) && (!alone(1) || at_rest(1)) || !calm);
	if
	:: !powered[0] && !powered[1]
	:: powered[0] && powered[1] && in(newest, 0) && in(newest, 1) ->
		assert(at_rest(0) && at_rest(1) || !calm)
	:: else ->
		d_step { new_list() };
		timeout;
		assert(at_rest(0) && at_rest(1) || !calm)
	fi
}
