// SPDX-License-Identifier: GPL-2.0-only
/*
 * What programs do to a block device, at random, against a model in memory.
 *
 *   exercise [OPTIONS] A[:B] [A[:B]]...
 *
 * Each argument is a node: its device of the origin and, if there is one, of the
 * copy. The device is divided among the nodes; to its own part a node reads and
 * writes in every way: O_DIRECT, buffered, mapped, several at once, discards,
 * zeroes; to the parts of the others with O_DIRECT, since nodes do not share a page
 * cache. One thread per node; one operation at a time in each part.
 *
 *   -S SEED       of all choices
 *   -n COUNT      operations of each node
 *   -s SECONDS    or until then, whatever comes first
 *   -t MESSAGE    makes the copy the origin's image; without it B is as it is
 *   -p MESSAGE    ends the copy; its reads must then fail until the next -t
 *   -x MESSAGE    changes no data; may be given several times
 *   -o FILE       what the origin must hold goes there at the end
 *   -d            no discards (their devices' data after them is not known)
 *
 * A message is a device mapper name and what to tell it, "o trigger 0". -t and -p are
 * sent between operations, -x meanwhile. A sector that was discarded
 * holds zeroes or what it held; it is read at once and must stay what it is then.
 * At the end every node reads everything. Exit code 1: something was not right.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NODES		16
#define PAGE		4096u
#define MAX_IO		(1u << 20)
#define AIOS		8
#define LOG		(1u << 14)

enum { A, B, TARGETS };
static const char *const target_name[] = { "A", "B" };

enum op { READ, WRITE, READV, WRITEV, BREAD, BWRITE, MREAD, MWRITE, SYNC, AIO, NOWAIT,
	  ZERO, DISCARD, OTHERS_READ, OTHERS_WRITE, TRIGGER, STOP, OPS };
static const struct {
	const char *name;
	unsigned int weight;
	bool changes;
} ops[OPS] = {
	[READ] = { "read", 20, false },
	[WRITE] = { "write", 20, true },
	[READV] = { "readv", 5, false },
	[WRITEV] = { "writev", 5, true },
	[BREAD] = { "buffered read", 10, false },
	[BWRITE] = { "buffered write", 10, true },
	[MREAD] = { "mapped read", 5, false },
	[MWRITE] = { "mapped write", 5, true },
	[SYNC] = { "fsync", 2, false },
	[AIO] = { "several at once", 5, true },
	[NOWAIT] = { "nowait write", 4, true },
	[ZERO] = { "zeroes", 3, true },
	[DISCARD] = { "discard", 4, true },
	[OTHERS_READ] = { "read of another's", 10, false },
	[OTHERS_WRITE] = { "write of another's", 4, true },
	[TRIGGER] = { "trigger", 1, true },
	[STOP] = { "stop", 1, true },
};

struct node {
	pthread_t thread;
	unsigned int id;
	int direct[TARGETS], buffered[TARGETS];
	uint64_t random;
	unsigned char *buf[AIOS];
	aio_context_t aio;
	struct part {
		pthread_mutex_t lock;
		bool dirty;		/* this node's page cache has more than the device */
		bool stale;		/* another node wrote beside the page cache */
	} part[TARGETS];
};

static struct node nodes[NODES];
static unsigned int count;
static uint64_t size, unit = 512;
static unsigned char *model[TARGETS];
static bool valid[TARGETS] = { true, false };
static bool has_copy;
static pthread_rwlock_t still = PTHREAD_RWLOCK_INITIALIZER;
static atomic_uint_fast64_t done[OPS], next_write = 1, again;
static atomic_bool over;

static uint64_t seed = 1, limit = 1000;
static unsigned int seconds = 3600;
static const char *trigger, *stop, *extra[8];
static unsigned int extras;
static int control;
static bool no_discard;

/* ---- what was done: for whoever has to understand a failure ---- */

static struct entry {
	uint64_t number, from, to;
	unsigned char node, target, op;
} history[LOG];
static atomic_uint_fast64_t events;

static void note(struct node *n, int target, enum op op, uint64_t from, uint64_t len)
{
	uint64_t i = events++;

	history[i % LOG] = (struct entry){ i, from, from + len, n->id, target, op };
	done[op]++;
}

static void die(const char *what)
{
	printf("%s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

static void show_history(int target, uint64_t at)
{
	uint64_t last = events, i = last > LOG ? last - LOG : 0, shown = 0;
	struct entry *e;

	printf("operation %" PRIu64 "; those that changed this byte, of the last %u:\n",
	       last, LOG);
	for (; i < last && shown < 20; i++) {
		e = &history[i % LOG];
		if (!ops[e->op].changes || at < e->from || at >= e->to ||
		    (e->target != target && e->op != TRIGGER))
			continue;
		shown++;
		printf("  %" PRIu64 ": node %u, %s of %s, bytes %" PRIu64 " to %" PRIu64 "\n",
		       e->number, e->node + 1, ops[e->op].name, target_name[e->target],
		       e->from, e->to);
	}
}

/* One failure ends all: the threads that go on would only blur it. */
static void wrong(struct node *n, int target, enum op op, uint64_t off, uint64_t len,
		  const unsigned char *got, const unsigned char *want)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	uint64_t i = 0, bad = 0, w = 0, g = 0;

	pthread_mutex_lock(&once);
	while (got[i] == want[i])
		i++;
	for (uint64_t j = i; j < len; j++)
		bad += got[j] != want[j];
	memcpy(&w, want + (i & ~7ull), len - (i & ~7ull) < 8 ? len - (i & ~7ull) : 8);
	memcpy(&g, got + (i & ~7ull), len - (i & ~7ull) < 8 ? len - (i & ~7ull) : 8);
	printf("node %u, %s of %s, %" PRIu64 " bytes at %" PRIu64 ": byte %" PRIu64
	       " is wrong, and %" PRIu64 " others; there is %016" PRIx64 ", not %016" PRIx64
	       "\n", n->id + 1, ops[op].name, target_name[target], len, off, off + i,
	       bad - 1, g, w);
	show_history(target, off + i);
	printf("SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	_exit(1);
}

static void compare(struct node *n, int target, enum op op, uint64_t off, uint64_t len,
		    const unsigned char *got)
{
	if (memcmp(got, model[target] + off, len))
		wrong(n, target, op, off, len, got, model[target] + off);
}

/* ---- choices ---- */

static uint64_t rnd(struct node *n)
{
	uint64_t z = (n->random += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static uint64_t part_start(unsigned int node)
{
	return size / PAGE * node / count * PAGE;
}

static uint64_t part_end(unsigned int node)
{
	return node + 1 == count ? size : part_start(node + 1);
}

/* A range within a node's part: mostly small, now and then of many grains. */
static void choose(struct node *n, unsigned int part, uint64_t align, uint64_t *off,
		   uint64_t *len)
{
	uint64_t start = part_start(part), room = part_end(part) - start;
	uint64_t dice = rnd(n) % 32;
	uint64_t most = dice > 6 ? 8 << 10 : dice ? 64 << 10 : MAX_IO;

	if (most > room)
		most = room;
	*len = (rnd(n) % most / align + 1) * align;
	if (*len > most)
		*len = most / align * align;
	*off = start + rnd(n) % ((room - *len) / align + 1) * align;
}

/* Every 8 bytes say which write they are of, and where. */
static void fill(unsigned char *buf, uint64_t off, uint64_t len)
{
	uint64_t id = next_write++ << 32, word, i = 0, n;

	if (off % 8 == 0) {
		for (; i + 8 <= len; i += 8)
			*(uint64_t *)(buf + i) = id | (off + i) / 8;
	}
	for (; i < len; i += n) {
		word = id | (off + i) / 8;
		n = 8 - (off + i) % 8;
		if (n > len - i)
			n = len - i;
		memcpy(buf + i, (char *)&word + (off + i) % 8, n);
	}
}

/* ---- operations on a node's own part ---- */

static void check_rw(ssize_t r, uint64_t len, const char *what)
{
	if (r >= 0 && (uint64_t)r != len) {
		printf("%s: short\n", what);
		exit(1);
	}
	if (r < 0)
		die(what);
}

static void sync_part(struct node *n, int target)
{
	if (n->part[target].dirty && fsync(n->buffered[target]))
		die("fsync");
	n->part[target].dirty = false;
}

static void drop_pages(struct node *n, int target, uint64_t off, uint64_t len)
{
	int r = posix_fadvise(n->buffered[target], off, len, POSIX_FADV_DONTNEED);

	if (r) {
		errno = r;
		die("fadvise");
	}
}

/* Before its page cache is used again. */
static void freshen(struct node *n, int target)
{
	if (!n->part[target].stale)
		return;
	sync_part(n, target);
	drop_pages(n, target, part_start(n->id), part_end(n->id) - part_start(n->id));
	n->part[target].stale = false;
}

static void op_rw(struct node *n, int target, enum op op, bool direct)
{
	int fd = direct ? n->direct[target] : n->buffered[target];
	uint64_t off, len;

	choose(n, n->id, direct ? unit : 1, &off, &len);
	note(n, target, op, off, len);
	if (op == READ || op == BREAD) {
		check_rw(pread(fd, n->buf[0], len, off), len, "read");
		compare(n, target, op, off, len, n->buf[0]);
		return;
	}
	fill(model[target] + off, off, len);
	memcpy(n->buf[0], model[target] + off, len);
	check_rw(pwrite(fd, n->buf[0], len, off), len, "write");
	n->part[target].dirty |= !direct;
}

/* Pieces of odd sizes: one bio of many segments. */
static void op_vec(struct node *n, int target, enum op op)
{
	struct iovec iov[8];
	uint64_t off, len, at = 0, step;
	int i;

	choose(n, n->id, unit, &off, &len);
	note(n, target, op, off, len);
	for (i = 0; i < 8 && at < len; i++, at += step) {
		step = (rnd(n) % 8 + 1) * unit;
		if (step > len - at || i == 7)
			step = len - at;
		iov[i] = (struct iovec){ n->buf[0] + at, step };
	}
	if (op == READV) {
		check_rw(preadv(n->direct[target], iov, i, off), len, "readv");
		compare(n, target, op, off, len, n->buf[0]);
		return;
	}
	fill(model[target] + off, off, len);
	memcpy(n->buf[0], model[target] + off, len);
	check_rw(pwritev(n->direct[target], iov, i, off), len, "writev");
}

static void op_map(struct node *n, int target, enum op op)
{
	uint64_t off, len, start;
	unsigned char *p;

	choose(n, n->id, 1, &off, &len);
	note(n, target, op, off, len);
	start = off / PAGE * PAGE;
	p = mmap(NULL, off + len - start, PROT_READ | PROT_WRITE, MAP_SHARED,
		 n->buffered[target], start);
	if (p == MAP_FAILED)
		die("mmap");
	if (op == MREAD) {
		compare(n, target, op, off, len, p + (off - start));
	} else {
		fill(model[target] + off, off, len);
		memcpy(p + (off - start), model[target] + off, len);
		if (rnd(n) % 2) {
			if (msync(p, off + len - start, MS_SYNC))
				die("msync");
		} else {
			n->part[target].dirty = true;
		}
	}
	munmap(p, off + len - start);
}

/* Several I/Os in flight that do not touch each other. */
static void op_aio(struct node *n, int target)
{
	uint64_t start = part_start(n->id);
	uint64_t each = (part_end(n->id) - start) / AIOS / unit * unit;
	struct iocb iocb[AIOS] = { 0 }, *list[AIOS];
	struct io_event event[AIOS];
	unsigned int i, got = 0, want = rnd(n) % AIOS + 1;
	long r;

	for (i = 0; i < want; i++) {
		uint64_t len = (rnd(n) % 32 + 1) * unit, off;
		bool write = rnd(n) % 2;

		if (len > each)
			len = each;
		off = start + i * each + rnd(n) % ((each - len) / unit + 1) * unit;
		note(n, target, write ? AIO : READ, off, len);
		iocb[i].aio_fildes = n->direct[target];
		iocb[i].aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		iocb[i].aio_buf = (uintptr_t)n->buf[i];
		iocb[i].aio_nbytes = len;
		iocb[i].aio_offset = off;
		iocb[i].aio_data = i;
		list[i] = &iocb[i];
		if (!write)
			continue;
		fill(model[target] + off, off, len);
		memcpy(n->buf[i], model[target] + off, len);
	}
	for (i = 0; i < want; i += r) {
		r = syscall(SYS_io_submit, n->aio, want - i, list + i);
		if (r <= 0)
			die("io_submit");
	}
	while (got < want) {
		r = syscall(SYS_io_getevents, n->aio, 1, want - got, event, NULL);
		if (r < 0)
			die("io_getevents");
		for (i = 0; i < r; i++) {
			struct iocb *io = &iocb[event[i].data];

			if (event[i].res < 0)
				errno = -event[i].res;
			check_rw(event[i].res < 0 ? -1 : event[i].res, io->aio_nbytes, "aio");
			if (io->aio_lio_opcode == IOCB_CMD_PREAD)
				compare(n, target, AIO, io->aio_offset, io->aio_nbytes,
					n->buf[event[i].data]);
		}
		got += r;
	}
}

/* What would have to wait says EAGAIN, and then is written anew. */
static void op_nowait(struct node *n, int target)
{
	uint64_t off, len;
	struct iovec iov;
	ssize_t r;

	choose(n, n->id, unit, &off, &len);
	note(n, target, NOWAIT, off, len);
	fill(model[target] + off, off, len);
	memcpy(n->buf[0], model[target] + off, len);
	iov = (struct iovec){ n->buf[0], len };
	r = pwritev2(n->direct[target], &iov, 1, off, RWF_NOWAIT);
	if (r == (ssize_t)len)
		return;
	if (r < 0 && errno != EAGAIN && errno != EOPNOTSUPP)
		die("nowait");
	again++;
	check_rw(pwrite(n->direct[target], n->buf[0], len, off), len, "write");
}

/*
 * Discards and zeroes clear what they cover in the page cache, also in a page they
 * cover in part, and whatever the device made of them.
 */
static void leave_pages(struct node *n, int target)
{
	sync_part(n, target);
	n->part[target].stale = true;
}

static void op_zero(struct node *n, int target)
{
	uint64_t range[2];

	choose(n, n->id, unit, &range[0], &range[1]);
	note(n, target, ZERO, range[0], range[1]);
	leave_pages(n, target);
	if (ioctl(n->direct[target], BLKZEROOUT, range))
		die("BLKZEROOUT");
	memset(model[target] + range[0], 0, range[1]);
}

static void op_discard(struct node *n, int target)
{
	static const unsigned char zeroes[PAGE];
	uint64_t range[2], i, at;

	choose(n, n->id, unit, &range[0], &range[1]);
	leave_pages(n, target);
	if (ioctl(n->direct[target], BLKDISCARD, range)) {
		if (errno != EOPNOTSUPP)
			die("BLKDISCARD");
		return;
	}
	note(n, target, DISCARD, range[0], range[1]);
	check_rw(pread(n->direct[target], n->buf[0], range[1], range[0]), range[1], "read");
	for (i = 0; i < range[1]; i += unit) {
		at = range[0] + i;
		if (!memcmp(n->buf[0] + i, zeroes, unit))
			memset(model[target] + at, 0, unit);
		else
			compare(n, target, DISCARD, at, unit, n->buf[0] + i);
	}
}

/* ---- others' parts, and all at once ---- */

/* The part's lock is held, so its node is not at it. */
static void op_others(struct node *n, int target, enum op op, unsigned int part)
{
	struct node *home = &nodes[part];
	uint64_t off, len;

	choose(n, part, unit, &off, &len);
	note(n, target, op, off, len);
	sync_part(home, target);
	if (op == OTHERS_READ) {
		check_rw(pread(n->direct[target], n->buf[0], len, off), len, "read");
		compare(n, target, op, off, len, n->buf[0]);
		return;
	}
	fill(model[target] + off, off, len);
	memcpy(n->buf[0], model[target] + off, len);
	check_rw(pwrite(n->direct[target], n->buf[0], len, off), len, "write");
	home->part[target].stale = true;
}

/* As "dmsetup message" does, without a process for each. */
static void send_message(const char *text)
{
	union {
		struct dm_ioctl dm;
		char room[1024];
	} u = { .dm = {
		.version = { DM_VERSION_MAJOR, 0, 0 },
		.data_size = sizeof(u),
		.data_start = sizeof(u.dm),
	} };
	struct dm_target_msg *msg = (void *)(u.room + sizeof(u.dm));
	const char *what = strchr(text, ' ');

	snprintf(u.dm.name, sizeof(u.dm.name), "%.*s", (int)(what - text), text);
	strcpy(msg->message, what + 1);
	if (ioctl(control, DM_TARGET_MSG, &u))
		die(text);
}

static void sync_all(int target)
{
	for (unsigned int i = 0; i < count; i++)
		sync_part(&nodes[i], target);
}

/* No operation is under way on any node. */
static void op_trigger(struct node *n, bool begin)
{
	uint64_t off = part_start(n->id);

	if (valid[B])
		sync_all(B);
	if (begin) {
		sync_all(A);
		send_message(trigger);
		memcpy(model[B], model[A], size);
	} else {
		send_message(stop);
		if (pread(n->direct[B], n->buf[0], unit, off) >= 0 || errno != EIO) {
			printf("a copy that was stopped is read\n");
			exit(1);
		}
	}
	valid[B] = begin;
	note(n, begin ? B : A, begin ? TRIGGER : STOP, 0, begin ? size : 0);
	for (unsigned int i = 0; i < count; i++) {
		drop_pages(&nodes[i], B, 0, 0);
		nodes[i].part[B].stale = false;
	}
}

static void do_op(struct node *n, int target, enum op op)
{
	switch (op) {
	case READ:
	case WRITE:
		op_rw(n, target, op, true);
		break;
	case BREAD:
	case BWRITE:
		freshen(n, target);
		op_rw(n, target, op, false);
		break;
	case READV:
	case WRITEV:
		op_vec(n, target, op);
		break;
	case MREAD:
	case MWRITE:
		freshen(n, target);
		op_map(n, target, op);
		break;
	case SYNC:
		note(n, target, op, 0, 0);
		n->part[target].dirty = true;
		sync_part(n, target);
		break;
	case AIO:
		op_aio(n, target);
		break;
	case NOWAIT:
		op_nowait(n, target);
		break;
	case ZERO:
		op_zero(n, target);
		break;
	case DISCARD:
		op_discard(n, target);
		break;
	default:
		break;
	}
}

static enum op choose_op(struct node *n)
{
	unsigned int sum = 0, r;
	int op;

	for (op = 0; op < OPS; op++)
		sum += ops[op].weight;
	for (r = rnd(n) % sum, op = 0; r >= ops[op].weight; op++)
		r -= ops[op].weight;
	/* rarer than a weight can say */
	if ((op == TRIGGER && (!trigger || rnd(n) % 2)) ||
	    (op == STOP && (!stop || rnd(n) % 8)) ||
	    (op == DISCARD && no_discard) ||
	    ((op == OTHERS_READ || op == OTHERS_WRITE) && count == 1))
		return READ;
	return op;
}

static void step(struct node *n)
{
	enum op op = choose_op(n);
	unsigned int part = n->id;
	int target;

	if (op == TRIGGER || op == STOP) {
		pthread_rwlock_wrlock(&still);
		op_trigger(n, op == TRIGGER);
		pthread_rwlock_unlock(&still);
		return;
	}
	pthread_rwlock_rdlock(&still);
	target = valid[B] && rnd(n) % 5 < 2 ? B : A;
	if (op == OTHERS_READ || op == OTHERS_WRITE)
		part = (n->id + 1 + rnd(n) % (count - 1)) % count;
	pthread_mutex_lock(&nodes[part].part[target].lock);
	if (part == n->id)
		do_op(n, target, op);
	else
		op_others(n, target, op, part);
	pthread_mutex_unlock(&nodes[part].part[target].lock);
	pthread_rwlock_unlock(&still);
}

static void *run(void *data)
{
	struct node *n = data;

	for (uint64_t i = 0; i < limit && !over; i++)
		step(n);
	return NULL;
}

static void *disturb(void *data)
{
	struct node *n = data;
	uint64_t next = 0;

	while (!over) {
		while (!over && events < next)
			usleep(5000);
		send_message(extra[rnd(n) % extras]);
		next = events + rnd(n) % 200;
	}
	return NULL;
}

/* ---- beginning and end ---- */

static void open_target(struct node *n, int target, const char *path)
{
	uint64_t bytes;
	int sector;

	n->direct[target] = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	n->buffered[target] = open(path, O_RDWR | O_CLOEXEC);
	if (n->direct[target] < 0 || n->buffered[target] < 0 ||
	    ioctl(n->direct[target], BLKGETSIZE64, &bytes) ||
	    ioctl(n->direct[target], BLKSSZGET, &sector))
		die(path);
	if (!size)
		size = bytes;
	if (bytes != size) {
		printf("%s: the devices differ in size\n", path);
		exit(1);
	}
	if ((uint64_t)sector > unit)
		unit = sector;
	pthread_mutex_init(&n->part[target].lock, NULL);
}

/* All nodes have a copy, or none has. */
static bool add_node(char *arg)
{
	struct node *n = &nodes[count];
	char *copy = strchr(arg, ':');
	int i;

	if (copy)
		*copy++ = 0;
	if (count && has_copy != (copy != NULL))
		return false;
	has_copy = copy != NULL;
	n->id = count++;
	n->random = seed * NODES + n->id;
	open_target(n, A, arg);
	if (copy)
		open_target(n, B, copy);
	for (i = 0; i < AIOS; i++) {
		n->buf[i] = aligned_alloc(PAGE, MAX_IO);
		if (!n->buf[i])
			die("memory");
	}
	if (syscall(SYS_io_setup, AIOS, &n->aio))
		die("io_setup");
	return true;
}

static void load(int target)
{
	uint64_t off, len;

	for (off = 0; off < size; off += len) {
		len = size - off < MAX_IO ? size - off : MAX_IO;
		check_rw(pread(nodes[0].direct[target], nodes[0].buf[0], len, off), len,
			 "read");
		memcpy(model[target] + off, nodes[0].buf[0], len);
	}
}

static void verify(struct node *n, int target)
{
	uint64_t off, len;

	for (off = 0; off < size; off += len) {
		len = size - off < MAX_IO ? size - off : MAX_IO;
		check_rw(pread(n->direct[target], n->buf[0], len, off), len, "read");
		compare(n, target, READ, off, len, n->buf[0]);
	}
}

static void begin(void)
{
	for (int t = 0; t < TARGETS; t++) {
		model[t] = malloc(size);
		if (!model[t])
			die("memory");
	}
	load(A);
	if (!has_copy)
		return;
	if (trigger)
		op_trigger(&nodes[0], true);
	else
		load(B);
	valid[B] = true;
}

static void end(const char *out)
{
	uint64_t sum = 0;

	for (int t = 0; t < TARGETS; t++) {
		if (!valid[t])
			continue;
		sync_all(t);
		for (unsigned int i = 0; i < count; i++)
			verify(&nodes[i], t);
	}
	if (out) {
		FILE *f = fopen(out, "w");

		if (!f || fwrite(model[A], size, 1, f) != 1 || fclose(f))
			die(out);
	}
	for (int op = 0; op < OPS; op++)
		sum += done[op];
	printf("%" PRIu64 " operations:", sum);
	for (int op = 0; op < OPS; op++)
		printf("%s %" PRIu64 " %s", op ? "," : "", done[op], ops[op].name);
	printf(" (%" PRIu64 " would wait); SEED=%" PRIu64 "\n", again, seed);
}

static int usage(void)
{
	fprintf(stderr, "exercise: bad arguments\n");
	return 2;
}

static const char *message(const char *text)
{
	if (!strchr(text, ' ') || strlen(text) > 500)
		exit(usage());
	return text;
}

int main(int argc, char **argv)
{
	struct node troubles = { .random = 0 };
	const char *out = NULL;
	struct timespec ts;
	pthread_t thread;
	unsigned int i;
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "S:n:s:t:p:x:o:d")) != -1) {
		switch (c) {
		case 'S': seed = strtoull(optarg, NULL, 0); break;
		case 'n': limit = strtoull(optarg, NULL, 0); break;
		case 's': seconds = atoi(optarg); break;
		case 't': trigger = message(optarg); break;
		case 'p': stop = message(optarg); break;
		case 'o': out = optarg; break;
		case 'd': no_discard = true; break;
		case 'x':
			if (extras == sizeof(extra) / sizeof(*extra))
				return usage();
			extra[extras++] = message(optarg);
			break;
		default: return usage();
		}
	}
	if (optind == argc || argc - optind > NODES)
		return usage();
	for (; optind < argc; optind++)
		if (!add_node(argv[optind]))
			return usage();
	if ((trigger || stop) && !has_copy)
		return usage();
	control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	begin();
	troubles.random = seed * NODES + NODES - 1;
	if (extras && pthread_create(&thread, NULL, disturb, &troubles))
		die("thread");
	for (i = 0; i < count; i++)
		if (pthread_create(&nodes[i].thread, NULL, run, &nodes[i]))
			die("thread");
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += seconds;
	for (i = 0; i < count; i++)
		if (pthread_timedjoin_np(nodes[i].thread, NULL, &ts)) {
			over = true;
			pthread_join(nodes[i].thread, NULL);
		}
	over = true;
	if (extras)
		pthread_join(thread, NULL);
	end(out);
	return 0;
}
