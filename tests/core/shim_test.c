// SPDX-License-Identifier: GPL-2.0-only
/* The shims themselves: a test that leans on them must be able to trust them. */
#include <linux/bitmap.h>
#include <linux/crc32c.h>
#include <linux/interval_tree_generic.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/unaligned.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tap.h"

struct span {
	struct rb_node rb;
	struct rcu_head rcu;
	u64 first, last, subtree_last;
};

#define START(s) ((s)->first)
#define LAST(s) ((s)->last)
INTERVAL_TREE_DEFINE(struct span, rb, u64, subtree_last, START, LAST,
		     static, span)

static void test_tree(void)
{
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct span a = { .first = 10, .last = 19 };
	struct span b = { .first = 30, .last = 39 };
	int n = 0;
	struct span *s;

	span_insert(&a, &root);
	span_insert(&b, &root);
	tap_ok(!span_iter_first(&root, 20, 29), "interval tree: a gap");
	for (s = span_iter_first(&root, 15, 35); s;
	     s = span_iter_next(s, 15, 35))
		n++;
	tap_ok(n == 2, "interval tree: both neighbours of a gap");
	span_remove(&a, &root);
	tap_ok(!span_iter_first(&root, 0, 29), "interval tree: removal");
}

static void test_bits(void)
{
	DECLARE_BITMAP(map, 200);
	u8 raw[9] = { 0 };

	bitmap_zero(map, 200);
	bitmap_set(map, 70, 60);
	tap_ok(find_first_bit(map, 200) == 70 &&
	       find_next_zero_bit(map, 200, 70) == 130 &&
	       bitmap_weight(map, 200) == 60, "bitmaps");
	put_unaligned_le64(0x0102030405060708ULL, raw + 1);
	tap_ok(raw[1] == 8 && raw[8] == 1 &&
	       get_unaligned_le32(raw + 1) == 0x05060708, "byte order");
	tap_ok(ilog2(4096) == 12 && roundup_pow_of_two(5) == 8 &&
	       div_u64(1000, 7) == 142, "logarithms and division");
	tap_ok(~crc32c(~0u, "123456789", 9) == 0xe3069283, "CRC-32C");
}

static bool always(size_t size, gfp_t gfp)
{
	return size && !(gfp & __GFP_HIGH);
}

static void test_memory(void)
{
	long before = shim_allocs;
	struct span *s = kzalloc(sizeof(*s), GFP_KERNEL);

	rcu_read_lock();
	kfree_rcu(s, rcu);
	tap_ok(s->last == 0 && shim_allocs == before + 1,
	       "what a reader holds outlives kfree_rcu");
	rcu_read_unlock();
	tap_ok(shim_rcu_run() == 1 && shim_allocs == before,
	       "and ends with the grace period");
	shim_alloc_fails = always;
	tap_ok(!kmalloc(8, GFP_NOIO), "an allocation can be made to fail");
	shim_alloc_fails = NULL;
}

static DEFINE_SPINLOCK(lock);

static void lock_twice(void)
{
	spin_lock(&lock);
	spin_lock(&lock);
}

static void assert_in_vain(void)
{
	lockdep_assert_held(&lock);
}

static void sleep_under_lock(void)
{
	spin_lock(&lock);
	kfree(kmalloc(8, GFP_KERNEL));
}

static void grace_period_in_reader(void)
{
	rcu_read_lock();
	synchronize_rcu();
}

static void warn(void)
{
	WARN_ON(1);
}

/* dies - does @f abort, in a process of its own? */
static bool dies(void (*f)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		signal(SIGABRT, SIG_DFL);
		f();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

int main(void)
{
	test_tree();
	test_bits();
	test_memory();
	tap_ok(dies(lock_twice), "a lock taken twice aborts");
	tap_ok(dies(assert_in_vain), "lockdep_assert_held in vain aborts");
	tap_ok(dies(sleep_under_lock), "GFP_KERNEL under a spinlock aborts");
	tap_ok(dies(grace_period_in_reader), "a wait inside a reader aborts");
	tap_ok(dies(warn), "WARN_ON aborts");
	return tap_done();
}
