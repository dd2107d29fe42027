// SPDX-License-Identifier: GPL-2.0-only
/*
 * The checker's hands in a guest: writes stamped sectors, reads them back, and
 * sends messages to a device mapper device, and puts down when each of these
 * began and ended.
 *
 * Time is one counter that all guests share: it lies in memory of the host
 * which every guest sees as a PCI device (ivshmem), next to the log. Taking the
 * time is one atomic addition, so the events of all nodes are ordered exactly,
 * no clock is compared, and the log outlives a guest that is killed.
 *
 *	checker hammer SHM COUNT
 *	checker write SHM NODE NODES DEV TARGET [key=value...]
 *	checker sweep SHM NODE NODES DEV TARGET [key=value...]
 *	checker scan SHM DEV AREA [threads=N] [repeat=N]
 *	checker message SHM DM-NAME TEXT
 *
 * SHM is "pci" or a file; TARGET is 255 for the origin, else the slot.
 * The layout of the memory is that of tests/cluster/history.py.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512
#define SHM_SIZE (64ULL << 20)
#define LOG_START (4ULL << 20)
#define LOG_SIZE (12ULL << 20)
#define AREA_START (40ULL << 20)
#define AREA_SIZE (1ULL << 20)
#define AREAS 24
#define MAX_NODES 3
#define MAGIC 0x504d415453434c46ULL	/* "FLCSTAMP" */
#define BAD_SECTOR (~0ULL)
#define ACK_ERROR (~0ULL)

struct record {
	uint64_t where;		/* sector, length << 40, target << 56 */
	uint64_t issue;		/* 0: not there yet */
	uint64_t ack;		/* 0: not ended; ACK_ERROR: failed */
	uint64_t error;
};

struct header {
	uint64_t counter;
	uint64_t nonce;		/* of this run: older stamps are foreign */
	uint64_t pad[6];
	struct {
		uint64_t records;
		uint64_t stop;
		uint64_t pad[6];
	} node[MAX_NODES + 1];
};

struct stamp {
	uint64_t magic;		/* MAGIC ^ nonce */
	uint64_t id;		/* node << 32 | record + 1 */
	uint64_t sector;
	uint64_t fill[61];
};

_Static_assert(sizeof(struct stamp) == SECTOR, "a stamp fills a sector");
_Static_assert(AREA_START + AREAS * AREA_SIZE <= SHM_SIZE, "areas fit");
_Static_assert(LOG_START + MAX_NODES * LOG_SIZE <= AREA_START, "logs fit");

static uint8_t *shm;
static volatile sig_atomic_t ended;

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(errno));
	exit(1);
}

static struct header *header(void)
{
	return (struct header *)shm;
}

static uint64_t now(void)
{
	return __atomic_fetch_add(&header()->counter, 1, __ATOMIC_SEQ_CST);
}

/* ---- the shared memory ---- */

static int pci_word(const char *dev, const char *file, const char *want)
{
	char path[512], text[32] = "";
	FILE *f;
	int same;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", dev, file);
	f = fopen(path, "r");
	if (!f)
		return 0;
	same = fgets(text, sizeof(text), f) && !strncmp(text, want, strlen(want));
	fclose(f);
	return same;
}

/* The memory of the ivshmem device; a device without a driver is disabled. */
static int open_pci(void)
{
	DIR *d = opendir("/sys/bus/pci/devices");
	struct dirent *e;
	char path[512];
	FILE *f;

	while (d && (e = readdir(d))) {
		if (!pci_word(e->d_name, "vendor", "0x1af4") ||
		    !pci_word(e->d_name, "device", "0x1110"))
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable",
			 e->d_name);
		if (!pci_word(e->d_name, "enable", "1") &&
		    (f = fopen(path, "w"))) {
			fputs("1", f);
			fclose(f);
		}
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2",
			 e->d_name);
		closedir(d);
		return open(path, O_RDWR | O_SYNC);
	}
	errno = ENODEV;
	return -1;
}

static void map_shm(const char *name)
{
	int fd = strcmp(name, "pci") ? open(name, O_RDWR) : open_pci();

	if (fd < 0)
		die("%s", name);
	shm = mmap(NULL, SHM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shm == MAP_FAILED)
		die("mmap %s", name);
	close(fd);
	if (!header()->nonce) {
		errno = ENXIO;
		die("%s: no history was begun there", name);
	}
}

/* ---- stamps ---- */

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static void make_stamp(struct stamp *s, uint64_t id, uint64_t sector)
{
	uint64_t word = mix(id ^ sector << 20 ^ header()->nonce);
	unsigned int i;

	s->magic = MAGIC ^ header()->nonce;
	s->id = id;
	s->sector = sector;
	for (i = 0; i < 61; i++)
		s->fill[i] = word + i;
}

/* Return: the id in the sector, 0 for zeroes, BAD_SECTOR for anything else. */
static uint64_t read_stamp(const struct stamp *s, uint64_t sector)
{
	uint64_t word = mix(s->id ^ sector << 20 ^ header()->nonce);
	const uint64_t *w = (const uint64_t *)s;
	unsigned int i;

	if (!s->magic) {
		for (i = 0; i < SECTOR / 8; i++)
			if (w[i])
				return BAD_SECTOR;
		return 0;
	}
	if (s->magic != (MAGIC ^ header()->nonce) || s->sector != sector)
		return BAD_SECTOR;
	for (i = 0; i < 61; i++)
		if (s->fill[i] != word + i)
			return BAD_SECTOR;
	return s->id;
}

/* ---- writers ---- */

static struct {
	unsigned int node, nodes, target;
	int fd;
	uint64_t sectors;
	unsigned int threads, pause, grain, hot, large, sync, repeat;
	uint64_t seed, seconds, first, last;
	uint64_t next;			/* of the sweep */
	uint64_t done, errors;
	int first_error;
} w = { .threads = 4, .grain = 128, .hot = 16, .seed = 1, .repeat = 1 };

static struct record *take_record(uint64_t *id)
{
	uint64_t at = __atomic_fetch_add(&header()->node[w.node].records, 1,
					 __ATOMIC_SEQ_CST);

	if (at >= LOG_SIZE / sizeof(struct record)) {
		errno = ENOSPC;
		die("the log of node %u is full", w.node);
	}
	*id = (uint64_t)w.node << 32 | (at + 1);
	return (struct record *)(shm + LOG_START + (w.node - 1) * LOG_SIZE) + at;
}

static void write_stamped(uint8_t *buf, uint64_t sector, unsigned int n)
{
	struct record *r;
	uint64_t id, ack;
	unsigned int i;
	ssize_t rc;

	r = take_record(&id);
	r->where = sector | (uint64_t)n << 40 | (uint64_t)w.target << 56;
	for (i = 0; i < n; i++)
		make_stamp((struct stamp *)(buf + i * SECTOR), id, sector + i);
	__atomic_store_n(&r->issue, now(), __ATOMIC_SEQ_CST);
	rc = pwrite(w.fd, buf, n * SECTOR, sector * SECTOR);
	if (rc == (ssize_t)n * SECTOR) {
		ack = now();
		__atomic_fetch_add(&w.done, 1, __ATOMIC_RELAXED);
	} else {
		r->error = rc < 0 ? errno : EIO;
		w.first_error = r->error;
		ack = ACK_ERROR;
		__atomic_fetch_add(&w.errors, 1, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&r->ack, ack, __ATOMIC_SEQ_CST);
}

static uint64_t rnd(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ULL;
	return mix(*state);
}

/*
 * A third of the writes goes to a few hot grains, where the nodes meet; a third
 * to 4 KiB blocks of this node's own, so that nodes share grains but no block; a
 * third anywhere.
 */
static void pick(uint64_t *state, uint64_t *sector, unsigned int *n)
{
	uint64_t span = w.last - w.first, block;

	*n = 1 + rnd(state) % 8;
	if (w.large && rnd(state) % 16 == 0)
		*n = w.large;
	switch (rnd(state) % 3) {
	case 0:
		block = mix(rnd(state) % w.hot + 77) % (span / w.grain);
		*sector = block * w.grain + rnd(state) % w.grain;
		break;
	case 1:
		*n = 1 + rnd(state) % 8;
		block = rnd(state) % (span / 8 / w.nodes);
		*sector = (block * w.nodes + w.node - 1) * 8 +
			rnd(state) % (9 - *n);
		break;
	default:
		*sector = rnd(state) % span;
	}
	if (*sector + *n > span)
		*sector = span - *n;
	*sector += w.first;
}

static int stopped(void)
{
	return ended || __atomic_load_n(&header()->node[w.node].stop,
					__ATOMIC_RELAXED);
}

static void *buffer(size_t size)
{
	void *buf;

	if (posix_memalign(&buf, 4096, size))
		die("buffer");
	return buf;
}

static void *writer(void *arg)
{
	uint64_t state = w.seed * 1000003 + w.node * 1009 + w.target * 13 +
		(uintptr_t)arg;
	uint8_t *buf = buffer((w.large > 8 ? w.large : 8) * SECTOR);
	time_t end = time(NULL) + w.seconds;
	uint64_t sector;
	unsigned int n;

	while (!stopped() && (!w.seconds || time(NULL) < end)) {
		pick(&state, &sector, &n);
		write_stamped(buf, sector, n);
		if (w.pause)
			usleep(rnd(&state) % (2 * w.pause));
	}
	return NULL;
}

static void *sweeper(void *arg)
{
	unsigned int step = w.large ? w.large : 256;
	uint8_t *buf = buffer(step * SECTOR);
	uint64_t at;

	(void)arg;
	for (;;) {
		at = __atomic_fetch_add(&w.next, step, __ATOMIC_SEQ_CST);
		if (at >= w.last || stopped())
			return NULL;
		write_stamped(buf, at, w.last - at < step ? w.last - at : step);
	}
}

static void on_signal(int sig)
{
	(void)sig;
	ended = 1;
}

static uint64_t device_sectors(int fd)
{
	uint64_t bytes;
	struct stat st;

	if (!ioctl(fd, BLKGETSIZE64, &bytes))
		return bytes / SECTOR;
	if (fstat(fd, &st))
		die("size of the device");
	return st.st_size / SECTOR;
}

static void run_threads(unsigned int n, void *(*fn)(void *))
{
	pthread_t thread[64];
	unsigned int i;

	for (i = 0; i < n; i++)
		if (pthread_create(&thread[i], NULL, fn, (void *)(uintptr_t)i))
			die("thread");
	for (i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
}

static void options(char **argv)
{
	errno = EINVAL;
	for (; *argv; argv++) {
		char *value = strchr(*argv, '=');
		uint64_t v = value ? strtoull(value + 1, NULL, 0) : 0;

		if (!value)
			die("%s: not key=value", *argv);
		*value = 0;
		if (!strcmp(*argv, "threads"))
			w.threads = v;
		else if (!strcmp(*argv, "seed"))
			w.seed = v;
		else if (!strcmp(*argv, "pause"))	/* mean, in us */
			w.pause = v;
		else if (!strcmp(*argv, "grain"))	/* in sectors */
			w.grain = v;
		else if (!strcmp(*argv, "hot"))		/* grains */
			w.hot = v;
		else if (!strcmp(*argv, "large"))	/* sectors */
			w.large = v;
		else if (!strcmp(*argv, "sync"))	/* O_DSYNC */
			w.sync = v;
		else if (!strcmp(*argv, "repeat"))
			w.repeat = v;
		else if (!strcmp(*argv, "seconds"))
			w.seconds = v;
		else if (!strcmp(*argv, "first"))
			w.first = v;
		else if (!strcmp(*argv, "last"))
			w.last = v;
		else
			die("%s: unknown", *argv);
	}
	if (w.threads < 1 || w.threads > 64 || w.large > 2048 || !w.hot)
		die("a value is out of bounds");
}

static int do_write(char **argv, void *(*fn)(void *))
{
	w.node = atoi(argv[0]);
	w.nodes = atoi(argv[1]);
	w.target = atoi(argv[3]);
	w.fd = open(argv[2], O_RDWR | O_DIRECT);
	if (w.fd < 0)
		die("%s", argv[2]);
	w.sectors = device_sectors(w.fd);
	w.last = w.sectors;
	options(argv + 4);
	if (w.sync) {
		close(w.fd);
		w.fd = open(argv[2], O_RDWR | O_DIRECT | O_DSYNC);
		if (w.fd < 0)
			die("%s", argv[2]);
	}
	if (w.node < 1 || w.node > MAX_NODES || w.nodes < 1 ||
	    w.first >= w.last || w.last > w.sectors ||
	    w.last - w.first < w.grain)
		die("%s: bad range or node", argv[2]);
	w.next = w.first;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	run_threads(w.threads, fn);
	printf("writes=%llu errors=%llu errno=%d\n", (unsigned long long)w.done,
	       (unsigned long long)w.errors, w.first_error);
	return 0;
}

/* ---- readers ---- */

#define SCAN_CHUNK (64 * 1024)

static struct {
	int fd;
	uint64_t sectors, next, bad, errors, changed;
	uint64_t *area;
} scan;

static void scan_chunk(uint8_t *buf, uint64_t at, unsigned int n, int again)
{
	ssize_t rc = pread(scan.fd, buf, n * SECTOR, at * SECTOR);
	const uint64_t *s;
	unsigned int i;
	uint64_t was;

	if (rc != (ssize_t)n * SECTOR) {
		__atomic_fetch_add(&scan.errors, 1, __ATOMIC_RELAXED);
		for (i = 0; i < n; i++)
			scan.area[at + i] = BAD_SECTOR;
		return;
	}
	for (i = 0; i < n; i++) {
		s = (const uint64_t *)(buf + i * SECTOR);
		was = scan.area[at + i];
		scan.area[at + i] = read_stamp((const struct stamp *)s, at + i);
		if (again && was != scan.area[at + i] &&
		    __atomic_fetch_add(&scan.changed, 1, __ATOMIC_RELAXED) < 200)
			printf("changed=%llu:%llu\n",
			       (unsigned long long)(at + i),
			       (unsigned long long)was);
		if (scan.area[at + i] == BAD_SECTOR &&
		    __atomic_fetch_add(&scan.bad, 1, __ATOMIC_RELAXED) < 4)
			fprintf(stderr, "sector %llu: %llx %llx %llx %llx\n",
				(unsigned long long)(at + i),
				(unsigned long long)s[0],
				(unsigned long long)s[1],
				(unsigned long long)s[2],
				(unsigned long long)s[3]);
	}
}

static void *scanner(void *arg)
{
	const unsigned int step = SCAN_CHUNK / SECTOR;
	uint8_t *buf = buffer(SCAN_CHUNK);
	unsigned int i;
	uint64_t at;

	(void)arg;
	for (;;) {
		at = __atomic_fetch_add(&scan.next, step, __ATOMIC_SEQ_CST);
		if (at >= scan.sectors)
			return NULL;
		for (i = 0; i < w.repeat; i++)
			scan_chunk(buf, at, scan.sectors - at < step ?
				   scan.sectors - at : step, i);
	}
}

static int do_scan(char **argv)
{
	unsigned int area = atoi(argv[1]);
	uint64_t began, end;

	scan.fd = open(argv[0], O_RDONLY | O_DIRECT);
	if (scan.fd < 0)
		die("%s", argv[0]);
	options(argv + 2);
	scan.sectors = device_sectors(scan.fd);
	if (area >= AREAS || scan.sectors * 8 > AREA_SIZE)
		die("%s: too large for an area", argv[0]);
	scan.area = (uint64_t *)(shm + AREA_START + area * AREA_SIZE);
	began = now();
	run_threads(w.threads, scanner);
	end = now();
	printf("began=%llu ended=%llu sectors=%llu bad=%llu errors=%llu\n",
	       (unsigned long long)began, (unsigned long long)end,
	       (unsigned long long)scan.sectors, (unsigned long long)scan.bad,
	       (unsigned long long)scan.errors);
	return 0;
}

/* ---- messages ---- */

static int do_message(char **argv)
{
	static union {
		struct dm_ioctl dmi;
		char room[16384];
	} u;
	struct dm_target_msg *msg;
	struct timespec t0, t1;
	uint64_t began, end;
	int fd, err = 0;

	fd = open("/dev/mapper/control", O_RDWR);
	if (fd < 0)
		die("/dev/mapper/control");
	u.dmi.version[0] = DM_VERSION_MAJOR;
	u.dmi.data_size = sizeof(u);
	u.dmi.data_start = sizeof(struct dm_ioctl);
	snprintf(u.dmi.name, sizeof(u.dmi.name), "%s", argv[0]);
	msg = (struct dm_target_msg *)(u.room + sizeof(struct dm_ioctl));
	snprintf(msg->message, 8192, "%s", argv[1]);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	began = now();
	if (ioctl(fd, DM_TARGET_MSG, &u))
		err = errno;
	end = now();
	clock_gettime(CLOCK_MONOTONIC, &t1);
	printf("began=%llu ended=%llu errno=%d us=%lld\n",
	       (unsigned long long)began, (unsigned long long)end, err,
	       (t1.tv_sec - t0.tv_sec) * 1000000LL +
	       (t1.tv_nsec - t0.tv_nsec) / 1000);
	return 0;
}

static int do_hammer(char **argv)
{
	unsigned long n = strtoul(argv[0], NULL, 0);

	while (n--)
		now();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		goto usage;
	map_shm(argv[2]);
	if (!strcmp(argv[1], "hammer"))
		return do_hammer(argv + 3);
	if (argc < 5)
		goto usage;
	if (!strcmp(argv[1], "scan"))
		return do_scan(argv + 3);
	if (!strcmp(argv[1], "message"))
		return do_message(argv + 3);
	if (argc < 7)
		goto usage;
	if (!strcmp(argv[1], "write"))
		return do_write(argv + 3, writer);
	if (!strcmp(argv[1], "sweep"))
		return do_write(argv + 3, sweeper);
usage:
	fprintf(stderr, "usage: see the top of checker.c\n");
	return 2;
}
