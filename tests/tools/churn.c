// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life in a file system: files and directories are made, written, renamed, linked,
 * cut, mapped and removed at random, and some files are kept so that a copy of the
 * file system can be judged.
 *
 *   churn run DIR LOG WORKERS SEED [COUNT]	until killed by SIGTERM, or COUNT rounds each
 *   churn check DIR LOG T0 T1			is DIR one of a moment between T0 and T1 (as
 *						"churn clock" prints)? What was synced before
 *						T0 is there, nothing begun after T1 is
 *   churn check DIR LOG T0 T1 frozen		what was written at all before T0 is there
 *   churn count LOG				prints how many versions were synced so far
 *   churn clock
 *
 * A worker has a directory of its own, in which everything is noise but the files k0, k1,
 * ...: each is a register of versions. The next version is written beside the file, synced
 * and put in its place, and the directory is synced; or the file is removed, which
 * is a version, too. Every word of a file says which file and version it is of. LOG is
 * outside of the file system and says when each version was begun, was visible, and was
 * synced.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKERS		8
#define KEPT		12		/* files of a worker */
#define VERSIONS	4000		/* of a file */
#define MAX_WORDS	(96 << 10 >> 3)
#define NAMES		24		/* of the noise */

struct version {
	uint64_t begun, visible, synced;	/* 0: not yet */
	uint32_t words;				/* 0: there is no file */
};

static struct log {
	atomic_uint last[WORKERS][KEPT];	/* version 0: no file, from the beginning */
	struct version version[WORKERS][KEPT][VERSIONS];
} *journal;

static volatile sig_atomic_t ended;
static uint64_t state;
static unsigned int me;
static uint64_t words[MAX_WORDS];

static void die(const char *what)
{
	printf("worker %u: %s: %s\n", me, what, strerrorname_np(errno));
	fflush(stdout);
	exit(1);
}

static uint64_t rnd(uint64_t below)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) % below;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void open_log(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*journal)))
		die(path);
	journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (journal == MAP_FAILED)
		die(path);
}

static uint64_t word(unsigned int worker, unsigned int file, unsigned int version,
		     uint64_t i)
{
	return (uint64_t)worker << 56 | (uint64_t)file << 48 | (uint64_t)version << 32 | i;
}

/* ---- kept files ---- */

static void sync_path(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0 || fsync(fd) || close(fd))
		die("fsync");
}

static void keep(void)
{
	unsigned int file = rnd(KEPT), v = journal->last[me][file] + 1;
	struct version *version = &journal->version[me][file][v];
	char name[32];
	uint64_t i;
	int fd;

	if (v >= VERSIONS)
		return;
	snprintf(name, sizeof(name), "k%u", file);
	version->words = v > 1 && !rnd(4) ? 0 : rnd(rnd(8) ? 2048 : MAX_WORDS) + 1;
	version->begun = now();
	journal->last[me][file] = v;
	if (!version->words) {
		if (unlink(name) && errno != ENOENT)
			die("unlink");
	} else {
		for (i = 0; i < version->words; i++)
			words[i] = word(me, file, v, i);
		fd = open("next", O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || write(fd, words, i * 8) != (ssize_t)i * 8 || fsync(fd) ||
		    close(fd) || rename("next", name))
			die("keep");
	}
	atomic_thread_fence(memory_order_seq_cst);
	version->visible = now();
	sync_path(".");
	version->synced = now();
}

/* ---- noise ---- */

static const char *some_name(int which)
{
	static char name[2][32];
	unsigned int n = rnd(NAMES);

	snprintf(name[which], sizeof(name[which]), n % 3 ? "d%u/n%u" : "d%u/d/n%u", n % 4,
		 n);
	return name[which];
}

static bool fine(int r)
{
	if (r >= 0)
		return true;
	switch (errno) {
	case ENOENT:
	case EEXIST:
	case ENOTDIR:
	case EISDIR:
	case ENOTEMPTY:
	case EINVAL:
	case ENOSPC:
	case EOPNOTSUPP:
	case ELOOP:
	case EMLINK:
		return false;
	}
	die("noise");
	return false;
}

static void write_some(int fd)
{
	size_t len = rnd(rnd(8) ? 8192 : sizeof(words)) + 1;

	fine(pwrite(fd, words, len, rnd(256 << 10)));
}

static void map_some(int fd)
{
	struct stat st;
	char *p;

	if (fstat(fd, &st) || !st.st_size)
		return;
	p = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	memset(p + rnd(st.st_size), 'm', 1);
	munmap(p, st.st_size);
}

static void cut_some(int fd)
{
	off_t off = rnd(128 << 10), len = rnd(64 << 10) + 1;

	switch (rnd(4)) {
	case 0:
		fine(ftruncate(fd, off));
		break;
	case 1:
		fine(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len));
		break;
	case 2:
		fine(fallocate(fd, FALLOC_FL_ZERO_RANGE, off, len));
		break;
	case 3:
		fine(fallocate(fd, 0, off, len));
		break;
	}
}

static void list_some(void)
{
	DIR *dir = opendir(".");
	struct dirent *e;
	struct stat st;

	if (!dir)
		die("opendir");
	while ((e = readdir(dir)))
		fine(stat(e->d_name, &st));
	closedir(dir);
}

static void noise(void)
{
	unsigned int what = rnd(16), d = rnd(4);
	const char *name = some_name(0);
	char dir[16];
	int fd;

	switch (what) {
	case 0:
		fine(unlink(name));
		break;
	case 1:
		fine(rename(name, some_name(1)));
		break;
	case 2:
		fine(link(name, some_name(1)));
		break;
	case 3:
		fine(symlink(name, some_name(1)));
		break;
	case 4:
		snprintf(dir, sizeof(dir), rnd(2) ? "d%u" : "d%u/d", d);
		fine(rmdir(dir));
		break;
	case 5:
	case 6:
		snprintf(dir, sizeof(dir), "d%u", d);
		fine(mkdir(dir, 0700));
		snprintf(dir, sizeof(dir), "d%u/d", d);
		fine(mkdir(dir, 0700));
		break;
	case 7:
		list_some();
		break;
	case 8:
		if (!rnd(8))
			sync();
		break;
	default:
		fd = open(name, O_RDWR | O_CREAT, 0600);
		if (!fine(fd))
			break;
		if (what < 13)
			write_some(fd);
		else if (what == 13)
			map_some(fd);
		else if (what == 14)
			cut_some(fd);
		else
			fine(fsync(fd));
		close(fd);
	}
}

static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static int worker(const char *dir, uint64_t count)
{
	char path[16];

	snprintf(path, sizeof(path), "w%u", me);
	if (chdir(dir) || (mkdir(path, 0700) && errno != EEXIST) || chdir(path))
		die(dir);
	for (uint64_t i = 0; i < count && !ended; i++) {
		for (unsigned int n = rnd(16); n; n--)
			noise();
		keep();
	}
	return 0;
}

static int cmd_run(int args, char **argv)
{
	struct sigaction act = { .sa_handler = on_term };
	uint64_t count = args > 4 ? strtoull(argv[4], NULL, 0) : UINT64_MAX, kept = 0;
	unsigned int workers = atoi(argv[2]), w, f;
	int status, bad = 0;
	pid_t child[WORKERS];

	sigaction(SIGTERM, &act, NULL);
	if (!workers || workers > WORKERS)
		return 2;
	open_log(argv[1]);
	for (me = 0; me < workers; me++) {
		state = strtoull(argv[3], NULL, 0) * WORKERS + me;
		child[me] = fork();
		if (!child[me])
			exit(worker(argv[0], count));
	}
	for (w = 0; w < workers; w++) {
		while (waitpid(child[w], &status, 0) < 0)
			for (f = w; ended && f < workers; f++)
				kill(child[f], SIGTERM);
		bad |= status;
	}
	for (w = 0; w < WORKERS; w++)
		for (f = 0; f < KEPT; f++)
			kept += journal->last[w][f];
	printf("%" PRIu64 " versions\n", kept);
	return bad != 0;
}

/* ---- check ---- */

/* The version that the file holds, whole; -1 and a line if it is none. */
static int version_of(const char *dir, unsigned int w, unsigned int f)
{
	char path[256];
	ssize_t len;
	unsigned int v;
	int fd;

	snprintf(path, sizeof(path), "%s/w%u/k%u", dir, w, f);
	fd = open(path, O_RDONLY);
	if (fd < 0 && errno == ENOENT)
		return 0;
	len = fd < 0 ? -1 : read(fd, words, sizeof(words));
	if (len < 0) {
		printf("%s: %s\n", path, strerrorname_np(errno));
		return -1;
	}
	close(fd);
	v = words[0] >> 32 & 0xffff;
	if (!len || !v || v > journal->last[w][f] ||
	    len != journal->version[w][f][v].words * 8) {
		printf("%s: %zd bytes of version %u\n", path, len, len ? v : 0);
		return -1;
	}
	for (unsigned int i = 0; i < len / 8; i++) {
		if (words[i] == word(w, f, v, i))
			continue;
		printf("%s: version %u, word %u is %016" PRIx64 "\n", path, v, i, words[i]);
		return -1;
	}
	return v;
}

static bool check_file(const char *dir, unsigned int w, unsigned int f, uint64_t t0,
		       uint64_t t1, bool frozen)
{
	unsigned int last = journal->last[w][f], low = 0, high = 0, v;
	struct version *version = journal->version[w][f];
	int found = version_of(dir, w, f);
	uint64_t when;

	if (found < 0)
		return false;
	for (v = 1; v <= last; v++) {
		when = frozen ? version[v].visible : version[v].synced;
		if (when && when < t0)
			low = v;
		if (version[v].begun && version[v].begun < t1)
			high = v;
	}
	if (!found) {		/* any version without a file */
		for (v = low; v <= high; v++)
			if (!version[v].words)
				return true;
	} else if ((unsigned int)found >= low && (unsigned int)found <= high) {
		return true;
	}
	printf("%s/w%u/k%u: version %d, not %u to %u\n", dir, w, f, found, low, high);
	return false;
}

static int cmd_check(int args, char **argv)
{
	uint64_t t0 = strtoull(argv[2], NULL, 0), t1 = strtoull(argv[3], NULL, 0);
	unsigned int w, f, bad = 0, files = 0, synced = 0, v;

	open_log(argv[1]);
	for (w = 0; w < WORKERS; w++)
		for (f = 0; f < KEPT; f++) {
			files += journal->last[w][f] != 0;
			for (v = 1; v <= journal->last[w][f]; v++)
				synced += journal->version[w][f][v].synced &&
					journal->version[w][f][v].synced < t0;
			bad += !check_file(argv[0], w, f, t0, t1, args > 4);
		}
	printf("%u files, %u versions synced before, %u bad\n", files, synced, bad);
	return bad != 0;
}

static int cmd_count(int args, char **argv)
{
	unsigned int w, f, v, n = 0;

	(void)args;
	open_log(argv[0]);
	for (w = 0; w < WORKERS; w++)
		for (f = 0; f < KEPT; f++)
			for (v = 1; v <= journal->last[w][f]; v++)
				n += journal->version[w][f][v].synced != 0;
	printf("%u\n", n);
	return 0;
}

static int cmd_clock(int args, char **argv)
{
	(void)args;
	(void)argv;
	printf("%" PRIu64 "\n", now());
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(int args, char **argv);
	} commands[] = {
		{ "run", 4, cmd_run }, { "check", 4, cmd_check }, { "count", 1, cmd_count },
		{ "clock", 0, cmd_clock },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 >= commands[i].args)
			return commands[i].run(argc - 2, argv + 2);
	fprintf(stderr, "churn: bad arguments\n");
	return 2;
}
