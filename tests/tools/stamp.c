// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stamped sectors: every sector that is written says by whom (a seed) and where.
 * All I/O is O_DIRECT; offsets and lengths are in sectors of 512 bytes.
 *
 *   stamp write DEV SEED [OFF [LEN [BS]]]	$MODEL is updated, if set; BS sectors at once
 *   stamp read DEV [OFF [LEN [BS]]]		prints runs, "SEED*COUNT ...": 0 is a zero
 *						sector, ? no stamp, SEED@ one of another
 *						place, EIO (or so) an error of BS sectors
 *   stamp nowait DEV read|write OFF LEN [SEED]	one I/O with RWF_NOWAIT; prints ok or the error
 *   stamp stomp DEV SEED COUNT RSEED [MAX]	random writes of up to MAX sectors; $MODEL
 *   stamp verify DEV MODEL			is the device what the model says?
 *   stamp race DEV LOG MS THREADS RSEED	writers for MS milliseconds (or until killed by
 *						SIGTERM); the log says when each began and ended
 *   stamp cut DEV LOG T0 T1			is DEV one cut of those writes, of a moment
 *						between T0 and T1 (as printed by stamp clock)?
 *   stamp sum DEV...			one number for what the devices hold
 *   stamp clock
 *
 * A model is a file of one 32-bit seed per sector.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SECTOR		512
#define MAX_IO		(4 << 20)
#define WORDS		(SECTOR / 8)
#define MAGIC		0x66636c6f636b2121ull
#define RACE_SECTORS	8		/* of one write of a race */
#define RACE_FIRST	1000000		/* seeds of a race begin here */

static int fd = -1;
static uint64_t dev_sectors;
static uint32_t *model;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

static void open_dev(const char *path, int flags)
{
	struct stat st;

	fd = open(path, flags | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		die(path);
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, &dev_sectors))
			die("BLKGETSIZE64");
	} else {
		dev_sectors = st.st_size;
	}
	dev_sectors /= SECTOR;
}

static void open_model(const char *path)
{
	int m = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (m < 0 || ftruncate(m, dev_sectors * sizeof(*model)))
		die(path);
	model = mmap(NULL, dev_sectors * sizeof(*model), PROT_READ | PROT_WRITE,
		     MAP_SHARED, m, 0);
	if (model == MAP_FAILED)
		die(path);
}

static void *buffer(void)
{
	void *p = aligned_alloc(4096, MAX_IO);

	if (!p)
		die("memory");
	return p;
}

static void fill(uint64_t *buf, uint64_t sector, uint64_t count, uint32_t seed)
{
	for (uint64_t s = 0; s < count; s++, buf += WORDS) {
		for (int i = 0; i < WORDS; i++)
			buf[i] = MAGIC ^ ((uint64_t)seed << 20) * (i + 1);
		buf[0] = MAGIC;
		buf[1] = seed;
		buf[2] = sector + s;
	}
}

/* Text for one sector; @seed if it is a whole stamp of its own place, else -1. */
static const char *look(const uint64_t *buf, uint64_t sector, int64_t *seed)
{
	static const uint64_t zeroes[WORDS];
	static char text[32];
	uint64_t want[WORDS];

	*seed = -1;
	if (!memcmp(buf, zeroes, SECTOR)) {
		*seed = 0;
		return "0";
	}
	fill(want, buf[2], 1, buf[1]);
	if (buf[1] > UINT32_MAX || memcmp(want, buf, SECTOR))
		return "?";
	if (buf[2] == sector)
		*seed = buf[1];
	snprintf(text, sizeof(text), "%" PRIu64 "%s", buf[1],
		 buf[2] == sector ? "" : "@");
	return text;
}

/* Argument @n, or @none if there are fewer. */
static uint64_t arg(char **argv, int n, uint64_t none)
{
	for (int i = 0; i <= n; i++)
		if (!argv[i])
			return none;
	return strtoull(argv[n], NULL, 0);
}

static void write_one(void *buf, uint64_t off, uint64_t n, uint32_t seed)
{
	fill(buf, off, n, seed);
	if (pwrite(fd, buf, n * SECTOR, off * SECTOR) != (ssize_t)(n * SECTOR)) {
		printf("%s at %" PRIu64 "\n", strerrorname_np(errno), off);
		exit(1);
	}
	for (uint64_t i = 0; model && i < n; i++)
		model[off + i] = seed;
}

static int cmd_write(char **argv)
{
	uint32_t seed = arg(argv, 1, 0);
	uint64_t off = arg(argv, 2, 0), end, bs = arg(argv, 4, 2048), n;
	void *buf = buffer();

	open_dev(argv[0], O_RDWR);
	if (getenv("MODEL"))
		open_model(getenv("MODEL"));
	end = off + arg(argv, 3, dev_sectors - off);
	for (; off < end; off += n) {
		n = end - off < bs ? end - off : bs;
		write_one(buf, off, n, seed);
	}
	return 0;
}

static void emit(const char *text, uint64_t n)
{
	static char last[32];
	static uint64_t count;
	static bool any;

	if (text && !strcmp(text, last)) {
		count += n;
		return;
	}
	if (count)
		printf("%s%s*%" PRIu64, any ? " " : "", last, count);
	any |= count;
	count = n;
	snprintf(last, sizeof(last), "%s", text ? text : "");
}

static int cmd_read(char **argv)
{
	uint64_t off = arg(argv, 1, 0), end, bs = arg(argv, 3, 2048), n, s;
	uint64_t *buf = buffer();
	int64_t seed;

	open_dev(argv[0], O_RDONLY);
	end = off + arg(argv, 2, dev_sectors - off);
	for (; off < end; off += n) {
		n = end - off < bs ? end - off : bs;
		if (pread(fd, buf, n * SECTOR, off * SECTOR) !=
		    (ssize_t)(n * SECTOR)) {
			emit(errno ? strerrorname_np(errno) : "short", n);
			continue;
		}
		for (s = 0; s < n; s++)
			emit(look(buf + s * WORDS, off + s, &seed), 1);
	}
	emit(NULL, 0);
	printf("\n");
	return 0;
}

static int cmd_nowait(char **argv)
{
	bool write = !strcmp(argv[1], "write");
	uint64_t off = arg(argv, 2, 0), n = arg(argv, 3, 8);
	struct iovec iov = { buffer(), n * SECTOR };
	ssize_t r;

	open_dev(argv[0], O_RDWR);
	fill(iov.iov_base, off, n, arg(argv, 4, 0));
	if (write)
		r = pwritev2(fd, &iov, 1, off * SECTOR, RWF_NOWAIT);
	else
		r = preadv2(fd, &iov, 1, off * SECTOR, RWF_NOWAIT);
	printf("%s\n", r < 0 ? strerrorname_np(errno) :
	       r == (ssize_t)(n * SECTOR) ? "ok" : "short");
	return 0;
}

static uint64_t rnd(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static int cmd_stomp(char **argv)
{
	uint32_t seed = arg(argv, 1, 0);
	uint64_t count = arg(argv, 2, 0), r = arg(argv, 3, 0);
	uint64_t max = arg(argv, 4, 64), n, off;
	void *buf = buffer();

	open_dev(argv[0], O_RDWR);
	if (getenv("MODEL"))
		open_model(getenv("MODEL"));
	while (count--) {
		n = rnd(&r) % max + 1;
		off = rnd(&r) % (dev_sectors - n + 1);
		write_one(buf, off, n, seed);
	}
	return 0;
}

static int cmd_verify(char **argv)
{
	uint64_t off, n, s, bad = 0;
	uint64_t *buf = buffer();
	int64_t seed;

	open_dev(argv[0], O_RDONLY);
	open_model(argv[1]);
	for (off = 0; off < dev_sectors; off += n) {
		n = dev_sectors - off < 2048 ? dev_sectors - off : 2048;
		if (pread(fd, buf, n * SECTOR, off * SECTOR) !=
		    (ssize_t)(n * SECTOR))
			die("read");
		for (s = 0; s < n; s++) {
			const char *text = look(buf + s * WORDS, off + s, &seed);

			if (seed == model[off + s])
				continue;
			if (!bad++)
				printf("sector %" PRIu64 " is %s, not %u\n",
				       off + s, text, model[off + s]);
		}
	}
	if (bad)
		printf("%" PRIu64 " sectors differ\n", bad);
	return bad != 0;
}

/* ---- races ---- */

struct entry {
	uint64_t seed, block, began, ended;
};

static struct race {
	pthread_t thread;
	uint64_t random;
	struct entry *log;
	uint64_t count, room;
} *races;
static atomic_uint next_seed = RACE_FIRST;
static atomic_bool *busy;		/* by block: no two writes of one at once, they could mix */
static atomic_bool stop;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void *racer(void *data)
{
	struct race *r = data;
	void *buf = buffer();
	uint64_t blocks = dev_sectors / RACE_SECTORS;

	while (!stop) {
		uint64_t block = rnd(&r->random) % blocks;
		struct entry *e;

		if (atomic_exchange(&busy[block], true))
			continue;
		if (r->count == r->room) {
			r->room = r->room * 2 + 1024;
			r->log = realloc(r->log, r->room * sizeof(*r->log));
			if (!r->log)
				die("memory");
		}
		e = &r->log[r->count++];
		e->seed = next_seed++;
		e->block = block;
		e->began = now();
		write_one(buf, e->block * RACE_SECTORS, RACE_SECTORS, e->seed);
		e->ended = now();
		busy[block] = false;
	}
	return NULL;
}

static void on_term(int sig)
{
	(void)sig;
	stop = true;
}

static int cmd_race(char **argv)
{
	uint64_t end = now() + arg(argv, 2, 0) * 1000000;
	unsigned int threads = arg(argv, 3, 1), i;
	FILE *log;

	open_dev(argv[0], O_RDWR);
	signal(SIGTERM, on_term);
	races = calloc(threads, sizeof(*races));
	busy = calloc(dev_sectors / RACE_SECTORS + 1, sizeof(*busy));
	if (!races || !busy)
		die("memory");
	for (i = 0; i < threads; i++) {
		races[i].random = arg(argv, 4, 0) * 1000 + i;
		pthread_create(&races[i].thread, NULL, racer, &races[i]);
	}
	while (!stop && now() < end)
		usleep(10000);
	stop = true;
	log = fopen(argv[1], "w");
	if (!log)
		die(argv[1]);
	for (i = 0; i < threads; i++) {
		pthread_join(races[i].thread, NULL);
		fwrite(races[i].log, sizeof(struct entry), races[i].count, log);
	}
	if (fclose(log))
		die(argv[1]);
	printf("%u writes\n", next_seed - RACE_FIRST);
	return 0;
}

/*
 * A write is in DEV if its block holds it or one that did not end before it
 * began. All that ended before T0, or before any write that DEV holds began, must
 * be in; none that began after T1 may be.
 */
static int cmd_cut(char **argv)
{
	uint64_t t0 = arg(argv, 2, 0), t1 = arg(argv, 3, 0), cut = t0;
	uint64_t blocks, b, n, i, bad = 0, held = 0;
	struct entry *log, **by_seed;
	uint64_t *began, *buf = buffer(), *value;
	struct stat st;
	int64_t seed;
	FILE *f = fopen(argv[1], "r");

	open_dev(argv[0], O_RDONLY);
	if (!f || fstat(fileno(f), &st))
		die(argv[1]);
	n = st.st_size / sizeof(*log);
	log = malloc(st.st_size + 1);
	by_seed = calloc(n + 1, sizeof(*by_seed));
	if (fread(log, sizeof(*log), n, f) != n)
		die(argv[1]);
	for (i = 0; i < n; i++)
		by_seed[log[i].seed - RACE_FIRST] = &log[i];
	blocks = dev_sectors / RACE_SECTORS;
	value = calloc(blocks, sizeof(*value));
	began = calloc(blocks, sizeof(*began));
	for (b = 0; b < blocks; b++) {
		if (pread(fd, buf, RACE_SECTORS * SECTOR,
			  b * RACE_SECTORS * SECTOR) != RACE_SECTORS * SECTOR)
			die("read");
		for (i = 0; i < RACE_SECTORS; i++) {
			const char *text = look(buf + i * WORDS,
						b * RACE_SECTORS + i, &seed);

			if (seed >= 0 && (!i || (uint64_t)seed == value[b])) {
				value[b] = seed;
				continue;
			}
			printf("block %" PRIu64 ": sector %" PRIu64 " is %s\n",
			       b, i, text);
			bad++;
		}
		if (value[b] < RACE_FIRST)
			continue;
		held++;
		if (value[b] - RACE_FIRST >= n) {
			printf("block %" PRIu64 ": nobody wrote %" PRIu64 "\n",
			       b, value[b]);
			return 1;
		}
		if (by_seed[value[b] - RACE_FIRST]->began > cut)
			cut = by_seed[value[b] - RACE_FIRST]->began;
	}
	if (cut > t1) {
		printf("a write that began %" PRIu64 " ns after the trigger is in\n",
		       cut - t1);
		bad++;
	}
	for (i = 0; i < n; i++)
		if (log[i].ended < cut && log[i].began > began[log[i].block])
			began[log[i].block] = log[i].began;
	for (b = 0; b < blocks; b++) {
		uint64_t ended = value[b] < RACE_FIRST ? 0 :
			by_seed[value[b] - RACE_FIRST]->ended;

		if (ended < began[b] && bad++ < 5)
			printf("block %" PRIu64 " lacks a write that had ended\n", b);
	}
	printf("%" PRIu64 " writes, %" PRIu64 " blocks of %" PRIu64
	       " held, %" PRIu64 " bad\n", n, held, blocks, bad);
	return bad != 0;
}

static int cmd_sum(char **argv)
{
	uint64_t sum = MAGIC, *buf = buffer();

	for (; *argv; argv++) {
		open_dev(*argv, O_RDONLY);
		for (;;) {
			ssize_t n = read(fd, buf, MAX_IO);

			if (n < 0)
				die("read");
			if (!n)
				break;
			for (ssize_t i = 0; i < n / 8; i++)
				sum = (sum ^ buf[i]) * 0x100000001b3ull +
					(sum >> 29);
		}
		close(fd);
	}
	printf("%016" PRIx64 "\n", sum);
	return 0;
}

static int cmd_clock(char **argv)
{
	(void)argv;
	printf("%" PRIu64 "\n", now());
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **argv);
	} commands[] = {
		{ "write", 2, cmd_write }, { "read", 1, cmd_read },
		{ "nowait", 4, cmd_nowait }, { "stomp", 4, cmd_stomp },
		{ "verify", 2, cmd_verify }, { "race", 5, cmd_race },
		{ "cut", 4, cmd_cut }, { "sum", 1, cmd_sum },
		{ "clock", 0, cmd_clock },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name) &&
		    argc - 2 >= commands[i].args)
			return commands[i].run(argv + 2);
	fprintf(stderr, "stamp: bad arguments\n");
	return 2;
}
