// SPDX-License-Identifier: GPL-2.0-only
/*
 *   crash run SEED ROUNDS WRITES POINTS LIVES AGAIN NBD RAM
 *
 * Runs a cluster over an array on NBD0.. (nbd devices that nobody uses), then
 * cuts the power at POINTS moments (0: at the end of every flush, and at half as
 * many others): each time the disks RAM0.. (memory disks) get what may be left, one
 * node brings the volume up, and what it shows is judged. After LIVES other failures the
 * volume comes up and is used on the array, and that log is cut at AGAIN moments in the
 * same way. Prints what is wrong as comments, and one line of NAME=VALUE figures.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "crash.h"

#define SUPER_SECTORS	128		/* before the bitmap blocks */
#define SLICE_SECTORS	128		/* a bitmap block for each slot */
#define CHUNK		128u		/* of a large write, sectors */
#define COMPLAINTS	10
#define TEARS		64		/* attempts to tear a superblock */
#define WRITES_AGAIN	6		/* of a writer, in a second life */

static const char *nbd, *ram;
static int ram_fd[DISKS];
static uint8_t *preset[DISKS], *image[DISKS], *seen[SLOTS], *buffer;
static uint64_t random_state;

static struct figures {
	unsigned int points, bad, refused, active, complete, idle, offline,
		     overwritten, lossy[DISKS], lives, torn, risen;
} *count;				/* of the first lives; of the second ones */

/* What the volume found in this life, and what its next one will. */
static struct base base, next;

/* ---- the rest ---- */

uint64_t rnd(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

void nap(unsigned int us)
{
	usleep(us);
}

void die(const char *what, ...)
{
	va_list args;

	printf("# crash: ");
	va_start(args, what);
	vprintf(what, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(2);		/* 1: a promise was broken */
}

void *zalloc(size_t size)
{
	void *p = aligned_alloc(4096, (size + 4095) / 4096 * 4096);

	if (!p)
		die("memory");
	memset(p, 0, size);
	return p;
}

/* ---- one failure ---- */

static const struct crash_point *point;
static char before[64];			/* the first failure of a second life */

static void print_point(char *text, size_t size)
{
	static const char keep[] = "-aws";
	unsigned int d, n;

	n = snprintf(text, size, "at %u of %u, keep ", point->at, nr_events);
	for (d = 0; d < DISKS && n + 1 < size; d++)
		n += snprintf(text + n, size - n, "%c", keep[point->keep[d]]);
}

static void wrong(const char *what)
{
	char text[64];

	if (count->bad++ >= COMPLAINTS)
		return;
	print_point(text, sizeof(text));
	printf("# power lost %s%s%s: %s\n", before, *before ? ", then " : "",
	       text, what);
}

static void write_images(void)
{
	unsigned int d;
	size_t len;

	for (d = 0; d < DISKS; d++) {
		len = disk_sectors[d] * SECTOR;
		if (pwrite(ram_fd[d], image[d], len, 0) != (ssize_t)len)
			die("%s%u: %s", ram, d, strerror(errno));
	}
}

/*
 * The devices stay, with nothing in them, between one volume and the next: to make
 * and remove them takes longer than all the rest.
 */
static struct {
	const char *name;
	int fd;
} devices[1 + SLOTS] = { { "o", -1 }, { "c0", -1 }, { "c1", -1 } };

static void make_devices(void)
{
	unsigned int i;

	for (i = 0; i <= SLOTS; i++) {
		if (dm_create(devices[i].name, LENGTH, "zero", ""))
			die("%s cannot be made", devices[i].name);
		devices[i].fd = dm_open(devices[i].name);
	}
}

static void park(void)
{
	unsigned int i;

	for (i = 0; i <= SLOTS; i++)
		if (dm_swap(devices[i].name, LENGTH, "zero", ""))
			die("the volume does not end");
}

static void remove_devices(void)
{
	unsigned int i;

	for (i = 0; i <= SLOTS; i++) {
		close(devices[i].fd);
		dm_remove(devices[i].name);
	}
}

static int bring_up_origin(unsigned int node)
{
	char params[512], text[64];
	unsigned int p, n;
	int r;

	n = snprintf(params, sizeof(params),
		     "%s%u %s%u %u %u grain_size %u listen 127.0.0.%u:7788",
		     ram, DISK_M, ram, DISK_A, node, 4 + 3 * (NODES - 1), GRAIN,
		     node);
	for (p = 1; p <= NODES; p++)
		if (p != node)
			n += snprintf(params + n, sizeof(params) - n,
				      " peer %u 127.0.0.%u:7788", p, p);
	r = dm_swap("o", LENGTH, "fclock-origin", params);
	if (r)
		return r;
	/* the others did not survive */
	snprintf(text, sizeof(text), "members 1000000 %u", node);
	return dm_message("o", text);
}

static void bring_up_copy(unsigned int slot)
{
	char params[64], name[4] = { 'c', '0' + slot };
	int r;

	snprintf(params, sizeof(params), "%s%u %u %s%u", ram, DISK_M, slot,
		 ram, DISK_B0 + slot);
	r = dm_swap(name, LENGTH, "fclock-copy", params);
	if (r)
		die("slot %u: %s", slot, strerror(-r));
}

static bool wait_ready(void)
{
	uint64_t end = now_ms() + 60000;
	char line[1024], word[32];
	unsigned int pause = 500;

	do {
		if (!dm_status("o", line, sizeof(line)) &&
		    !strncmp(line, "active ", 7) &&
		    !strcmp(field(line, "slots", word, sizeof(word)), "0,1"))
			return true;
		nap(pause);
		pause = pause < 8000 ? pause * 2 : pause;
	} while (now_ms() < end);
	return false;
}

static bool read_all(int fd, void *buf)
{
	return pread(fd, buf, LENGTH * SECTOR, 0) == LENGTH * SECTOR;
}

static bool check_slot(unsigned int slot, int fd)
{
	char name[4] = { 'c', '0' + slot }, line[256], word[32], state[16];
	const char *bad;
	uint64_t generation;

	if (dm_status(name, line, sizeof(line)))
		die("slot %u has no status", slot);
	snprintf(state, sizeof(state), "%.*s", (int)strcspn(line, " "), line);
	generation = strtoull(field(line, "generation", word, sizeof(word)),
			      NULL, 0);
	bad = judge_slot(point->at, slot, state, generation);
	if (!bad && (!strcmp(state, "idle") || !strcmp(state, "offline"))) {
		count->idle += !strcmp(state, "idle");
		count->offline += !strcmp(state, "offline");
		if (read_all(fd, buffer))
			bad = "a copy without a content answers reads";
	} else if (!bad) {
		count->active++;
		count->complete += !strcmp(state, "complete");
		if (!read_all(fd, seen[slot]) || !read_all(fd, buffer))
			bad = "a copy cannot be read";
		else if (memcmp(seen[slot], buffer, LENGTH * SECTOR))
			bad = "two reads of a copy differ";
		else
			bad = judge_copy(point->at, slot, generation, buffer);
	}
	if (bad)
		wrong(bad);
	strcpy(next.slot[slot].state, strcmp(state, "complete") ? state : "active");
	next.slot[slot].generation = generation;
	memcpy(next.slot[slot].copy, seen[slot], LENGTH * SECTOR);
	return !bad && strcmp(state, "idle") && strcmp(state, "offline");
}

/* A copy that ended can be begun anew. */
static bool trigger_again(unsigned int slot, int copy, const void *a)
{
	char text[] = "trigger 0";

	text[strlen(text) - 1] += slot;
	if (!dm_message("o", text) && read_all(copy, seen[slot]) &&
	    !memcmp(seen[slot], a, LENGTH * SECTOR))
		return true;
	wrong("a new copy is not what A is");
	return false;
}

/* Whatever is written to A now, the copies stay. */
static void check_use(int fd, const int copy[SLOTS], bool active[SLOTS])
{
	uint32_t sector, s;

	count->overwritten++;
	if (!read_all(fd, buffer))
		wrong("A cannot be read");
	for (s = 0; s < SLOTS; s++)
		if (!active[s])
			active[s] = trigger_again(s, copy[s], buffer);
	stamp_fill(buffer, 0, LENGTH, 0, UINT32_MAX);
	for (sector = 0; sector < LENGTH; sector += CHUNK)
		if (pwrite(fd, buffer + sector * SECTOR, CHUNK * SECTOR,
			   sector * SECTOR) != CHUNK * SECTOR)
			wrong("A cannot be written");
	for (s = 0; s < SLOTS; s++)
		if (active[s] && (!read_all(copy[s], buffer) ||
				  memcmp(seen[s], buffer, LENGTH * SECTOR)))
			wrong("a copy changed when A was written");
}

static void check_volume(void)
{
	int origin = devices[0].fd, copy[SLOTS];
	bool active[SLOTS];
	const char *bad;
	unsigned int s;

	if (!read_all(origin, buffer))
		bad = "A cannot be read";
	else
		bad = judge_origin(point->at, buffer);
	if (bad)
		wrong(bad);
	for (s = 0; s < SLOTS; s++) {
		copy[s] = devices[1 + s].fd;
		active[s] = check_slot(s, copy[s]);
	}
	/* before the first trigger there is little else to see */
	if ((point->at <= slot_ops[0].begin && !active[0] && !active[1]) ||
	    rnd(&random_state) % 4 == 0)
		check_use(origin, copy, active);
}

/* Returns whether something on M looks newer than what is valid. */
static bool make_image(struct crash_point *p)
{
	unsigned int d, tries = p->torn || p->rises ? TEARS : 1;
	uint32_t lost[DISKS];
	bool torn, rises;

	do {
		image_make(p, image, lost);
		next.super = super_newest(image[DISK_M], &torn);
		rises = super_rises(image[DISK_M]);
	} while (--tries && !(p->rises ? rises : torn) && rnd(&p->seed));
	for (d = 0; d < DISKS; d++)
		count->lossy[d] += lost[d] && p->keep[d] != KEEP_ALL;
	return torn;
}

/* Does the volume come up? */
static bool bring_up(void)
{
	const char *bad;
	unsigned int s;

	if (bring_up_origin(rnd(&random_state) % NODES + 1)) {
		bad = judge_refusal(point->at);
		if (bad)
			wrong(bad);
		count->refused++;
		return false;
	}
	for (s = 0; s < SLOTS; s++)
		bring_up_copy(s);
	if (wait_ready())
		return true;
	wrong("the volume does not come up");
	return false;
}

/* Is all as it should be? */
static bool fail_power(struct crash_point *p)
{
	unsigned int were_bad = count->bad;
	const char *bad;
	bool torn, up;

	point = p;
	torn = make_image(p);
	bad = judge_super(p->at, image[DISK_M]);
	if (bad)
		wrong(bad);
	write_images();
	up = bring_up();
	/* beside a valid one: it is no news that nothing came of a formatting */
	count->torn += up && torn && next.super;
	count->risen += up && super_rises(image[DISK_M]);
	if (up)
		check_volume();
	park();
	return up && count->bad == were_bad;
}

/* ---- a second life ---- */

static void live_again(const struct crash_point *p, unsigned int nr)
{
	uint32_t sectors[DISKS];
	struct crash_point *points;
	unsigned int d;

	print_point(before, sizeof(before));
	formatted = judge_refusal(p->at) ? 0 : NEVER;
	super_pending(p->at, next.pending);
	memcpy(sectors, disk_sectors, sizeof(sectors));
	array_start(nbd, sectors, rnd(&random_state));
	for (d = 0; d < DISKS; d++) {
		memcpy(preset[d], image[d], disk_sectors[d] * SECTOR);
		array_preset(d, preset[d]);
	}
	base = next;
	base.first_write = nr_writes;
	for (d = 0; d < SLOTS; d++)
		next.slot[d].copy = zalloc(LENGTH * SECTOR);
	load_again(rnd(&random_state), p->nodes, WRITES_AGAIN);
	array_stop();
	judge_init(&base);
	image_init(preset);
	points = points_again(nr, preset[DISK_M], rnd(&random_state));
	count++;
	for (d = 0; d < nr; d++) {
		count->points++;
		fail_power(&points[d]);
	}
}

/* In a process of its own: the log of the first life stays as it is. */
static void fork_life(const struct crash_point *p, unsigned int nr)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (!child) {
		live_again(p, nr);
		fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("a second life ended early");
	count->lives++;
}

/* ---- all ---- */

static void prepare(void)
{
	unsigned int d, i;
	char path[32];

	for (d = 0; d < DISKS; d++) {
		preset[d] = zalloc(disk_sectors[d] * SECTOR);
		image[d] = zalloc(disk_sectors[d] * SECTOR);
		if (d != DISK_M)
			stamp_fill(preset[d], 0, LENGTH, d, 0);
		/* where bitmaps will be there is something else yet */
		for (i = SUPER_SECTORS * SECTOR; d == DISK_M &&
		     i < disk_sectors[d] * SECTOR; i++)
			preset[d][i] = i;
		snprintf(path, sizeof(path), "%s%u", ram, d);
		ram_fd[d] = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (ram_fd[d] < 0)
			die("%s: %s", path, strerror(errno));
	}
	for (d = 0; d < SLOTS; d++) {
		seen[d] = zalloc(LENGTH * SECTOR);
		strcpy(base.slot[d].state, "idle");
		next.slot[d].copy = zalloc(LENGTH * SECTOR);
	}
	buffer = zalloc(LENGTH * SECTOR);
	base.a = preset[DISK_A];
	next.a = preset[DISK_A];
	count = mmap(NULL, 2 * sizeof(*count), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (count == MAP_FAILED)
		die("memory");
}

static unsigned int bad_in_all(void)
{
	return count[0].bad + count[1].bad;
}

static void report(uint64_t began, uint64_t recorded, uint64_t again)
{
	unsigned int d;

	printf("events=%u writes=%u slot_ops=%u record_ms=%llu points=%u flushes=%u check_ms=%llu refused=%u active=%u complete=%u idle=%u offline=%u overwritten=%u fenced_active=%u lives=%u again=%u torn=%u risen=%u again_ms=%llu",
	       nr_events, nr_writes, nr_slot_ops,
	       (unsigned long long)(recorded - began), count->points,
	       nr_ends, (unsigned long long)(now_ms() - recorded),
	       count->refused, count->active, count->complete, count->idle, count->offline,
	       count->overwritten, fenced_active, count->lives, count[1].points,
	       count->torn + count[1].torn, count[1].risen,
	       (unsigned long long)again);
	for (d = 0; d < DISKS; d++)
		printf(" %s=%u", ((const char *[]){ "lossy_a", "lossy_b0",
						    "lossy_b1", "lossy_m" })[d],
		       count->lossy[d]);
	printf(" again_active=%u bad=%u\n", count[1].active, bad_in_all());
}

int main(int argc, char **argv)
{
	uint32_t sectors[DISKS] = { LENGTH, LENGTH, LENGTH };
	uint64_t seed, began, recorded, again = 0;
	struct crash_point *points;
	unsigned int nr, i;

	if (argc != 10 || strcmp(argv[1], "run"))
		die("bad arguments");
	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = strtoull(argv[2], NULL, 0);
	nr = atoi(argv[5]);
	nbd = argv[8];
	ram = argv[9];
	random_state = seed;
	/* slices of 4 or of 32 grains, as it fits */
	sectors[DISK_M] = SUPER_SECTORS + SLICE_SECTORS *
		(rnd(&random_state) % 2 ? LENGTH / GRAIN / 4 : LENGTH / GRAIN / 32);
	array_start(nbd, sectors, rnd(&random_state));
	prepare();
	for (i = 0; i < DISKS; i++)
		array_preset(i, preset[i]);
	began = now_ms();
	load_run(rnd(&random_state), atoi(argv[3]), atoi(argv[4]));
	array_stop();
	recorded = now_ms();
	judge_init(&base);
	image_init(preset);
	points = points_choose(&nr, atoi(argv[6]), preset[DISK_M],
			       rnd(&random_state));
	make_devices();
	for (i = 0; i < nr; i++) {
		count->points++;
		if (!fail_power(&points[i]) || !points[i].nodes)
			continue;
		again -= now_ms();
		fork_life(&points[i], atoi(argv[7]));
		again += now_ms();
	}
	remove_devices();
	report(began, recorded, again);
	return bad_in_all() != 0;
}
