// SPDX-License-Identifier: GPL-2.0-only
/*
 * Three nodes in this kernel, each with device numbers of its own over the array:
 * they write stamped sectors to A and through the copies, flush, trigger, stop,
 * leave, come back, and are fenced while they own. What they were told, and when, is
 * kept for the judge. After a power failure some of them do so once more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "crash.h"

#define MAX_WRITES	(1 << 18)
#define MAX_OPS		4096
#define MAX_IO		24u		/* sectors */
#define WRITERS		2		/* of a node */
#define WORDS		(SECTOR / 8)
#define MAGIC		0x6372617368212121ull

struct write_op *writes;
struct flush_op *flushes;
struct slot_op *slot_ops;
uint32_t nr_writes, nr_flushes, nr_slot_ops;
uint32_t formatted = NEVER, fenced, fenced_end, fenced_active;

static pthread_mutex_t ops_lock = PTHREAD_MUTEX_INITIALIZER;
/* No two writes of one unit at once, so that a sector's writes have an order. */
static bool busy[TARGETS][LENGTH / GRAIN];

static bool up[NODES + 1];
static uint64_t epoch, random_state;
static unsigned int per_round;		/* writes of a writer */

/* ---- stamps ---- */

static void fill_one(uint64_t *buf, uint32_t sector, unsigned int target,
		     uint32_t stamp)
{
	uint64_t seed = (uint64_t)stamp << 32 | target << 24 | sector;
	int i;

	buf[0] = MAGIC;
	buf[1] = stamp;
	buf[2] = (uint64_t)target << 32 | sector;
	for (i = 3; i < WORDS; i++)
		buf[i] = seed * i ^ MAGIC;
}

void stamp_fill(void *buf, uint32_t sector, uint32_t count, unsigned int target,
		uint32_t stamp)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		fill_one((uint64_t *)buf + i * WORDS, sector + i, target, stamp);
}

bool stamp_read(const void *buf, uint32_t sector, unsigned int *target,
		uint32_t *stamp)
{
	const uint64_t *got = buf;
	uint64_t want[WORDS];

	*target = got[2] >> 32;
	*stamp = got[1];
	if (got[0] != MAGIC || (uint32_t)got[2] != sector || *target >= TARGETS)
		return false;
	fill_one(want, sector, *target, *stamp);
	return !memcmp(want, got, SECTOR);
}

/* ---- nodes ---- */

static const char *name(char *buf, const char *what, unsigned int node)
{
	snprintf(buf, 16, "%s%u", what, node);
	return buf;
}

static const char * const linear[DISKS] = { "la", "lb0", "lb1", "lm" };

static void make_linear(unsigned int node, bool swap, bool works)
{
	char dev[16], params[64];
	unsigned int d;
	int r;

	/* M first: a node that is being cut off must not write offline marks */
	for (d = DISKS; d--; ) {
		snprintf(params, sizeof(params), "%s 0", array_path(d));
		name(dev, linear[d], node);
		if (swap)
			r = dm_swap(dev, disk_sectors[d],
				    works ? "linear" : "error",
				    works ? params : "");
		else
			r = dm_create(dev, disk_sectors[d], "linear", params);
		if (r)
			die("%s: %s", dev, strerror(-r));
	}
}

static const char *linear_path(unsigned int node, unsigned int disk, char *buf)
{
	char dev[16];

	return dm_path(name(dev, linear[disk], node), buf, 32);
}

static void attach(unsigned int node, unsigned int slot)
{
	char m[32], b[32], params[128], copy[16];
	int r;

	snprintf(params, sizeof(params), "%s %u %s",
		 linear_path(node, DISK_M, m), slot,
		 linear_path(node, DISK_B0 + slot, b));
	snprintf(copy, sizeof(copy), "c%u%u", node, slot);
	r = dm_create(copy, LENGTH, "fclock-copy", params);
	if (r)
		die("%s: %s: %s", copy, params, strerror(-r));
}

static void detach(unsigned int node, unsigned int slot)
{
	char copy[16];
	int r;

	snprintf(copy, sizeof(copy), "c%u%u", node, slot);
	r = dm_remove(copy);
	if (r)
		die("%s: %s", copy, strerror(-r));
}

static void node_up(unsigned int node)
{
	char m[32], dev[32], params[512], origin[16];
	unsigned int s, p, n, words = 4 + 3 * (NODES - 1) + 2;
	int r;

	linear_path(node, DISK_M, m);
	n = snprintf(params, sizeof(params),
		     "%s %s %u %u grain_size %u trigger_timeout 4000 listen 127.0.0.%u:7788",
		     m, linear_path(node, DISK_A, dev), node, words, GRAIN, node);
	for (p = 1; p <= NODES; p++)
		if (p != node)
			n += snprintf(params + n, sizeof(params) - n,
				      " peer %u 127.0.0.%u:7788", p, p);
	r = dm_create(name(origin, "o", node), LENGTH, "fclock-origin", params);
	if (r)
		die("%s: %s: %s", origin, params, strerror(-r));
	for (s = 0; s < SLOTS; s++)
		attach(node, s);
	up[node] = true;
}

static void node_down(unsigned int node)
{
	char dev[16];
	unsigned int s;
	int r;

	for (s = 0; s < SLOTS; s++)
		detach(node, s);
	r = dm_remove(name(dev, "o", node));
	if (r)
		die("%s: %s", dev, strerror(-r));
	up[node] = false;
}

static unsigned int nodes_up(void)
{
	unsigned int node, n = 0;

	for (node = 1; node <= NODES; node++)
		n += up[node];
	return n;
}

static unsigned int any_node(void)
{
	unsigned int node;

	do {
		node = rnd(&random_state) % NODES + 1;
	} while (!up[node]);
	return node;
}

static bool is_ready(unsigned int node)
{
	char text[1024], word[32], dev[16];

	if (dm_status(name(dev, "o", node), text, sizeof(text)) ||
	    strncmp(text, "active ", 7))
		return false;
	if (formatted == NEVER)
		formatted = log_mark();
	return strtoul(field(text, "connected", word, sizeof(word)), NULL, 0) ==
		nodes_up() - 1;
}

static void together(void)
{
	uint64_t end = now_ms() + 60000;
	unsigned int node;

	for (node = 1; node <= NODES; node++)
		while (up[node] && !is_ready(node)) {
			if (now_ms() > end)
				die("node %u does not take part", node);
			nap(2000);
		}
}

/* All nodes that are up; the others are fenced. */
static void say_members(void)
{
	char text[64], dev[16];
	unsigned int node, n;

	n = snprintf(text, sizeof(text), "members %llu ",
		     (unsigned long long)++epoch);
	for (node = 1; node <= NODES; node++)
		if (up[node])
			n += snprintf(text + n, sizeof(text) - n, "%s%u",
				      text[n - 1] == ' ' ? "" : ",", node);
	for (node = 1; node <= NODES; node++)
		if (up[node] && dm_message(name(dev, "o", node), text))
			die("%s: refused by node %u", text, node);
}

/* ---- writers ---- */

static struct writer {
	pthread_t thread;
	unsigned int node, count, slots;
	uint64_t random;
	bool runs;
} writers[NODES + 1][WRITERS];

static bool take_units(unsigned int target, uint32_t sector, uint32_t count,
		       bool take)
{
	uint32_t first = sector / GRAIN, last = (sector + count - 1) / GRAIN, u;
	bool ok = true;

	pthread_mutex_lock(&ops_lock);
	for (u = first; take && u <= last; u++)
		ok &= !busy[target][u];
	for (u = first; ok && u <= last; u++)
		busy[target][u] = take;
	pthread_mutex_unlock(&ops_lock);
	return ok;
}

static uint32_t new_write(unsigned int target, uint32_t sector, uint32_t count)
{
	uint32_t n;

	pthread_mutex_lock(&ops_lock);
	if (nr_writes == MAX_WRITES)
		die("too many writes");
	n = nr_writes++;
	writes[n] = (struct write_op){
		.begin = log_mark(), .end = NEVER, .sector = sector,
		.count = count, .target = target,
	};
	pthread_mutex_unlock(&ops_lock);
	return n;
}

/* The units are the caller's, and are given back. */
static void write_at(unsigned int target, int fd, void *buf, uint32_t sector,
		     uint32_t count)
{
	uint32_t n = new_write(target, sector, count);

	stamp_fill(buf, sector, count, target, n + 1);
	writes[n].ok = pwrite(fd, buf, count * SECTOR, sector * SECTOR) ==
		(ssize_t)(count * SECTOR);
	writes[n].end = log_mark();
	take_units(target, sector, count, false);
}

static void write_somewhere(struct writer *w, unsigned int target, int fd,
			    void *buf)
{
	uint32_t count, sector;

	do {
		count = rnd(&w->random) % MAX_IO + 1;
		sector = rnd(&w->random) % (LENGTH - count + 1);
	} while (!take_units(target, sector, count, true));
	write_at(target, fd, buf, sector, count);
}

static void flush(unsigned int target, int fd)
{
	struct flush_op f = { .begin = log_mark(), .target = target };

	if (fdatasync(fd))
		return;
	f.end = log_mark();
	pthread_mutex_lock(&ops_lock);
	if (nr_flushes == MAX_WRITES)
		die("too many flushes");
	flushes[nr_flushes++] = f;
	pthread_mutex_unlock(&ops_lock);
}

/* For the shared locks; what it says is looked at elsewhere. */
static void read_somewhere(struct writer *w, int fd, void *buf)
{
	uint32_t sector = rnd(&w->random) % (LENGTH - MAX_IO);

	if (pread(fd, buf, MAX_IO * SECTOR, sector * SECTOR) < 0)
		errno = 0;		/* a copy that is idle */
}

static void *writer(void *data)
{
	struct writer *w = data;
	void *buf = aligned_alloc(4096, MAX_IO * SECTOR);
	unsigned int target, i;
	int fd[TARGETS];
	char dev[16];

	fd[0] = dm_open(name(dev, "o", w->node));
	for (i = 0; i < w->slots; i++) {
		snprintf(dev, sizeof(dev), "c%u%u", w->node, i);
		fd[1 + i] = dm_open(dev);
	}
	for (i = 0; i < w->count; i++) {
		target = rnd(&w->random) % 6;
		if (target > w->slots)
			target = 0;
		write_somewhere(w, target, fd[target], buf);
		if (rnd(&w->random) % 4 == 0)
			flush(target, fd[target]);
		if (rnd(&w->random) % 4 == 0)
			read_somewhere(w, fd[1 + i % w->slots], buf);
	}
	for (i = 0; i <= w->slots; i++)
		close(fd[i]);
	free(buf);
	return NULL;
}

static void start_writers(unsigned int node, unsigned int count,
			  unsigned int slots)
{
	unsigned int i;

	for (i = 0; i < WRITERS; i++) {
		struct writer *w = &writers[node][i];

		w->node = node;
		w->count = count;
		w->slots = slots;
		w->random = rnd(&random_state);
		w->runs = true;
		pthread_create(&w->thread, NULL, writer, w);
	}
}

static void end_writers(unsigned int node)
{
	unsigned int i;

	for (i = 0; i < WRITERS; i++)
		if (writers[node][i].runs)
			pthread_join(writers[node][i].thread, NULL);
	memset(writers[node], 0, sizeof(writers[node]));
}

/* On all nodes but @not, to A and the first @slots copies. */
static void start_some(unsigned int not, unsigned int count, unsigned int slots)
{
	unsigned int node;

	for (node = 1; node <= NODES; node++)
		if (up[node] && node != not)
			start_writers(node, count, slots);
}

static void start_all(unsigned int not, unsigned int count)
{
	start_some(not, count, SLOTS);
}

static void end_all(void)
{
	unsigned int node;

	for (node = 1; node <= NODES; node++)
		end_writers(node);
}

/* ---- messages ---- */

static void add_slot_op(const struct slot_op *op)
{
	if (nr_slot_ops == MAX_OPS)
		die("too many messages");
	slot_ops[nr_slot_ops++] = *op;
}

/* What a copy shows is durable when it was flushed, though nothing was written to it. */
static void sync_copies(uint8_t slots)
{
	unsigned int s, node = any_node();
	char dev[16];
	int fd;

	for (s = 0; s < SLOTS; s++) {
		if (!(slots & 1 << s))
			continue;
		snprintf(dev, sizeof(dev), "c%u%u", node, s);
		fd = dm_open(dev);
		flush(1 + s, fd);
		close(fd);
	}
}

/* Refused at once means that nothing was done. */
static bool refused(int r)
{
	return r == -ENOTCONN || r == -ENODEV || r == -EAGAIN;
}

static void message(uint8_t kind, uint8_t slots)
{
	struct slot_op op = { .kind = kind, .slots = slots };
	uint64_t give_up = now_ms() + 30000;
	unsigned int node = any_node();
	char text[1024], dev[16], word[32];
	int r;

	snprintf(text, sizeof(text), "%s %s",
		 kind == OP_TRIGGER ? "trigger" : "stop",
		 slots == 3 ? "0,1" : slots == 2 ? "1" : "0");
	name(dev, "o", node);
	for (;;) {
		op.begin = log_mark();
		r = dm_message(dev, text);
		op.end = log_mark();
		if (!refused(r) || now_ms() > give_up)
			break;
		nap(5000);
	}
	if (r)
		die("%s on node %u: %s", text, node, strerror(-r));
	snprintf(dev, sizeof(dev), "c%u%u", node, slots == 2);
	if (dm_status(dev, text, sizeof(text)))
		die("%s: no status", dev);
	op.generation = strtoull(field(text, "generation", word, sizeof(word)),
				 NULL, 0);
	op.ok = true;
	add_slot_op(&op);
	if (kind == OP_TRIGGER && rnd(&random_state) % 2)
		sync_copies(slots);
}

static void sync_origin(void)
{
	char dev[16];
	int fd = dm_open(name(dev, "o", any_node()));

	flush(0, fd);
	close(fd);
}

/* ---- what happens ---- */

static void leave_and_return(unsigned int node)
{
	start_all(node, per_round / 2);
	nap(20000);
	node_down(node);
	end_all();
	start_all(0, per_round / 2);
	node_up(node);
	end_all();
	together();
}

/* Documentation/on-disk.rst */
static const void *newest_superblock(void)
{
	const uint64_t *m = array_peek(DISK_M);
	unsigned int state = 16 / 8, other = 4096 / 8;

	return m[other + state] > m[state] ? m + other : m;
}

/* Bit 0 is node 1. */
static uint64_t owners(void)
{
	return ((const uint64_t *)newest_superblock())[88 / 8];
}

static unsigned int primary(void)
{
	return ((const uint8_t *)newest_superblock())[104];
}

/* Who lacks an active copy owns nothing. */
static void only_owner(unsigned int node)
{
	uint64_t give_up = now_ms() + 60000;
	unsigned int other;

	for (other = 1; other <= NODES; other++)
		if (other != node)
			detach(other, SLOTS - 1);
	while (owners() != 1ULL << (node - 1)) {
		if (now_ms() > give_up)
			die("owners are still %#llx",
			    (unsigned long long)owners());
		nap(2000);
	}
}

static bool is_active(unsigned int slot)
{
	char dev[16], text[1024];

	snprintf(dev, sizeof(dev), "c%u%u", any_node(), slot);
	return !dm_status(dev, text, sizeof(text)) &&
		!strncmp(text, "active ", 7);
}

static void command(const char *text)
{
	if (system(text))
		die("%s", text);
}

/* From the others, or they would mark copies offline for it. */
static void cut_off(unsigned int node)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "nft 'table inet cut { chain in { type filter hook input priority 0; ip saddr 127.0.0.%u drop; ip daddr 127.0.0.%u drop; }; }'",
		 node, node);
	command(text);
}

/*
 * The owner is cut off while it commits: what it wrote to M and could not flush is seen
 * by the next owner, and is not durable unless that one flushes M. Meanwhile no flush of
 * M ends, so whoever goes on without one is found. Nobody else may flush M: one owner,
 * who is not the primary, as the next primary flushes it as well.
 */
static void fence_and_return(void)
{
	struct slot_op op = { .kind = OP_FAIL, .slots = 3, .ok = true };
	unsigned int node, other, slot;

	do {
		node = any_node();
	} while (node == primary());
	only_owner(node);
	start_some(node, per_round, SLOTS - 1);
	nap(30000 + rnd(&random_state) % 40000);
	op.begin = log_mark();
	op.end = op.begin;
	add_slot_op(&op);
	array_flushes(DISK_M, FLUSHES_ARE_HELD);
	nap(10000 + rnd(&random_state) % 10000);
	cut_off(node);
	array_flushes(DISK_M, FLUSHES_FAIL);
	make_linear(node, true, false);
	array_flushes(DISK_M, FLUSHES_ARE_HELD);
	fenced = log_mark();
	up[node] = false;
	say_members();
	for (other = 1; other <= NODES; other++)
		if (other != node)
			attach(other, SLOTS - 1);
	nap(200000);
	fenced_end = log_mark();
	array_flushes(DISK_M, FLUSHES_WORK);
	end_all();
	up[node] = true;
	node_down(node);
	command("nft delete table inet cut");
	make_linear(node, true, true);
	node_up(node);
	say_members();
	together();
	for (slot = 0; slot < SLOTS; slot++)
		fenced_active += is_active(slot);
}

/* The array loses a copy device for a while. */
static void lose_copy(void)
{
	struct slot_op op = { .kind = OP_FAIL, .slots = 1 << 1 };

	message(OP_TRIGGER, 2);
	op.begin = op.end = log_mark();
	op.ok = true;
	add_slot_op(&op);
	array_fail_writes(DISK_B1, true);
	start_all(0, per_round / 2);
	end_all();
	array_fail_writes(DISK_B1, false);
}

/* All of A, so that the copies become complete. */
static void sweep(void)
{
	void *buf = aligned_alloc(4096, MAX_IO * SECTOR);
	uint32_t sector, count;
	char dev[16];
	int fd = dm_open(name(dev, "o", any_node()));

	for (sector = 0; sector < LENGTH; sector += count) {
		count = LENGTH - sector < MAX_IO ? LENGTH - sector : MAX_IO;
		while (!take_units(0, sector, count, true))
			nap(1000);
		write_at(0, fd, buf, sector, count);
	}
	close(fd);
	free(buf);
}

static void happen(unsigned int what)
{
	switch (what % 10) {
	case 0:
		sync_origin();
		message(OP_TRIGGER, 1);
		start_all(0, per_round);
		break;
	case 1:
		start_all(0, per_round);
		nap(30000);
		message(OP_TRIGGER, 2);
		break;
	case 2:
		leave_and_return(3);
		break;
	case 3:
		start_all(0, per_round / 4);
		sweep();
		break;
	case 4:
		start_all(0, per_round);
		nap(30000);
		message(OP_TRIGGER, 1);
		break;
	case 5:
		sync_origin();
		message(OP_TRIGGER, 3);
		leave_and_return(1);
		break;
	case 6:
		start_all(0, per_round);
		nap(20000);
		message(OP_TRIGGER, 3);
		break;
	case 7:
		sync_origin();
		message(OP_TRIGGER, 3);
		fence_and_return();
		break;
	case 8:
		start_all(0, per_round);
		message(OP_STOP, 2);
		nap(20000);
		sync_origin();
		message(OP_TRIGGER, 2);
		break;
	case 9:
		lose_copy();
		message(OP_TRIGGER, 1);
		start_all(0, per_round / 2);
		break;
	}
	end_all();
}

static void end_nodes(void)
{
	unsigned int node, d;
	bool was_up[NODES + 1];
	char dev[16];

	memcpy(was_up, up, sizeof(up));
	for (node = 1; node <= NODES; node++)
		if (was_up[node])
			node_down(node);
	for (node = 1; node <= NODES; node++)
		for (d = 0; was_up[node] && d < DISKS; d++)
			dm_remove(name(dev, linear[d], node));
}

void load_run(uint64_t seed, unsigned int rounds, unsigned int nr)
{
	unsigned int node, i;

	random_state = seed;
	per_round = nr;
	writes = zalloc(MAX_WRITES * sizeof(*writes));
	flushes = zalloc(MAX_WRITES * sizeof(*flushes));
	slot_ops = zalloc(MAX_OPS * sizeof(*slot_ops));
	for (node = 1; node <= NODES; node++)
		make_linear(node, false, true);
	for (node = 1; node <= NODES; node++)
		node_up(node);
	together();
	for (i = 0; i < rounds; i++)
		happen(i);
	end_nodes();
}

void load_again(uint64_t seed, unsigned int nodes, unsigned int nr)
{
	unsigned int node, i;
	uint8_t slot;

	random_state = seed;
	per_round = nr;
	nr_flushes = 0;
	nr_slot_ops = 0;
	fenced = 0;
	fenced_end = 0;
	slot = 1 << rnd(&random_state) % SLOTS;
	node = rnd(&random_state) % NODES;
	for (i = 0; i < nodes; i++) {
		node = node % NODES + 1;
		make_linear(node, false, true);
		node_up(node);
	}
	say_members();
	together();
	start_all(0, per_round);
	nap(20000);
	message(OP_TRIGGER, slot);
	end_all();
	start_all(0, per_round / 2);
	nap(20000);
	message(OP_STOP, slot);
	end_all();
	end_nodes();
}
