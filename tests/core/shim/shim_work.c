// SPDX-License-Identifier: GPL-2.0-only
/* Workqueues of one thread, and its clock. */
#include <linux/slab.h>
#include <linux/workqueue.h>

unsigned long jiffies = 100000;
static LIST_HEAD(queued);
static LIST_HEAD(timers);

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags,
					 int max, ...)
{
	(void)name, (void)flags, (void)max;
	return kzalloc(sizeof(struct workqueue_struct), GFP_KERNEL);
}

bool shim_work_run(unsigned int nth)
{
	struct work_struct *work;

	list_for_each_entry(work, &queued, entry) {
		if (nth--)
			continue;
		list_del_init(&work->entry);
		work->func(work);
		return true;
	}
	return false;
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	while (shim_work_run(0))
		;
	kfree(wq);
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	(void)wq;
	if (!list_empty(&work->entry))
		return false;
	list_add_tail(&work->entry, &queued);
	return true;
}

bool mod_delayed_work(struct workqueue_struct *wq, struct delayed_work *work,
		      unsigned long delay)
{
	bool pending = !list_empty(&work->timer);

	(void)wq;
	list_del_init(&work->timer);
	work->at = jiffies + delay;
	list_add_tail(&work->timer, &timers);
	return pending;
}

bool cancel_work_sync(struct work_struct *work)
{
	bool pending = !list_empty(&work->entry);

	list_del_init(&work->entry);
	return pending;
}

bool cancel_delayed_work_sync(struct delayed_work *work)
{
	bool pending = !list_empty(&work->timer);

	list_del_init(&work->timer);
	return cancel_work_sync(&work->work) || pending;
}

void shim_work_time(unsigned long end)
{
	struct delayed_work *work, *next = NULL;

	list_for_each_entry(work, &timers, timer)
		if (!next || time_before(work->at, next->at))
			next = work;
	if (!next || time_after(next->at, end)) {
		jiffies = end;
		return;
	}
	if (time_after(next->at, jiffies))
		jiffies = next->at;
	list_del_init(&next->timer);
	if (list_empty(&next->work.entry))
		list_add_tail(&next->work.entry, &queued);
}

unsigned int shim_works(void)
{
	struct list_head *at;
	unsigned int n = 0;

	list_for_each(at, &queued)
		n++;
	list_for_each(at, &timers)
		n++;
	return n;
}
