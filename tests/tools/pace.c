// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O at a steady pace, and when each began and ended.
 *
 *   pace DEV read|write FIRST COUNT STEP once|random THREADS PER-SECOND SECONDS [SEED]
 *
 * 4 KiB with O_DIRECT at sectors FIRST, FIRST + STEP, ... COUNT of them, in random order:
 * each once, or any again and again. A thread waits for its own I/O, and begins
 * PER-SECOND / THREADS of them a second (0: one right after the other); what it is late it
 * does not make up for. After SECONDS none begins; what is under way is waited for.
 *
 * Prints a line "BEGAN ENDED ERROR" for each, in microseconds of CLOCK_MONOTONIC.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECTOR	512
#define BYTES	4096
#define THREADS	256

struct entry {
	uint64_t began, ended;
	int error;
};

static struct thread {
	pthread_t id;
	unsigned int nr;
	struct entry *log;
	size_t count, room;
} threads[THREADS];

static int fd;
static bool writes, once;
static uint64_t first, count, step, lasts, start, gap, seed;
static uint32_t *order;
static atomic_uint_fast64_t next;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static uint64_t rnd(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void shuffle(void)
{
	uint64_t i, k, state = seed;
	uint32_t was;

	order = calloc(count, sizeof(*order));
	if (!order)
		die("memory");
	for (i = 0; i < count; i++)
		order[i] = i;
	for (i = count; once && i-- > 1;) {
		k = rnd(&state) % (i + 1);
		was = order[i];
		order[i] = order[k];
		order[k] = was;
	}
}

static struct entry *entry(struct thread *t)
{
	if (t->count == t->room) {
		t->room = t->room * 2 + 256;
		t->log = realloc(t->log, t->room * sizeof(*t->log));
		if (!t->log)
			die("memory");
	}
	return &t->log[t->count++];
}

static void one(struct thread *t, void *buf, uint64_t at)
{
	off_t off = (first + order[at] * step) * SECTOR;
	struct entry *e = entry(t);
	ssize_t r;

	e->began = now();
	r = writes ? pwrite(fd, buf, BYTES, off) : pread(fd, buf, BYTES, off);
	e->error = r == BYTES ? 0 : r < 0 ? errno : EIO;
	e->ended = now();
}

static void *work(void *data)
{
	struct thread *t = data;
	uint64_t state = seed + t->nr + 1, at, due = start;
	void *buf = aligned_alloc(BYTES, BYTES);

	memset(buf, t->nr, BYTES);
	/* each begins somewhere in its first gap */
	due += gap ? rnd(&state) % gap : 0;
	while (now() < start + lasts) {
		if (now() < due) {
			usleep(due - now());
			continue;
		}
		at = once ? next++ : rnd(&state) % count;
		if (at >= count)
			break;
		one(t, buf, at);
		while (gap && due <= now())
			due += gap;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned int n, i;
	uint64_t rate;
	size_t k;

	if (argc < 10) {
		fprintf(stderr, "usage: see the head of pace.c\n");
		return 2;
	}
	writes = !strcmp(argv[2], "write");
	first = strtoull(argv[3], NULL, 0);
	count = strtoull(argv[4], NULL, 0);
	step = strtoull(argv[5], NULL, 0);
	once = !strcmp(argv[6], "once");
	n = strtoul(argv[7], NULL, 0);
	rate = strtoull(argv[8], NULL, 0);
	lasts = strtod(argv[9], NULL) * 1000000;
	seed = argc > 10 ? strtoull(argv[10], NULL, 0) : 1;
	gap = rate ? n * 1000000 / rate : 0;
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0 || !n || n > THREADS)
		die(argv[1]);
	shuffle();
	start = now();
	for (i = 0; i < n; i++) {
		threads[i].nr = i;
		if (pthread_create(&threads[i].id, NULL, work, &threads[i]))
			die("thread");
	}
	for (i = 0; i < n; i++) {
		pthread_join(threads[i].id, NULL);
		for (k = 0; k < threads[i].count; k++)
			printf("%" PRIu64 " %" PRIu64 " %d\n",
			       threads[i].log[k].began, threads[i].log[k].ended,
			       threads[i].log[k].error);
	}
	return 0;
}
