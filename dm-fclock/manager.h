/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Members lists from an engine in the kernel, instead of `members` messages. An
 * engine is a module of its own: it registers here, and a volume whose table has
 * `cluster <name>` asks it for lists.
 *
 * What an engine promises: a list holds every node whose volume may be running, and
 * a node that was in a list and is not in a later one has left or is fenced.
 * So a volume starts only after its node is in a list, and is gone
 * before its node leaves.
 */
#ifndef FCLOCK_MANAGER_H
#define FCLOCK_MANAGER_H

#include <linux/types.h>

#define FCLOCK_CLUSTER_LEN	65	/* NUL included; as DLM's names */

struct module;
struct fclock_volume;

/**
 * struct fclock_manager_ops - an engine
 * @owner: held while a volume uses it
 * @join: take part in the membership of one volume. Called from a work that may
 *	sleep for as long as it takes (quorum, fencing of others). Before it returns 0 it
 *	has called fclock_manager_members() with a list that holds @node, and
 *	from then on it does so with each newer list. *@engine is its own.
 *	Return: 0; -EINVAL and -EBADR: it will never work and the engine
 *	has said why; other errors: it is tried again
 * @leave: after @join returned 0. The volume does no I/O any more. When it has
 *	returned, no call is under way or follows. May sleep as long as @join
 */
struct fclock_manager_ops {
	struct module *owner;
	int (*join)(struct fclock_volume *v, const char *cluster,
		    const u8 *uuid, unsigned int node, void **engine);
	void (*leave)(void *engine);
};

/**
 * fclock_manager_register - there is an engine
 *
 * Context: may sleep.
 * Return: 0, or -EBUSY: there is one already.
 */
int fclock_manager_register(const struct fclock_manager_ops *ops);
/* In the exit function of the module that is @ops->owner. */
void fclock_manager_unregister(const struct fclock_manager_ops *ops);

/**
 * fclock_manager_members - a newer list
 * @epoch: above all that fclock_manager_last_epoch() has returned on any node
 *	for this volume before; the same on all nodes for the same list
 * @members: bit (id - 1)
 *
 * Context: any; waits for nothing. Only between the calls of join and leave.
 */
void fclock_manager_members(struct fclock_volume *v, u64 epoch, u64 members);
/**
 * fclock_manager_last_epoch - the newest epoch on M, just read from it
 *
 * Context: only inside join; may sleep.
 * Return: 0 or an error of the read.
 */
int fclock_manager_last_epoch(struct fclock_volume *v, u64 *epoch);

/* ------ for the volume */

struct fclock_target;

/*
 * In the constructor of the first table: with `cluster`, gets the engine and loads
 * its module. Return: 0, or an error after its sentence was logged and ti->error set.
 */
int fclock_manager_init(struct fclock_volume *v, struct fclock_target *t);
/* Undoes it, also when it stopped half way. */
void fclock_manager_exit(struct fclock_volume *v);
/* Joins, then starts the volume; returns at once. */
void fclock_manager_start(struct fclock_volume *v);
/* The volume will not start any more if it has not yet. May take as long as join. */
void fclock_manager_stop(struct fclock_volume *v);
/* After the volume has left its cluster. */
void fclock_manager_leave(struct fclock_volume *v);

#endif
