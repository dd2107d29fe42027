/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Works of one thread: queued ones stand in one list, in their order, and run when the
 * program says; delayed ones when it moves the clock. Linked where shim_work.c is.
 */
#ifndef SHIM_LINUX_WORKQUEUE_H
#define SHIM_LINUX_WORKQUEUE_H

/* as the kernel's does */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/jiffies.h>
#include <linux/types.h>

struct work_struct;
typedef void (*work_func_t)(struct work_struct *work);

struct work_struct {
	struct list_head entry;
	work_func_t func;
};

struct delayed_work {
	struct work_struct work;
	struct list_head timer;
	unsigned long at;
};

struct workqueue_struct {
	int unused;
};

#define WQ_UNBOUND	1
#define WQ_MEM_RECLAIM	2

#define INIT_WORK(w, f)		do {		\
	INIT_LIST_HEAD(&(w)->entry);		\
	(w)->func = (f);			\
} while (0)
#define INIT_DELAYED_WORK(w, f)	do {		\
	INIT_WORK(&(w)->work, f);		\
	INIT_LIST_HEAD(&(w)->timer);		\
} while (0)

static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags,
					 int max, ...);
void destroy_workqueue(struct workqueue_struct *wq);
bool queue_work(struct workqueue_struct *wq, struct work_struct *work);
bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
		      unsigned long delay);
bool cancel_work_sync(struct work_struct *work);
bool cancel_delayed_work_sync(struct delayed_work *work);

/* The @nth work that is queued runs. Return: false: none is. */
bool shim_work_run(unsigned int nth);
/* The clock goes on to the next delayed work, at most to @end. */
void shim_work_time(unsigned long end);
/* Works queued and delayed. */
unsigned int shim_works(void);

#endif
