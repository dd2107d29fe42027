// SPDX-License-Identifier: GPL-2.0-only
/*
 * Status, table and IMA lines. Fields keep their order and are only ever added
 * at the end.
 *
 * fclock-origin:
 * active|suspended|failed node= epoch= members=<id,id> grain=<sectors> grains=
 * slots=<0,1 or -> connected= cache_bytes= cache_runs= cache_hits= cache_misses=
 * cache_discards= msg_sent= msg_received= lock_requests= lock_grants=
 * release_requests= releases= grains_copied= commits= waiting= trigger_us=
 * auth_failures=
 *
 * fclock-copy:
 * idle|active|complete|offline slot= generation= split=<n>/<grains> shared_locks=
 * copy_rate=
 */
#include "volume.h"

/* Taken under the lock, printed after it. */
struct origin_info {
	enum fclock_volume_state state;
	u64 epoch, members, connected, grains;
	u16 attached;
	u64 cache_bytes, cache_runs, cache_discards, auth_failures;
	unsigned int waiting;
	struct fclock_stats stats;
	struct fclock_hits hits;
};

struct copy_info {
	u8 state;
	u64 generation, split, grains, shared_locks;
	u32 rate;
};

struct fclock_hits fclock_sum_hits(struct fclock_volume *v)
{
	struct fclock_hits sum = { 0, 0 };
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct fclock_hits *h = per_cpu_ptr(v->hits, cpu);

		sum.hits += READ_ONCE(h->hits);
		sum.misses += READ_ONCE(h->misses);
	}
	return sum;
}

static void get_origin_info(struct fclock_volume *v, struct origin_info *info)
{
	struct fclock_core *core = v->core;
	struct fclock_hits hits;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	/* under the lock: never less than what reset_stats took for the base */
	hits = fclock_sum_hits(v);
	info->state = fclock_core_volume_state(core);
	info->epoch = core->epoch;
	/* until the first list: all configured nodes */
	info->members = core->epoch ? core->members :
			fclock_core_configured(core);
	info->connected = fclock_core_connected(core);
	info->attached = core->attached;
	info->grains = core->sb.geo.grains;
	info->cache_bytes = core->cache.bytes;
	info->cache_runs = core->cache.nr_runs;
	info->cache_discards = core->cache.discards -
		core->stats.cache_discards_base;
	info->waiting = core->nr_waiting;
	info->stats = core->stats;
	info->hits.hits = hits.hits - v->hits_base.hits;
	info->hits.misses = hits.misses - v->hits_base.misses;
	info->auth_failures = v->transport ?
		fclock_transport_auth_failures(v->transport) -
		v->auth_failures_base : 0;
	spin_unlock_irqrestore(&v->lock, flags);
}

static void get_copy_info(struct fclock_volume *v, unsigned int slot,
			  struct copy_info *info)
{
	struct fclock_core *core = v->core;
	unsigned long flags;

	memset(info, 0, sizeof(*info));
	spin_lock_irqsave(&v->lock, flags);
	info->grains = fclock_core_copy_grains(core, slot);
	if (core->have_sb) {
		info->state = core->sb.slot[slot].state;
		info->generation = core->sb.slot[slot].generation;
		info->rate = core->sb.slot[slot].rate;
		info->split = fclock_core_split(core, slot);
		info->shared_locks = fclock_core_shared_locks(core, slot);
	}
	spin_unlock_irqrestore(&v->lock, flags);
}

/* The numbers of the set bits, from @base, or "-". Return: as scnprintf(). */
static size_t emit_list(char *buf, size_t size, u64 bits, unsigned int base)
{
	size_t n = 0;
	unsigned int i;

	for (i = 0; i < 64; i++)
		if (bits & (1ULL << i))
			n += scnprintf(buf + n, size - n, "%s%u",
				       n ? "," : "", i + base);
	return n ?: scnprintf(buf, size, "-");
}

static size_t emit_origin_info(struct fclock_volume *v, char *result,
			       unsigned int maxlen)
{
	static const char * const states[] = {
		[FCLOCK_VOLUME_ACTIVE] = "active",
		[FCLOCK_VOLUME_SUSPENDED] = "suspended",
		[FCLOCK_VOLUME_FAILED] = "failed",
	};
	struct origin_info info;
	const struct fclock_stats *s = &info.stats;
	char members[64 * 3 + 1], slots[FCLOCK_MAX_SLOTS * 3 + 1];
	size_t sz = 0;

	get_origin_info(v, &info);
	emit_list(members, sizeof(members), info.members, 1);
	emit_list(slots, sizeof(slots), info.attached, 0);
	DMEMIT("%s node=%u epoch=%llu members=%s grain=%u grains=%llu ",
	       states[info.state], v->node, info.epoch, members, v->geo.grain,
	       info.grains);
	DMEMIT("slots=%s connected=%llu ", slots, info.connected);
	DMEMIT("cache_bytes=%llu cache_runs=%llu cache_hits=%llu cache_misses=%llu cache_discards=%llu ",
	       info.cache_bytes, info.cache_runs, info.hits.hits,
	       info.hits.misses, info.cache_discards);
	DMEMIT("msg_sent=%llu msg_received=%llu lock_requests=%llu lock_grants=%llu ",
	       s->msg_sent, s->msg_received, s->lock_requests, s->lock_grants);
	DMEMIT("release_requests=%llu releases=%llu grains_copied=%llu commits=%llu ",
	       s->release_requests, s->releases, s->grains_copied, s->commits);
	DMEMIT("waiting=%u trigger_us=%llu ", info.waiting, s->trigger_us);
	DMEMIT("auth_failures=%llu", info.auth_failures);
	return sz;
}

static size_t emit_args(const struct fclock_args *args, char *result,
			unsigned int maxlen)
{
	unsigned int i, count = fclock_count_args(args);
	size_t sz = 0;

	if (!count)
		return 0;
	DMEMIT(" %u", count);
	if (args->has_grain)
		DMEMIT(" grain_size %u", args->grain);
	if (args->has_listen)
		DMEMIT(" listen %pISpc", &args->listen.sa);
	for (i = 0; i < args->nr_peers; i++)
		DMEMIT(" peer %u %pISpc", args->peer[i].node,
		       &args->peer[i].addr.sa);
	if (args->has_cache_limit)
		DMEMIT(" cache_limit %llu", args->cache_limit);
	if (args->has_timeout)
		DMEMIT(" trigger_timeout %u", args->trigger_timeout);
	if (args->has_cluster)
		DMEMIT(" cluster %s", args->cluster);
	if (args->has_key)
		DMEMIT(" key %s", args->key_word);
	if (args->insecure)
		DMEMIT(" insecure");
	return sz;
}

void fclock_origin_status(struct dm_target *ti, status_type_t type,
			  unsigned int status_flags, char *result,
			  unsigned int maxlen)
{
	struct fclock_target *t = ti->private;
	size_t sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		emit_origin_info(t->volume, result, maxlen);
		return;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %s %u", t->meta->name, t->dev->name, t->args.node);
		emit_args(&t->args, result + sz, maxlen - sz);
		return;
	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",metadata_dev=%s,origin_dev=%s,node_id=%u,grain=%u;",
		       t->meta->name, t->dev->name, t->args.node,
		       t->volume->geo.grain);
	}
}

void fclock_copy_status(struct dm_target *ti, status_type_t type,
			unsigned int status_flags, char *result,
			unsigned int maxlen)
{
	static const char * const states[] = {
		[FCLOCK_SLOT_IDLE] = "idle",
		[FCLOCK_SLOT_ACTIVE] = "active",
		[FCLOCK_SLOT_COMPLETE] = "complete",
		[FCLOCK_SLOT_OFFLINE] = "offline",
	};
	struct fclock_target *t = ti->private;
	struct copy_info info;
	size_t sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		get_copy_info(t->volume, t->map, &info);
		DMEMIT("%s slot=%u generation=%llu split=%llu/%llu shared_locks=%llu copy_rate=%u",
		       states[info.state], t->map, info.generation, info.split,
		       info.grains, info.shared_locks, info.rate);
		return;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %u %s", t->meta->name, t->map, t->dev->name);
		return;
	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",metadata_dev=%s,slot=%u,copy_dev=%s;", t->meta->name,
		       t->map, t->dev->name);
	}
}
