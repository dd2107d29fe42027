// SPDX-License-Identifier: GPL-2.0-only
/*
 * A node as a client: its open requests, its shared locks, the bios that wait.
 *
 * An object begins as a request and, when the grant brings a shared lock,
 * becomes that lock under the same id. Its place in the peer's array is the place
 * of the owner's record, so a request asked again after a reconnect finds its
 * record, and a place used again tells the owner that the old lock is gone: a
 * client uses a place again only when it does not hold what was there.
 */
#include <linux/slab.h>
#include "core-private.h"

int fclock_client_init_peer(struct fclock_peer *peer)
{
	unsigned int i;

	peer->objects = kvcalloc(FCLOCK_OBJECTS, sizeof(*peer->objects),
				 GFP_KERNEL);
	if (!peer->objects)
		return -ENOMEM;
	for (i = 0; i < FCLOCK_OBJECTS; i++) {
		struct fclock_object *obj = &peer->objects[i];

		obj->owner = peer->node;
		INIT_LIST_HEAD(&obj->waiters);
		INIT_LIST_HEAD(&obj->out.list);
		INIT_LIST_HEAD(&obj->not_held.list);
		obj->not_held.type = FCLOCK_OUT_NOT_HELD;
		list_add_tail(&obj->list, &peer->free);
	}
	return 0;
}

/* ------------------------------------------------------- trees by first grain */

static void object_link(struct rb_root *root, struct fclock_object *obj)
{
	struct rb_node **link = &root->rb_node, *parent = NULL;

	while (*link) {
		struct fclock_object *o;

		parent = *link;
		o = rb_entry(parent, struct fclock_object, node);
		link = obj->first < o->first ? &parent->rb_left :
					       &parent->rb_right;
	}
	rb_link_node(&obj->node, parent, link);
	rb_insert_color(&obj->node, root);
	obj->linked = true;
}

static void object_unlink(struct rb_root *root, struct fclock_object *obj)
{
	if (!obj->linked)
		return;
	rb_erase(&obj->node, root);
	obj->linked = false;
}

/* The object with the greatest first grain that is not above @grain. */
static struct fclock_object *object_before(struct rb_root *root, u64 grain)
{
	struct rb_node *n = root->rb_node;
	struct fclock_object *found = NULL;

	while (n) {
		struct fclock_object *o = rb_entry(n, struct fclock_object, node);

		if (o->first <= grain) {
			found = o;
			n = n->rb_right;
		} else {
			n = n->rb_left;
		}
	}
	return found;
}

static struct fclock_object *object_at(struct rb_root *root, u64 grain)
{
	struct fclock_object *obj = object_before(root, grain);

	return obj && obj->last >= grain ? obj : NULL;
}

/* @last, or the grain before the next object above @grain. */
static u64 object_limit(struct rb_root *root, u64 grain, u64 last)
{
	struct fclock_object *obj = object_before(root, grain);
	struct rb_node *n = obj ? rb_next(&obj->node) : rb_first(root);

	if (n) {
		obj = rb_entry(n, struct fclock_object, node);
		if (obj->first <= last)
			return obj->first - 1;
	}
	return last;
}

static struct rb_root *open_tree(struct fclock_core *core,
				 const struct fclock_object *obj)
{
	return &core->open[fclock_map_index(obj->target)][obj->kind - 1];
}

/* ----------------------------------------------------------------- verdicts */

static void client_wake(struct fclock_core *core, struct fclock_waiter *w,
			enum fclock_verdict verdict, u64 last,
			struct fclock_object *lock)
{
	w->verdict = verdict;
	w->count = min(last, w->last) - w->first + 1;
	w->lock = lock;
	core->nr_waiting--;
	if (verdict == FCLOCK_GO || verdict == FCLOCK_GO_SHARED)
		core->nr_granted++;
	if (lock && !lock->users++)
		list_del_init(&lock->list);	/* from the LRU */
	core->ops->wake(core, w);
}

static void client_park(struct fclock_core *core, struct fclock_waiter *w)
{
	list_add_tail(&w->list, &core->parked);
}

/* ------------------------------------------------------------------ objects */

static void object_free(struct fclock_core *core, struct fclock_object *obj)
{
	struct fclock_peer *peer = &core->peer[obj->owner];

	fclock_unqueue_out(&obj->out);
	obj->state = FCLOCK_OBJ_FREE;
	obj->recalled = false;
	list_move_tail(&obj->list, &peer->free);
}

/* Waiters that found no free object get another try. */
static void client_feed(struct fclock_core *core, struct fclock_peer *peer);

static void object_release(struct fclock_core *core, struct fclock_object *obj)
{
	struct fclock_peer *peer = &core->peer[obj->owner];

	object_unlink(&core->held[obj->target], obj);
	list_del_init(&obj->list);
	peer->nr_held--;
	obj->state = FCLOCK_OBJ_RELEASING;
	obj->out.type = FCLOCK_OUT_RELEASED;
	if (peer->link == FCLOCK_LINK_UP) {
		fclock_queue_out(core, peer, &obj->out);
		return;
	}
	/* A RELEASED that cannot be sent is given when the owner recalls. */
	object_free(core, obj);
}

/* An unused lock: give it back now, after its minimum hold time, or keep it a while. */
static void object_unused(struct fclock_core *core, struct fclock_object *obj)
{
	u64 now = core->ops->now(core);

	obj->used_at = now;
	if (!core->cache.limit) {
		object_release(core, obj);
	} else if (obj->recalled && now >= obj->granted_at + FCLOCK_HOLD_MS) {
		object_release(core, obj);
	} else if (obj->recalled) {
		list_move_tail(&obj->list, &core->recalled);
		fclock_arm(core, obj->granted_at + FCLOCK_HOLD_MS);
	} else {
		list_move_tail(&obj->list, &core->peer[obj->owner].lru);
		fclock_arm(core, now + FCLOCK_IDLE_MS);
	}
}

static struct fclock_object *object_get(struct fclock_core *core,
					struct fclock_peer *peer)
{
	struct fclock_object *obj;

	if (peer->nr_open >= peer->credits)
		return NULL;
	if (peer->nr_held >= FCLOCK_LOCKS && !list_empty(&peer->lru)) {
		obj = list_first_entry(&peer->lru, struct fclock_object, list);
		object_release(core, obj);
	}
	if (peer->nr_held >= FCLOCK_LOCKS || list_empty(&peer->free))
		return NULL;
	obj = list_first_entry(&peer->free, struct fclock_object, list);
	list_del_init(&obj->list);
	return obj;
}

/*
 * Ask for grains [first, last], which lie in one slice, for @w. With a cache the
 * requests of one target and kind are disjoint, and whoever misses a grain that is
 * asked for already waits for that answer.
 */
static void client_ask(struct fclock_core *core, struct fclock_waiter *w,
		       u8 kind, u64 first, u64 last)
{
	unsigned int map = fclock_map_index(w->target);
	struct rb_root *root = &core->open[map][kind - 1];
	struct fclock_object *obj;
	struct fclock_peer *peer;
	unsigned int owner;

	if (core->pri.failed) {
		client_wake(core, w, FCLOCK_FAIL, w->last, NULL);
		return;
	}
	owner = fclock_slice_owner(&core->sb, fclock_slice_of(core, first));
	if (core->prep.number || !owner || !core->peer[owner].configured) {
		client_park(core, w);
		return;
	}
	last = min(last, fclock_slice_end(core, first));
	if (core->cache.limit) {
		obj = object_at(root, first);
		if (obj) {
			list_add_tail(&w->list, &obj->waiters);
			return;
		}
		last = object_limit(root, first, last);
	}
	peer = &core->peer[owner];
	obj = object_get(core, peer);
	if (!obj) {
		list_add_tail(&w->list, &peer->starved);
		return;
	}
	peer->nr_open++;
	obj->id = (++core->next_id << 16) | (obj - peer->objects);
	obj->first = first;
	obj->last = last;
	obj->target = w->target;
	obj->kind = kind;
	obj->state = FCLOCK_OBJ_OPEN;
	obj->users = 0;
	obj->out.type = FCLOCK_OUT_REQUEST;
	list_add_tail(&w->list, &obj->waiters);
	if (core->cache.limit)
		object_link(root, obj);
	fclock_queue_out(core, peer, &obj->out);
}

/* A read of a copy: cut where the kind changes (invariant 4). */
static void client_try_read(struct fclock_core *core, struct fclock_waiter *w)
{
	struct fclock_object *lock;
	bool confirmed;
	u64 end;

	end = fclock_cache_run(&core->cache, w->target, w->first, w->last,
			       &confirmed);
	if (confirmed) {
		client_wake(core, w, FCLOCK_GO, end, NULL);
		return;
	}
	/*
	 * From PREPARED on the locks are forgotten, and before it a new I/O
	 * under a lock would only delay the drain.
	 */
	lock = core->prep.number ? NULL : object_at(&core->held[w->target],
						    w->first);
	if (lock && !lock->recalled) {
		client_wake(core, w, FCLOCK_GO_SHARED, min(end, lock->last), lock);
		return;
	}
	client_ask(core, w, FCLOCK_KIND_SHARED, w->first, end);
}

/* A write: waits for what is missing, so that it goes on in one piece if it can. */
static void client_try_write(struct fclock_core *core, struct fclock_waiter *w)
{
	unsigned int map = fclock_map_index(w->target);
	u64 first = w->first, end;
	bool confirmed;

	end = fclock_cache_run(&core->cache, map, first, w->last, &confirmed);
	if (confirmed && end == w->last) {
		client_wake(core, w, FCLOCK_GO, end, NULL);
		return;
	}
	if (confirmed) {
		first = end + 1;
		end = fclock_cache_run(&core->cache, map, first, w->last,
				       &confirmed);
	}
	if (w->target == FCLOCK_TARGET_A) {
		if (first >= core->free_from) {
			/* it counts while it goes, as a discard does */
			if (core->prep.number && !core->pri.failed) {
				client_park(core, w);
				return;
			}
			fclock_cache_free_grains(core);
			client_wake(core, w, FCLOCK_GO, w->last, NULL);
			return;
		}
		end = min(end, core->free_from - 1);
	}
	client_ask(core, w, FCLOCK_KIND_SPLIT, first, end);
}

/*
 * A discard never asks: confirmed grains pass, of others nothing becomes. But it counts
 * while it passes, so that none begins while the node is to be drained. Where M cannot be
 * written nothing will be, and nobody is to wait for that.
 */
static void client_try_discard(struct fclock_core *core,
			       struct fclock_waiter *w)
{
	bool confirmed;
	u64 end;

	if (core->prep.number && !core->pri.failed) {
		client_park(core, w);
		return;
	}
	end = fclock_cache_run(&core->cache, fclock_map_index(w->target),
			       w->first, w->last, &confirmed);
	client_wake(core, w, confirmed ? FCLOCK_GO : FCLOCK_NO_EFFECT, end,
		    NULL);
}

/* Behind the end of the volume, or of the copy, there is nothing to wait for. */
static bool client_beyond(struct fclock_core *core,
			  const struct fclock_waiter *w, unsigned int map)
{
	return w->end > core->limit[map] || w->last >= core->sb.geo.grains;
}

static void client_try(struct fclock_core *core, struct fclock_waiter *w)
{
	unsigned int map = fclock_map_index(w->target);
	u8 path = core->path[map];

	if ((core->gates & BIT(map)) || path == FCLOCK_PATH_CORE) {
		if (core->pri.failed)
			client_wake(core, w, FCLOCK_FAIL, w->last, NULL);
		else
			client_park(core, w);
		return;
	}
	if (path == FCLOCK_PATH_FAIL || client_beyond(core, w, map))
		client_wake(core, w, FCLOCK_FAIL, w->last, NULL);
	else if (path == FCLOCK_PATH_PASS || w->io == FCLOCK_IO_FLUSH)
		client_wake(core, w, FCLOCK_GO, w->last, NULL);
	else if (w->io == FCLOCK_IO_DISCARD)
		client_try_discard(core, w);
	else if (w->io == FCLOCK_IO_READ)
		client_try_read(core, w);
	else
		client_try_write(core, w);
}

static void client_try_list(struct fclock_core *core, struct list_head *list)
{
	struct fclock_waiter *w, *tmp;
	LIST_HEAD(todo);

	list_splice_init(list, &todo);
	list_for_each_entry_safe(w, tmp, &todo, list) {
		list_del_init(&w->list);
		client_try(core, w);
	}
}

static void client_feed(struct fclock_core *core, struct fclock_peer *peer)
{
	struct fclock_waiter *w;

	while (!list_empty(&peer->starved) && peer->nr_open < peer->credits &&
	       (!list_empty(&peer->free) || !list_empty(&peer->lru))) {
		w = list_first_entry(&peer->starved, struct fclock_waiter, list);
		list_del_init(&w->list);
		client_try(core, w);
		/* it found no object again and stands at the tail: enough */
		if (peer->starved.prev == &w->list) {
			list_move(&w->list, &peer->starved);
			break;
		}
	}
}

/* Whatever held the parked ones back may be gone. */
void fclock_client_retry(struct fclock_core *core)
{
	client_try_list(core, &core->parked);
}

/**
 * fclock_client_submit - an I/O that the hit path could not pass on
 * @w: target, io, first, last are set; the verdict comes by ops->wake()
 */
void fclock_client_submit(struct fclock_core *core, struct fclock_waiter *w)
{
	lockdep_assert_held(core->lock);

	INIT_LIST_HEAD(&w->list);
	core->nr_waiting++;
	client_try(core, w);
	fclock_settle(core);
}

void fclock_client_done(struct fclock_core *core, struct fclock_object *lock)
{
	lockdep_assert_held(core->lock);

	core->nr_granted--;
	if (lock && !--lock->users) {
		object_unused(core, lock);
		client_feed(core, &core->peer[lock->owner]);
	}
	if (!core->nr_granted)
		fclock_progress(core);
	fclock_settle(core);
}

static void client_requeue_list(struct fclock_core *core,
				struct list_head *list, u8 target)
{
	struct fclock_waiter *w, *tmp;

	list_for_each_entry_safe(w, tmp, list, list) {
		if (w->target != target)
			continue;
		list_del_init(&w->list);
		client_wake(core, w, FCLOCK_REQUEUE, w->last, NULL);
	}
}

/* The requests stay open: their grants fill the cache all the same. */
void fclock_client_requeue(struct fclock_core *core, u8 target)
{
	struct fclock_peer *peer;
	unsigned int i;

	lockdep_assert_held(core->lock);

	client_requeue_list(core, &core->parked, target);
	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		client_requeue_list(core, &peer->starved, target);
		if (!peer->nr_open)
			continue;	/* nobody waits at an object: there are many */
		for (i = 0; i < FCLOCK_OBJECTS; i++)
			client_requeue_list(core, &peer->objects[i].waiters,
					    target);
	}
}

/* ------------------------------------------------------------------- grants */

/* The object that @id names, if it is in use under that id. */
static struct fclock_object *object_lookup(struct fclock_peer *peer, u64 id)
{
	u16 place = id & 0xffff;
	struct fclock_object *obj;

	if (place >= FCLOCK_OBJECTS)
		return NULL;
	obj = &peer->objects[place];
	return obj->id == id && (obj->state == FCLOCK_OBJ_OPEN ||
				 obj->state == FCLOCK_OBJ_HELD) ? obj : NULL;
}

/* How far from w->first the cache and the run [first, last] reach together; 0: not at all. */
static u64 client_covered(struct fclock_core *core, struct fclock_waiter *w,
			  u64 first, u64 last)
{
	unsigned int map = fclock_map_index(w->target);
	u64 at = w->first;
	bool confirmed;
	u64 end;

	while (at <= w->last) {
		if (at >= first && at <= last) {
			at = last + 1;
			continue;
		}
		end = fclock_cache_run(&core->cache, map, at, w->last,
				       &confirmed);
		if (!confirmed)
			break;
		at = end + 1;
	}
	return min(at, w->last + 1) - w->first;
}

/*
 * A waiter goes with its grant, whether or not the grant could be cached: the
 * state is still the grant's, because a PREPARE or a new state drops the open
 * requests; the gate is looked at here. What the grant does not cover asks again.
 */
static void client_go(struct fclock_core *core, struct fclock_waiter *w,
		      struct fclock_object *lock, u64 first, u64 last)
{
	unsigned int map = fclock_map_index(w->target);
	u64 covered;

	/* the core's path: the lists of the members may have become disputed */
	if ((core->gates & BIT(map)) || core->path[map] == FCLOCK_PATH_CORE) {
		client_park(core, w);
		return;
	}
	if (lock && w->first >= lock->first && w->first <= lock->last) {
		client_wake(core, w, FCLOCK_GO_SHARED, lock->last, lock);
		return;
	}
	covered = first <= last ? client_covered(core, w, first, last) : 0;
	if (covered)
		client_wake(core, w, FCLOCK_GO, w->first + covered - 1, NULL);
	else
		client_try(core, w);
}

/* Adds what the grant confirms; *first..*last becomes the first run. */
static void grant_to_cache(struct fclock_core *core,
			   const struct fclock_wire_lock_grant *grant,
			   u64 *first, u64 *last)
{
	const struct fclock_wire_run *run = (const void *)(grant + 1);
	unsigned int map = fclock_map_index(grant->target);
	unsigned int i, nr = le16_to_cpu(grant->nr_runs);
	u32 bits = le32_to_cpu(grant->map_bits), b, e;
	const u8 *bytes = (const u8 *)(run + nr);
	u64 base = le64_to_cpu(grant->map_first);

	*first = 1;
	*last = 0;
	for (i = 0; i < nr; i++) {
		u64 f = le64_to_cpu(run[i].first);
		u64 l = f + le64_to_cpu(run[i].count) - 1;

		if (!i) {
			*first = f;
			*last = l;
		}
		fclock_cache_add(&core->cache, map, f, l);
	}
	for (b = 0; b < bits; b = e + 1) {
		while (b < bits && !(bytes[b / 8] & BIT(b % 8)))
			b++;
		for (e = b; e < bits && (bytes[e / 8] & BIT(e % 8)); e++)
			;
		if (e > b)
			fclock_cache_add(&core->cache, map, base + b,
					 base + e - 1);
	}
}

static void object_hold(struct fclock_core *core, struct fclock_object *obj,
			const struct fclock_wire_lock_grant *grant)
{
	obj->first = le64_to_cpu(grant->shared_first);
	obj->last = obj->first + le64_to_cpu(grant->shared_count) - 1;
	obj->state = FCLOCK_OBJ_HELD;
	obj->users = 0;
	obj->granted_at = core->ops->now(core);
	core->peer[obj->owner].nr_held++;
	list_del_init(&obj->list);
	/* asked again over a new link, which the grant crossed: once is enough */
	fclock_unqueue_out(&obj->out);
	if (core->cache.limit)
		object_link(&core->held[obj->target], obj);
}

static void client_granted(struct fclock_core *core, struct fclock_object *obj,
			   const struct fclock_wire_lock_grant *grant)
{
	struct fclock_peer *peer = &core->peer[obj->owner];
	bool held = grant->shared_count && obj->kind == FCLOCK_KIND_SHARED;
	struct fclock_waiter *w, *tmp;
	LIST_HEAD(waiters);
	u64 first, last;

	grant_to_cache(core, grant, &first, &last);
	object_unlink(open_tree(core, obj), obj);
	list_splice_init(&obj->waiters, &waiters);
	peer->nr_open--;
	if (held)
		object_hold(core, obj, grant);
	else
		object_free(core, obj);
	list_for_each_entry_safe(w, tmp, &waiters, list) {
		list_del_init(&w->list);
		if (grant->status != FCLOCK_GRANTED)
			client_wake(core, w, FCLOCK_FAIL, w->last, NULL);
		else
			client_go(core, w, held ? obj : NULL, first, last);
	}
	if (held && !obj->users)
		object_unused(core, obj);
	client_feed(core, peer);
}

/**
 * fclock_client_grant - LOCK_GRANT from @peer
 *
 * A grant of another state is dropped, and so is every grant while a PREPARE is pending:
 * from then on nothing enters the cache. (A shared lock dropped here is not
 * held, which the owner learns when it recalls it.)
 */
void fclock_client_grant(struct fclock_core *core, struct fclock_peer *peer,
			 const struct fclock_msg *msg,
			 const struct fclock_wire_lock_grant *grant)
{
	struct fclock_object *obj = object_lookup(peer, msg->id);

	core->stats.lock_grants++;
	if (!obj || obj->state != FCLOCK_OBJ_OPEN ||
	    obj->target != grant->target || core->prep.number ||
	    msg->state != core->sb.state)
		return;
	trace_fclock_lock(core->cfg.node, peer->node, FCLOCK_TL_GRANT, msg->id,
			  obj->target, obj->first, obj->last);
	client_granted(core, obj, grant);
}

/* Answers a RELEASE_REQUEST for a lock that is not held. */
static void object_not_held(struct fclock_core *core, struct fclock_object *obj,
			    u64 id)
{
	obj->not_held_id = id;
	fclock_queue_out(core, &core->peer[obj->owner], &obj->not_held);
}

/**
 * fclock_client_recall - RELEASE_REQUEST from @peer
 *
 * In every state. An id that is not held is answered all the same, or the owner
 * would wait for ever.
 */
int fclock_client_recall(struct fclock_core *core, struct fclock_peer *peer,
			 u64 id)
{
	struct fclock_object *obj = object_lookup(peer, id);
	u16 place = id & 0xffff;

	core->stats.release_requests++;
	if (place >= FCLOCK_OBJECTS)
		return -EPROTO;
	trace_fclock_lock(core->cfg.node, peer->node, FCLOCK_TL_RECALL, id, 0,
			  obj ? obj->first : 0, obj ? obj->last : 0);
	if (obj && obj->state == FCLOCK_OBJ_HELD) {
		if (!obj->recalled) {
			obj->recalled = true;
			if (!obj->users)
				object_unused(core, obj);
		}
		return 0;
	}
	if (obj) {
		/*
		 * Still open here: the grant was lost with a link and comes again,
		 * because the request was. An answer "not held" would end the lock at
		 * the owner behind the back of that grant.
		 */
		obj->recalled = true;
		return 0;
	}
	obj = &peer->objects[place];
	if (obj->state == FCLOCK_OBJ_RELEASING && obj->id == id)
		return 0;
	object_not_held(core, obj, id);
	return 0;
}

/* ------------------------------------------------- transitions, links, time */

/*
 * Back to the parked ones: the requests are of an older state, or nothing may be asked now.
 * The owner may have granted one and asked for it back already.
 */
void fclock_client_drop_requests(struct fclock_core *core)
{
	struct fclock_peer *peer;
	unsigned int i;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		list_splice_tail_init(&peer->starved, &core->parked);
		for (i = 0; peer->nr_open && i < FCLOCK_OBJECTS; i++) {
			struct fclock_object *obj = &peer->objects[i];

			if (obj->state != FCLOCK_OBJ_OPEN)
				continue;
			object_unlink(open_tree(core, obj), obj);
			list_splice_tail_init(&obj->waiters, &core->parked);
			if (obj->recalled)
				object_not_held(core, obj, obj->id);
			object_free(core, obj);
			peer->nr_open--;
		}
	}
}

/*
 * Only when no I/O is under them: the node says PREPARED, or its instance ends. What was
 * asked back is given back by word all the same: after an ABORT the owner still waits for it.
 */
void fclock_client_forget_locks(struct fclock_core *core)
{
	struct fclock_peer *peer;
	unsigned int i;

	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		if (!peer->nr_held)
			continue;
		for (i = 0; i < FCLOCK_OBJECTS; i++) {
			struct fclock_object *obj = &peer->objects[i];

			if (obj->state != FCLOCK_OBJ_HELD)
				continue;
			if (obj->recalled) {
				object_release(core, obj);
				continue;
			}
			object_unlink(&core->held[obj->target], obj);
			peer->nr_held--;
			object_free(core, obj);
		}
	}
}

/* Everything still open is asked again under the same id. */
void fclock_client_link_up(struct fclock_core *core, struct fclock_peer *peer)
{
	unsigned int i;

	for (i = 0; peer->nr_open && i < FCLOCK_OBJECTS; i++)
		if (peer->objects[i].state == FCLOCK_OBJ_OPEN)
			fclock_queue_out(core, peer, &peer->objects[i].out);
	client_feed(core, peer);
}

void fclock_client_link_down(struct fclock_core *core, struct fclock_peer *peer)
{
	unsigned int i;

	for (i = 0; i < FCLOCK_OBJECTS; i++) {
		struct fclock_object *obj = &peer->objects[i];

		fclock_unqueue_out(&obj->out);
		fclock_unqueue_out(&obj->not_held);
		if (obj->state == FCLOCK_OBJ_RELEASING)
			object_free(core, obj);
	}
}

void fclock_client_timer(struct fclock_core *core, u64 now)
{
	struct fclock_object *obj, *tmp;
	struct fclock_peer *peer;

	list_for_each_entry_safe(obj, tmp, &core->recalled, list) {
		if (now >= obj->granted_at + FCLOCK_HOLD_MS)
			object_release(core, obj);
		else
			fclock_arm(core, obj->granted_at + FCLOCK_HOLD_MS);
	}
	for (peer = fclock_next_peer(core, NULL); peer;
	     peer = fclock_next_peer(core, peer)) {
		list_for_each_entry_safe(obj, tmp, &peer->lru, list) {
			if (now < obj->used_at + FCLOCK_IDLE_MS) {
				fclock_arm(core, obj->used_at + FCLOCK_IDLE_MS);
				break;
			}
			object_release(core, obj);
		}
	}
}

/* --------------------------------------------------------------------- wire */

static u32 encode_request(struct fclock_core *core, struct fclock_object *obj,
			  struct fclock_msg *msg,
			  struct fclock_wire_lock_request *req)
{
	msg->type = FCLOCK_LOCK_REQUEST;
	msg->id = obj->id;
	*req = (struct fclock_wire_lock_request) {
		.target = obj->target,
		.kind = obj->kind,
		.first = cpu_to_le64(obj->first),
		.last = cpu_to_le64(obj->last),
	};
	core->stats.lock_requests++;
	trace_fclock_lock(core->cfg.node, obj->owner, FCLOCK_TL_REQUEST,
			  obj->id, obj->target, obj->first, obj->last);
	return sizeof(*req);
}

/* Return: length of the payload. @out is no longer queued. */
u32 fclock_client_encode(struct fclock_core *core, struct fclock_peer *peer,
			 struct fclock_out *out, struct fclock_msg *msg,
			 void *payload)
{
	struct fclock_object *obj;

	if (out->type == FCLOCK_OUT_REQUEST)
		return encode_request(core,
				      container_of(out, struct fclock_object,
						   out),
				      msg, payload);
	msg->type = FCLOCK_RELEASED;
	core->stats.releases++;
	if (out->type == FCLOCK_OUT_NOT_HELD) {
		obj = container_of(out, struct fclock_object, not_held);
		msg->id = obj->not_held_id;
		return 0;
	}
	obj = container_of(out, struct fclock_object, out);
	msg->id = obj->id;
	trace_fclock_lock(core->cfg.node, peer->node, FCLOCK_TL_RELEASED,
			  obj->id, obj->target, obj->first, obj->last);
	object_free(core, obj);
	client_feed(core, peer);
	return 0;
}
