// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters on a shared device that several nodes increment, under a lock of their
 * own. A device that loses a write, or shows a node what it was before, ends with
 * sums that do not match; a copy that is not one cut, with counters that no moment
 * ever had.
 *
 *   devcount serve PORT		hands the lock out, until it is killed
 *   devcount run LOCK DEV NODE COUNT	increments COUNT times, or until killed by SIGTERM
 *   devcount now LOCK			prints "done=N begun=N" and the increments of each node
 *   devcount look DEV			prints "first=N second=N" and what DEV says of each node
 *
 * LOCK is a file (flock) for nodes in one kernel, or ADDRESS:PORT of a server. An increment
 * is three writes one after the other, far apart: the first counter, the node's own, the
 * second counter. They are read anew each time and must be what the last one wrote.
 * All I/O is O_DIRECT, one block per counter, which is full of it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODES		64
#define BLOCK		4096
#define CLIENTS		(NODES + 8)

/* What the lock protects, beside the device: what the counters must be. */
struct counts {
	uint64_t begun, done;
	uint64_t by_node[NODES + 1];
};

/* To the server; it answers each with the counts. */
struct request {
	enum { ACQUIRE, BEGIN, RELEASE, NOW } what;
	uint32_t node;
};

static volatile sig_atomic_t ended;

static void die(const char *what)
{
	printf("%s: %s\n", what, errno ? strerrorname_np(errno) : "ended");
	exit(1);
}

/* ---- the lock ---- */

static struct counts *shared;	/* in the lock file */
static int lock_fd = -1;

static bool transfer(int fd, void *buf, size_t len, bool out)
{
	ssize_t r;

	for (; len; buf = (char *)buf + r, len -= r) {
		r = out ? send(fd, buf, len, MSG_NOSIGNAL) : recv(fd, buf, len, 0);
		if (r < 0 && errno == EINTR) {
			r = 0;
			continue;
		}
		if (r <= 0)
			return false;
	}
	return true;
}

static struct sockaddr_in address(const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	const char *port = strchr(text, ':');
	char host[64];

	snprintf(host, sizeof(host), "%.*s", port ? (int)(port - text) : 0, text);
	in.sin_port = htons(atoi(port ? port + 1 : text));
	if (*host && !inet_aton(host, &in.sin_addr))
		die(text);
	return in;
}

static void open_lock(const char *path)
{
	int one = 1;

	if (strchr(path, ':')) {
		struct sockaddr_in in = address(path);

		lock_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connect(lock_fd, (void *)&in, sizeof(in)))
			die(path);
		setsockopt(lock_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		return;
	}
	lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock_fd < 0 || ftruncate(lock_fd, sizeof(*shared)))
		die(path);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, lock_fd, 0);
	if (shared == MAP_FAILED)
		die(path);
}

static void apply(struct counts *c, const struct request *r)
{
	if (r->what == BEGIN) {
		__atomic_store_n(&c->begun, c->begun + 1, __ATOMIC_SEQ_CST);
	} else if (r->what == RELEASE) {
		c->by_node[r->node]++;
		__atomic_store_n(&c->done, c->done + 1, __ATOMIC_SEQ_CST);
	}
}

static struct counts ask(int what, unsigned int node)
{
	struct request r = { what, node };
	struct counts c;

	if (!shared) {
		if (!transfer(lock_fd, &r, sizeof(r), true) ||
		    !transfer(lock_fd, &c, sizeof(c), false))
			die("lock server");
		return c;
	}
	if (what == ACQUIRE)
		while (flock(lock_fd, LOCK_EX))
			if (errno != EINTR)
				die("flock");
	apply(shared, &r);
	c = *shared;
	if (what == RELEASE)
		flock(lock_fd, LOCK_UN);
	return c;
}

/* One lock, in the order in which they asked. A holder whose connection ends keeps it. */
static int cmd_serve(char **argv)
{
	struct sockaddr_in in = address(argv[0]);
	struct pollfd fds[CLIENTS];
	int queue[CLIENTS], waiting = 0, n = 1, i, one = 1;
	struct counts counts = { 0 };
	struct request r;
	bool held = false;

	fds[0] = (struct pollfd){ socket(AF_INET, SOCK_STREAM, 0), POLLIN, 0 };
	setsockopt(fds[0].fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fds[0].fd, (void *)&in, sizeof(in)) || listen(fds[0].fd, 8))
		die(argv[0]);
	while (poll(fds, n, -1) > 0) {
		for (i = n - 1; i > 0; i--) {
			if (!fds[i].revents)
				continue;
			if (!transfer(fds[i].fd, &r, sizeof(r), false) || r.node > NODES) {
				close(fds[i].fd);
				fds[i] = fds[--n];
				continue;
			}
			apply(&counts, &r);
			if (r.what == ACQUIRE) {
				queue[waiting++] = fds[i].fd;
				continue;
			}
			if (r.what == RELEASE)
				held = false;
			transfer(fds[i].fd, &counts, sizeof(counts), true);
		}
		if (!held && waiting) {
			held = transfer(queue[0], &counts, sizeof(counts), true);
			memmove(queue, queue + 1, --waiting * sizeof(*queue));
		}
		if (fds[0].revents && n < CLIENTS) {
			int fd = accept(fds[0].fd, NULL, NULL);

			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			fds[n++] = (struct pollfd){ fd, POLLIN, 0 };
		}
	}
	return 0;
}

/* ---- the counters ---- */

enum { FIRST, SECOND = NODES + 1 };	/* between them those of the nodes */

static int fd;
static uint64_t stride;

static void open_dev(const char *path, int flags)
{
	uint64_t size;

	fd = open(path, flags | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size))
		die(path);
	stride = size / (NODES + 2) / BLOCK * BLOCK;
}

static uint64_t *block(void)
{
	uint64_t *p = aligned_alloc(BLOCK, BLOCK);

	if (!p)
		die("memory");
	return p;
}

static uint64_t get(int counter)
{
	static uint64_t *buf;

	if (!buf)
		buf = block();
	if (pread(fd, buf, BLOCK, counter * stride) != BLOCK)
		die("read");
	for (int i = 1; i < BLOCK / 8; i++) {
		if (buf[i] == buf[0])
			continue;
		printf("counter %d is %" PRIu64 " and %" PRIu64 "\n", counter, buf[0],
		       buf[i]);
		exit(1);
	}
	return buf[0];
}

static void put(int counter, uint64_t value)
{
	static uint64_t *buf;

	if (!buf)
		buf = block();
	for (int i = 0; i < BLOCK / 8; i++)
		buf[i] = value;
	if (pwrite(fd, buf, BLOCK, counter * stride) != BLOCK)
		die("write");
}

static void must_be(const char *what, uint64_t want, uint64_t got)
{
	if (want == got)
		return;
	printf("%s counter is %" PRIu64 ", not %" PRIu64 "\n", what, got, want);
	exit(1);
}

static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static int cmd_run(char **argv)
{
	unsigned int node = atoi(argv[2]), count = atoi(argv[3]), i;
	struct sigaction act = { .sa_handler = on_term };
	struct counts c;

	sigaction(SIGTERM, &act, NULL);
	if (!node || node > NODES)
		return 2;
	open_lock(argv[0]);
	open_dev(argv[1], O_RDWR);
	for (i = 0; i < count && !ended; i++) {
		c = ask(ACQUIRE, node);
		must_be("the first", c.done, get(FIRST));
		must_be("the node's", c.by_node[node], get(node));
		must_be("the second", c.done, get(SECOND));
		ask(BEGIN, node);
		put(FIRST, c.done + 1);
		put(node, c.by_node[node] + 1);
		put(SECOND, c.done + 1);
		ask(RELEASE, node);
	}
	printf("%u\n", i);
	return 0;
}

static int cmd_now(char **argv)
{
	struct counts c;

	open_lock(argv[0]);
	c = ask(NOW, 0);
	printf("done=%" PRIu64 " begun=%" PRIu64, c.done, c.begun);
	for (int i = 1; i <= NODES; i++)
		if (c.by_node[i])
			printf(" %d:%" PRIu64, i, c.by_node[i]);
	printf("\n");
	return 0;
}

/* Of each write of an increment the later ones are there only if it is there. */
static int cmd_look(char **argv)
{
	uint64_t first, second, sum = 0, n;

	open_dev(argv[0], O_RDONLY);
	first = get(FIRST);
	second = get(SECOND);
	printf("first=%" PRIu64 " second=%" PRIu64, first, second);
	for (int i = 1; i <= NODES; i++) {
		n = get(i);
		sum += n;
		if (n)
			printf(" %d:%" PRIu64, i, n);
	}
	printf("\n");
	if (first < sum || sum < second || first > second + 1) {
		printf("the nodes' are %" PRIu64 " together\n", sum);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **argv);
	} commands[] = {
		{ "serve", 1, cmd_serve }, { "run", 4, cmd_run },
		{ "now", 1, cmd_now }, { "look", 1, cmd_look },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 == commands[i].args)
			return commands[i].run(argv + 2);
	fprintf(stderr, "devcount: bad arguments\n");
	return 2;
}
