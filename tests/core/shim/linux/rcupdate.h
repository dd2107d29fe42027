/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One thread: a grace period ends when the test says so, with shim_rcu_run().
 * Until then what was given to call_rcu() and kfree_rcu() stays valid, and
 * afterwards AddressSanitizer sees who still uses it.
 */
#ifndef SHIM_LINUX_RCUPDATE_H
#define SHIM_LINUX_RCUPDATE_H

#include <linux/kernel.h>
#include <linux/slab.h>

/* Readers inside; a grace period cannot end unless it is 0. */
extern int shim_rcu_readers;

/* End a grace period. Returns how many callbacks ran. */
int shim_rcu_run(void);
/* The name that the project's tests know it by. */
#define fclock_shim_rcu_run shim_rcu_run

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
void shim_kfree_rcu(struct rcu_head *head, size_t offset);
void synchronize_rcu(void);
#define rcu_barrier()		synchronize_rcu()
#define synchronize_rcu_expedited() synchronize_rcu()

#define kfree_rcu(p, field) \
	shim_kfree_rcu(&(p)->field, offsetof(typeof(*(p)), field))
#define kvfree_rcu		kfree_rcu

void shim_rcu_read_unlock(void);
#define rcu_read_lock()		((void)shim_rcu_readers++)
#define rcu_read_unlock()	shim_rcu_read_unlock()
#define rcu_read_lock_held()	(shim_rcu_readers != 0)
#define RCU_LOCKDEP_WARN(c, s)	WARN_ON(c)

#define rcu_dereference(p)		({ BUG_ON(!rcu_read_lock_held()); \
					   READ_ONCE(p); })
#define rcu_dereference_check(p, c)	({ BUG_ON(!rcu_read_lock_held() && \
						  !(c)); READ_ONCE(p); })
#define rcu_dereference_raw(p)		READ_ONCE(p)
#define rcu_dereference_protected(p, c)	({ BUG_ON(!(c)); (p); })
#define rcu_access_pointer(p)		READ_ONCE(p)
#define rcu_assign_pointer(p, v)	WRITE_ONCE(p, v)
#define RCU_INIT_POINTER(p, v)		WRITE_ONCE(p, v)
#define rcu_replace_pointer(p, v, c)	({ typeof(p) shim_old =		\
					   rcu_dereference_protected(p, c); \
					   rcu_assign_pointer(p, v);	\
					   shim_old; })

#endif
