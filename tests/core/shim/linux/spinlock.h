/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One thread, so a lock only remembers that it is held: taking it twice,
 * giving it back twice or asserting it in vain aborts.
 */
#ifndef SHIM_LINUX_SPINLOCK_H
#define SHIM_LINUX_SPINLOCK_H

#include <linux/types.h>
#include <linux/lockdep.h>

typedef struct spinlock {
	int held;
} spinlock_t;

typedef spinlock_t raw_spinlock_t;

/* Spinlocks held now; nothing may sleep unless it is 0. */
extern int shim_spinlocks;

/* Who wants to know that what a lock protects may change now. */
extern void (*shim_lock_hook)(spinlock_t *lock);

void shim_spin_lock(spinlock_t *lock, const char *file, int line);
void shim_spin_unlock(spinlock_t *lock, const char *file, int line);

#define DEFINE_SPINLOCK(name)	spinlock_t name = { 0 }
#define __SPIN_LOCK_UNLOCKED(x)	{ 0 }
#define spin_lock_init(l)	((void)((l)->held = 0))
#define spin_lock(l)		shim_spin_lock(l, __FILE__, __LINE__)
#define spin_unlock(l)		shim_spin_unlock(l, __FILE__, __LINE__)
#define spin_lock_irq		spin_lock
#define spin_unlock_irq		spin_unlock
#define spin_lock_bh		spin_lock
#define spin_unlock_bh		spin_unlock
#define spin_lock_nested(l, n)	spin_lock(l)
#define spin_lock_irqsave(l, flags) \
	do { (flags) = 0; spin_lock(l); } while (0)
#define spin_unlock_irqrestore(l, flags) \
	do { (void)(flags); spin_unlock(l); } while (0)
#define spin_trylock(l)		((l)->held ? 0 : (spin_lock(l), 1))
#define spin_is_locked(l)	((l)->held != 0)
#define assert_spin_locked(l)	lockdep_assert_held(l)
#define local_irq_save(flags)	((flags) = 0)
#define local_irq_restore(flags) ((void)(flags))

#endif
