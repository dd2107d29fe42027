// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults and delays on request: /sys/kernel/debug/dm-fclock/<name>/ of each, with
 * the kernel's own files (probability, interval, times, space, verbose; see its
 * Documentation/fault-injection/). They hit all volumes of this kernel. A delay
 * takes delay_ms, which is looked at all the time: a large one stops whoever comes
 * there, and 0 lets go.
 *
 * A failure stands where the real one would be noticed, so that all that follows
 * is the module's own handling of it.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fault-inject.h>

#include "compat.h"
#include "fault.h"

#define DEFAULT_DELAY_MS 100
#define DELAY_STEP_MS 10

struct point {
	const char *name;
	struct fault_attr attr;
};

#define POINT(text) { .name = text, .attr = FAULT_ATTR_INITIALIZER }

static struct point points[FCLOCK_FAULTS] = {
	[FCLOCK_FAULT_RECEIVE] = POINT("receive"),
	[FCLOCK_FAULT_SEND] = POINT("send"),
	[FCLOCK_FAULT_DUPLICATE] = POINT("duplicate"),
	[FCLOCK_FAULT_SUPER] = POINT("super"),
	[FCLOCK_FAULT_SUPER_LATE] = POINT("super-late"),
	[FCLOCK_FAULT_COMMIT] = POINT("commit"),
	[FCLOCK_FAULT_COMMIT_LATE] = POINT("commit-late"),
	[FCLOCK_FAULT_LOAD] = POINT("load"),
	[FCLOCK_FAULT_COPY_READ] = POINT("copy-read"),
	[FCLOCK_FAULT_COPY_WRITE] = POINT("copy-write"),
	[FCLOCK_FAULT_FLUSH] = POINT("flush"),
	[FCLOCK_DELAY_RECEIVE] = POINT("delay-receive"),
	[FCLOCK_DELAY_SEND] = POINT("delay-send"),
	[FCLOCK_DELAY_GATE] = POINT("delay-gate"),
	[FCLOCK_DELAY_SUPER] = POINT("delay-super"),
	[FCLOCK_DELAY_COMMIT] = POINT("delay-commit"),
	[FCLOCK_DELAY_COPY] = POINT("delay-copy"),
};

static u32 delay_ms = DEFAULT_DELAY_MS;
static struct dentry *dir;

bool fclock_fault(enum fclock_fault what)
{
	return should_fail(&points[what].attr, 1);
}

void fclock_delay(enum fclock_fault what)
{
	u32 ms;

	if (!fclock_fault(what))
		return;
	for (ms = 0; ms < READ_ONCE(delay_ms); ms += DELAY_STEP_MS)
		msleep(DELAY_STEP_MS);
}

void fclock_fault_init(void)
{
	unsigned int i;

	dir = debugfs_create_dir("dm-fclock", NULL);
	debugfs_create_u32("delay_ms", 0600, dir, &delay_ms);
	for (i = 0; i < FCLOCK_FAULTS; i++) {
		/* They are the plan and no news. */
		points[i].attr.verbose = 0;
		fault_create_debugfs_attr(points[i].name, dir, &points[i].attr);
	}
}

void fclock_fault_exit(void)
{
	debugfs_remove_recursive(dir);
}
