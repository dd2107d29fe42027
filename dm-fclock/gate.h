/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A gate: counts the I/O in flight that the core does not know of, because the
 * cache or the path let it pass, and can be closed for more.
 *
 * As percpu_ref, but closing it does not have to wait for a callback of RCU, which
 * comes tens of milliseconds later, while all writes of the cluster wait. The
 * one who closes gates
 *
 *   1. sets @closed,
 *   2. calls synchronize_rcu_expedited(), once for all of them: whoever saw
 *      the gate open has been counted in, and whoever left without a look at
 *      @closed has been counted out,
 *   3. compares the sums: @in does not change any more, @out only grows. If they
 *      differ, each one who leaves wakes him to compare again.
 */
#ifndef FCLOCK_GATE_H
#define FCLOCK_GATE_H

#include <linux/percpu.h>
#include <linux/rcupdate.h>

struct fclock_gate_count {
	unsigned long in, out;
};

struct fclock_gate {
	bool closed;			/* written by the gate work only */
	struct fclock_gate_count __percpu *count;
};

/* Count an I/O in. Any context. Return: false: the gate is closed. */
static inline bool fclock_gate_enter(struct fclock_gate *gate)
{
	bool closed;

	rcu_read_lock();
	/*
	 * Pairs with the release in fclock_gate_move(): who finds the gate open
	 * again does not see a path or a cache from before.
	 */
	closed = smp_load_acquire(&gate->closed);
	if (!closed)
		this_cpu_inc(gate->count->in);
	rcu_read_unlock();
	return !closed;
}

/* Its end. Any context. Return: somebody waits for it: queue the gate work. */
static inline bool fclock_gate_leave(struct fclock_gate *gate)
{
	bool closed;

	rcu_read_lock();
	this_cpu_inc(gate->count->out);
	closed = READ_ONCE(gate->closed);
	rcu_read_unlock();
	return closed;
}

/* Step 1, or open it again. */
static inline void fclock_gate_move(struct fclock_gate *gate, bool closed)
{
	/* pairs with the acquire in fclock_gate_enter() */
	smp_store_release(&gate->closed, closed);
}

/* Step 3: is any I/O that was counted in still under way? */
static inline bool fclock_gate_busy(struct fclock_gate *gate)
{
	unsigned long n = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		n += READ_ONCE(per_cpu_ptr(gate->count, cpu)->in) -
			READ_ONCE(per_cpu_ptr(gate->count, cpu)->out);
	return n != 0;
}

#endif
