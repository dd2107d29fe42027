/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: transitions, locks, splits, background copy, links, waiting bios, gates. The
 * core calls the first five kinds; where it is built for user space they are empty.
 */
#ifndef FCLOCK_TRACE_DEFS_H
#define FCLOCK_TRACE_DEFS_H

#include <linux/types.h>

enum fclock_trace_transition {
	FCLOCK_TT_PREPARE,
	FCLOCK_TT_PREPARED,
	FCLOCK_TT_WRITE,
	FCLOCK_TT_RESUME,
	FCLOCK_TT_ABORT,
	FCLOCK_TT_ADOPT,
	FCLOCK_TT_TAKE,
	FCLOCK_TT_PHASE,
	FCLOCK_TT_RESIZE,
};

enum fclock_trace_lock {
	FCLOCK_TL_REQUEST,
	FCLOCK_TL_GRANT,
	FCLOCK_TL_RECALL,
	FCLOCK_TL_RELEASED,
	FCLOCK_TL_WAIT,
};

enum fclock_trace_split {
	FCLOCK_TS_LOCK,
	FCLOCK_TS_COPY,
	FCLOCK_TS_COPIED,
	FCLOCK_TS_COMMIT,
	FCLOCK_TS_DONE,
	FCLOCK_TS_FAIL,
};

enum fclock_trace_link {
	FCLOCK_TK_UP,
	FCLOCK_TK_DOWN,
	FCLOCK_TK_REFUSED,
	FCLOCK_TK_BYE,
	FCLOCK_TK_KEYLESS,		/* one side has a key, the other none */
	FCLOCK_TK_FORGED,		/* a wrong proof or tag */
};

enum fclock_trace_background {
	FCLOCK_TW_BEGIN,
	FCLOCK_TW_YIELD,		/* a request waits */
	FCLOCK_TW_GO_ON,
	FCLOCK_TW_DONE,			/* all grains of this owner are split */
};

enum fclock_trace_bio {
	FCLOCK_TB_WAIT,			/* goes to the core */
	FCLOCK_TB_GO,			/* comes back whole */
	FCLOCK_TB_CUT,			/* comes back in part, the rest asks again */
	FCLOCK_TB_FAIL,
	FCLOCK_TB_REQUEUE,
};

enum fclock_trace_gate {
	FCLOCK_TG_CLOSE,
	FCLOCK_TG_DRAINED,
	FCLOCK_TG_OPEN,
};

#ifndef __KERNEL__

static inline void trace_fclock_transition(u8 node,
					   enum fclock_trace_transition what,
					   u64 number, u16 slots)
{
	(void)node, (void)what, (void)number, (void)slots;
}

static inline void trace_fclock_lock(u8 node, u8 peer,
				     enum fclock_trace_lock what, u64 id,
				     u8 target, u64 first, u64 last)
{
	(void)node, (void)peer, (void)what, (void)id;
	(void)target, (void)first, (void)last;
}

static inline void trace_fclock_split(u8 node, enum fclock_trace_split what,
				      u64 first, u64 last, u16 slots)
{
	(void)node, (void)what, (void)first, (void)last, (void)slots;
}

static inline void trace_fclock_background(u8 node,
					   enum fclock_trace_background what,
					   u8 slot, u32 rate, u64 grain)
{
	(void)node, (void)what, (void)slot, (void)rate, (void)grain;
}

static inline void trace_fclock_link(u8 node, u8 peer,
				     enum fclock_trace_link what, u64 instance)
{
	(void)node, (void)peer, (void)what, (void)instance;
}

#endif /* !__KERNEL__ */
#endif /* FCLOCK_TRACE_DEFS_H */

#ifdef __KERNEL__

#undef TRACE_SYSTEM
#define TRACE_SYSTEM fclock

#if !defined(FCLOCK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define FCLOCK_TRACE_H

#include <linux/tracepoint.h>

TRACE_DEFINE_ENUM(FCLOCK_TT_PREPARE);
TRACE_DEFINE_ENUM(FCLOCK_TT_PREPARED);
TRACE_DEFINE_ENUM(FCLOCK_TT_WRITE);
TRACE_DEFINE_ENUM(FCLOCK_TT_RESUME);
TRACE_DEFINE_ENUM(FCLOCK_TT_ABORT);
TRACE_DEFINE_ENUM(FCLOCK_TT_ADOPT);
TRACE_DEFINE_ENUM(FCLOCK_TT_TAKE);
TRACE_DEFINE_ENUM(FCLOCK_TT_PHASE);
TRACE_DEFINE_ENUM(FCLOCK_TT_RESIZE);
TRACE_DEFINE_ENUM(FCLOCK_TL_REQUEST);
TRACE_DEFINE_ENUM(FCLOCK_TL_GRANT);
TRACE_DEFINE_ENUM(FCLOCK_TL_RECALL);
TRACE_DEFINE_ENUM(FCLOCK_TL_RELEASED);
TRACE_DEFINE_ENUM(FCLOCK_TL_WAIT);
TRACE_DEFINE_ENUM(FCLOCK_TS_LOCK);
TRACE_DEFINE_ENUM(FCLOCK_TS_COPY);
TRACE_DEFINE_ENUM(FCLOCK_TS_COPIED);
TRACE_DEFINE_ENUM(FCLOCK_TS_COMMIT);
TRACE_DEFINE_ENUM(FCLOCK_TS_DONE);
TRACE_DEFINE_ENUM(FCLOCK_TS_FAIL);
TRACE_DEFINE_ENUM(FCLOCK_TK_UP);
TRACE_DEFINE_ENUM(FCLOCK_TK_DOWN);
TRACE_DEFINE_ENUM(FCLOCK_TK_REFUSED);
TRACE_DEFINE_ENUM(FCLOCK_TK_BYE);
TRACE_DEFINE_ENUM(FCLOCK_TK_KEYLESS);
TRACE_DEFINE_ENUM(FCLOCK_TK_FORGED);
TRACE_DEFINE_ENUM(FCLOCK_TW_BEGIN);
TRACE_DEFINE_ENUM(FCLOCK_TW_YIELD);
TRACE_DEFINE_ENUM(FCLOCK_TW_GO_ON);
TRACE_DEFINE_ENUM(FCLOCK_TW_DONE);
TRACE_DEFINE_ENUM(FCLOCK_TB_WAIT);
TRACE_DEFINE_ENUM(FCLOCK_TB_GO);
TRACE_DEFINE_ENUM(FCLOCK_TB_CUT);
TRACE_DEFINE_ENUM(FCLOCK_TB_FAIL);
TRACE_DEFINE_ENUM(FCLOCK_TB_REQUEUE);
TRACE_DEFINE_ENUM(FCLOCK_TG_CLOSE);
TRACE_DEFINE_ENUM(FCLOCK_TG_DRAINED);
TRACE_DEFINE_ENUM(FCLOCK_TG_OPEN);

TRACE_EVENT(fclock_transition,
	TP_PROTO(u8 node, enum fclock_trace_transition what, u64 number,
		 u16 slots),
	TP_ARGS(node, what, number, slots),
	TP_STRUCT__entry(
		__field(u64, number)
		__field(u32, what)
		__field(u16, slots)
		__field(u8, node)
	),
	TP_fast_assign(
		__entry->number = number;
		__entry->what = what;
		__entry->slots = slots;
		__entry->node = node;
	),
	TP_printk("node=%u %s number=%llu slots=0x%x", __entry->node,
		  __print_symbolic(__entry->what,
				   { FCLOCK_TT_PREPARE, "prepare" },
				   { FCLOCK_TT_PREPARED, "prepared" },
				   { FCLOCK_TT_WRITE, "write" },
				   { FCLOCK_TT_RESUME, "resume" },
				   { FCLOCK_TT_ABORT, "abort" },
				   { FCLOCK_TT_ADOPT, "adopt" },
				   { FCLOCK_TT_TAKE, "take" },
				   { FCLOCK_TT_PHASE, "phase" },
				   { FCLOCK_TT_RESIZE, "resize" }),
		  __entry->number, __entry->slots)
);

TRACE_EVENT(fclock_lock,
	TP_PROTO(u8 node, u8 peer, enum fclock_trace_lock what, u64 id,
		 u8 target, u64 first, u64 last),
	TP_ARGS(node, peer, what, id, target, first, last),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, first)
		__field(u64, last)
		__field(u32, what)
		__field(u8, node)
		__field(u8, peer)
		__field(u8, target)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->first = first;
		__entry->last = last;
		__entry->what = what;
		__entry->node = node;
		__entry->peer = peer;
		__entry->target = target;
	),
	TP_printk("node=%u peer=%u %s id=0x%llx target=%u grains=%llu-%llu",
		  __entry->node, __entry->peer,
		  __print_symbolic(__entry->what,
				   { FCLOCK_TL_REQUEST, "request" },
				   { FCLOCK_TL_GRANT, "grant" },
				   { FCLOCK_TL_RECALL, "recall" },
				   { FCLOCK_TL_RELEASED, "released" },
				   { FCLOCK_TL_WAIT, "wait" }),
		  __entry->id, __entry->target, __entry->first, __entry->last)
);

TRACE_EVENT(fclock_split,
	TP_PROTO(u8 node, enum fclock_trace_split what, u64 first, u64 last,
		 u16 slots),
	TP_ARGS(node, what, first, last, slots),
	TP_STRUCT__entry(
		__field(u64, first)
		__field(u64, last)
		__field(u32, what)
		__field(u16, slots)
		__field(u8, node)
	),
	TP_fast_assign(
		__entry->first = first;
		__entry->last = last;
		__entry->what = what;
		__entry->slots = slots;
		__entry->node = node;
	),
	TP_printk("node=%u %s grains=%llu-%llu slots=0x%x", __entry->node,
		  __print_symbolic(__entry->what,
				   { FCLOCK_TS_LOCK, "lock" },
				   { FCLOCK_TS_COPY, "copy" },
				   { FCLOCK_TS_COPIED, "copied" },
				   { FCLOCK_TS_COMMIT, "commit" },
				   { FCLOCK_TS_DONE, "done" },
				   { FCLOCK_TS_FAIL, "fail" }),
		  __entry->first, __entry->last, __entry->slots)
);

/* Background copy of one owner. */
TRACE_EVENT(fclock_background,
	TP_PROTO(u8 node, enum fclock_trace_background what, u8 slot, u32 rate,
		 u64 grain),
	TP_ARGS(node, what, slot, rate, grain),
	TP_STRUCT__entry(
		__field(u64, grain)
		__field(u32, what)
		__field(u32, rate)
		__field(u8, node)
		__field(u8, slot)
	),
	TP_fast_assign(
		__entry->grain = grain;
		__entry->what = what;
		__entry->rate = rate;
		__entry->node = node;
		__entry->slot = slot;
	),
	TP_printk("node=%u %s slot=%u rate=%u grain=%llu", __entry->node,
		  __print_symbolic(__entry->what,
				   { FCLOCK_TW_BEGIN, "begin" },
				   { FCLOCK_TW_YIELD, "yield" },
				   { FCLOCK_TW_GO_ON, "go_on" },
				   { FCLOCK_TW_DONE, "done" }),
		  __entry->slot, __entry->rate, __entry->grain)
);

TRACE_EVENT(fclock_link,
	TP_PROTO(u8 node, u8 peer, enum fclock_trace_link what, u64 instance),
	TP_ARGS(node, peer, what, instance),
	TP_STRUCT__entry(
		__field(u64, instance)
		__field(u32, what)
		__field(u8, node)
		__field(u8, peer)
	),
	TP_fast_assign(
		__entry->instance = instance;
		__entry->what = what;
		__entry->node = node;
		__entry->peer = peer;
	),
	TP_printk("node=%u peer=%u %s instance=%016llx", __entry->node,
		  __entry->peer,
		  __print_symbolic(__entry->what,
				   { FCLOCK_TK_UP, "up" },
				   { FCLOCK_TK_DOWN, "down" },
				   { FCLOCK_TK_REFUSED, "refused" },
				   { FCLOCK_TK_BYE, "bye" },
				   { FCLOCK_TK_KEYLESS, "keyless" },
				   { FCLOCK_TK_FORGED, "forged" }),
		  __entry->instance)
);

/* A bio that misses: what the core was asked, and what came back. */
TRACE_EVENT(fclock_bio,
	TP_PROTO(u8 node, enum fclock_trace_bio what, u8 target, u64 first,
		 u64 last),
	TP_ARGS(node, what, target, first, last),
	TP_STRUCT__entry(
		__field(u64, first)
		__field(u64, last)
		__field(u32, what)
		__field(u8, node)
		__field(u8, target)
	),
	TP_fast_assign(
		__entry->first = first;
		__entry->last = last;
		__entry->what = what;
		__entry->node = node;
		__entry->target = target;
	),
	TP_printk("node=%u %s target=%u grains=%llu-%llu", __entry->node,
		  __print_symbolic(__entry->what,
				   { FCLOCK_TB_WAIT, "wait" },
				   { FCLOCK_TB_GO, "go" },
				   { FCLOCK_TB_CUT, "cut" },
				   { FCLOCK_TB_FAIL, "fail" },
				   { FCLOCK_TB_REQUEUE, "requeue" }),
		  __entry->target, __entry->first, __entry->last)
);

TRACE_EVENT(fclock_gate,
	TP_PROTO(u8 node, enum fclock_trace_gate what, u32 gates, u64 seq),
	TP_ARGS(node, what, gates, seq),
	TP_STRUCT__entry(
		__field(u64, seq)
		__field(u32, what)
		__field(u32, gates)
		__field(u8, node)
	),
	TP_fast_assign(
		__entry->seq = seq;
		__entry->what = what;
		__entry->gates = gates;
		__entry->node = node;
	),
	TP_printk("node=%u %s gates=0x%x seq=%llu", __entry->node,
		  __print_symbolic(__entry->what,
				   { FCLOCK_TG_CLOSE, "close" },
				   { FCLOCK_TG_DRAINED, "drained" },
				   { FCLOCK_TG_OPEN, "open" }),
		  __entry->gates, __entry->seq)
);

#endif /* !FCLOCK_TRACE_H || TRACE_HEADER_MULTI_READ */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

#endif /* __KERNEL__ */
