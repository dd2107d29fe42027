// SPDX-License-Identifier: GPL-2.0-only
/*
 * A storage array with a volatile cache, for several guests: an NBD server on
 * a unix socket that, on command, forgets writes that were completed and never
 * flushed. Killing a guest is a node crash and loses nothing; this is a power
 * failure, and it is as unfair as the rules allow: each 512-byte sector by
 * itself has its last content or an older one since the last flush.
 *
 *	array SOCKET NAME=FILE...
 *
 * A client asks for the export "NODE/NAME". Commands come on stdin, one per
 * line, each answered with one line:
 *
 *	cut SEED KEEP	lose power: all clients are dropped, and of the unflushed
 *			sectors KEEP percent survive; the same seed and history
 *			lose the same sectors
 *	fence N, unfence N	every request of node N fails with EIO
 *	fail NAME 0|1	every request to a disk fails with EIO
 *	stat		unflushed sectors and counters
 *
 * The files hold the newest content, and memory holds what a sector would go
 * back to. A flush makes everything that was completed before it durable for
 * its disk; FUA only what it writes.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SECTOR		512
#define MAX_REQUEST	(32u << 20)
#define MAX_DISKS	64
#define MAX_CLIENTS	512
#define MAX_NODES	65
#define VERSIONS	3	/* older contents kept of a sector */
#define BUCKETS		(1u << 16)

enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM, CMD_ZEROES = 6 };

#define FLAGS (1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 8)
#define FLAG_FUA 1

struct undo {
	struct undo *next;
	uint64_t sector;
	int count;			/* old[0] is the durable content */
	unsigned char old[VERSIONS][SECTOR];
};

struct disk {
	char *name;
	int fd;
	uint64_t size;
	bool failing;
	struct undo *bucket[BUCKETS];
	unsigned long dirty, writes, flushes;
};

struct client {
	int fd;				/* -1: slot is free */
	bool dropped;			/* power was lost since its request */
	int node;
	struct disk *disk;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* all below */
static struct disk *disks[MAX_DISKS];
static int nr_disks;
static struct client clients[MAX_CLIENTS];
static bool fenced[MAX_NODES];

static struct undo **find_undo(struct disk *d, uint64_t sector)
{
	struct undo **p = &d->bucket[(sector * 0x9e3779b97f4a7c15ull) >> 48];

	while (*p && (*p)->sector != sector)
		p = &(*p)->next;
	return p;
}

/* Remembers what the sectors hold before they are overwritten. */
static int save_old(struct disk *d, uint64_t off, uint32_t len)
{
	unsigned char *old = malloc(len);
	uint64_t s = off / SECTOR;
	struct undo **p, *u;
	uint32_t i;

	if (!old || pread(d->fd, old, len, off) != (ssize_t)len) {
		free(old);
		return EIO;
	}
	for (i = 0; i < len / SECTOR; i++) {
		p = find_undo(d, s + i);
		u = *p;
		if (!u) {
			u = malloc(sizeof(*u));
			if (!u) {
				free(old);
				return ENOMEM;
			}
			u->next = NULL;
			u->sector = s + i;
			u->count = 0;
			*p = u;
			d->dirty++;
		}
		/* The durable one stays; of the others the newest. */
		if (u->count == VERSIONS) {
			memmove(u->old[1], u->old[2], (VERSIONS - 2) * SECTOR);
			u->count--;
		}
		memcpy(u->old[u->count++], old + i * SECTOR, SECTOR);
	}
	free(old);
	return 0;
}

static void forget_undo(struct disk *d, uint64_t off, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len / SECTOR; i++) {
		struct undo **p = find_undo(d, off / SECTOR + i), *u = *p;

		if (!u)
			continue;
		*p = u->next;
		free(u);
		d->dirty--;
	}
}

static void flush(struct disk *d)
{
	struct undo *u;
	unsigned int b;

	d->flushes++;
	if (!d->dirty)
		return;
	for (b = 0; b < BUCKETS; b++) {
		while ((u = d->bucket[b])) {
			d->bucket[b] = u->next;
			free(u);
		}
	}
	d->dirty = 0;
}

static int write_at(struct disk *d, const void *data, uint64_t off,
		    uint32_t len, bool fua)
{
	int rc = save_old(d, off, len);

	if (rc)
		return rc;
	if (pwrite(d->fd, data, len, off) != (ssize_t)len)
		return EIO;
	d->writes++;
	if (fua)
		forget_undo(d, off, len);
	return 0;
}

/* splitmix64: the same everywhere, unlike rand() */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static unsigned long lose(struct disk *d, uint64_t seed, unsigned int keep)
{
	unsigned long lost = 0;
	unsigned int b;
	uint64_t r;

	for (b = 0; b < BUCKETS; b++) {
		struct undo *u;

		for (u = d->bucket[b]; u; u = u->next) {
			/* By its position, not by the order of the table. */
			r = mix(seed ^ mix(u->sector));
			if (r % 100 < keep)
				continue;
			r = mix(r) % u->count;
			if (pwrite(d->fd, u->old[r], SECTOR,
				   u->sector * SECTOR) != SECTOR)
				perror(d->name);
			lost++;
		}
	}
	flush(d);
	return lost;
}

static void power_cut(uint64_t seed, unsigned int keep)
{
	unsigned long dirty = 0, lost = 0;
	int i;

	for (i = 0; i < MAX_CLIENTS; i++) {
		if (clients[i].fd < 0)
			continue;
		clients[i].dropped = true;
		shutdown(clients[i].fd, SHUT_RDWR);
	}
	for (i = 0; i < nr_disks; i++) {
		dirty += disks[i]->dirty;
		lost += lose(disks[i], mix(seed) + i, keep);
	}
	printf("ok dirty=%lu lost=%lu\n", dirty, lost);
}

/* ---- NBD ---- */

static bool get(int fd, void *data, size_t len)
{
	/* Asked for nothing, recv() would wait for something. */
	return !len || recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

static bool put(int fd, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	while (len) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static bool put_option(int fd, uint32_t option, uint32_t type,
		       const void *data, uint32_t len)
{
	struct {
		uint64_t magic;
		uint32_t option, type, len;
	} __attribute__((packed)) h = {
		htobe64(0x3e889045565a9ull), htobe32(option), htobe32(type),
		htobe32(len)
	};

	return put(fd, &h, sizeof(h)) && put(fd, data, len);
}

/* "NODE/NAME" */
static bool choose(struct client *c, const char *name)
{
	const char *slash = strchr(name, '/');
	int i, node = atoi(name);

	if (!slash || node < 0 || node >= MAX_NODES)
		return false;
	for (i = 0; i < nr_disks; i++) {
		if (strcmp(disks[i]->name, slash + 1))
			continue;
		c->disk = disks[i];
		c->node = node;
		return true;
	}
	return false;
}

static bool put_go(struct client *c, uint32_t option, const char *data,
		   uint32_t len)
{
	struct {
		uint16_t type;
		uint64_t size;
		uint16_t flags;
	} __attribute__((packed)) export;
	struct {
		uint16_t type;
		uint32_t min, preferred, max;
	} __attribute__((packed)) block = {
		htobe16(3), htobe32(SECTOR), htobe32(4096), htobe32(MAX_REQUEST)
	};
	char name[256] = "";
	uint16_t count = 0, type;
	uint32_t n;

	if (len < 6)
		return false;
	memcpy(&n, data, 4);
	n = be32toh(n);
	if (n >= sizeof(name) || n + 6 > len)
		return false;
	memcpy(name, data + 4, n);
	if (!choose(c, name))
		return put_option(c->fd, option, 0x80000006, NULL, 0);
	export.type = 0;
	export.size = htobe64(c->disk->size);
	export.flags = htobe16(FLAGS);
	if (!put_option(c->fd, option, 3, &export, sizeof(export)))
		return false;
	memcpy(&count, data + 4 + n, 2);
	for (n += 6, count = be16toh(count); count && n + 2 <= len;
	     count--, n += 2) {
		memcpy(&type, data + n, 2);
		if (be16toh(type) == 3 &&
		    !put_option(c->fd, option, 3, &block, sizeof(block)))
			return false;
	}
	return put_option(c->fd, option, 1, NULL, 0);
}

static bool negotiate(struct client *c)
{
	struct {
		uint64_t magic, option;
		uint16_t flags;
	} __attribute__((packed)) hello = {
		htobe64(0x4e42444d41474943ull), htobe64(0x49484156454f5054ull),
		htobe16(3)
	};
	struct {
		uint64_t magic;
		uint32_t option, len;
	} __attribute__((packed)) h;
	char data[4096];
	uint32_t flags;

	if (!put(c->fd, &hello, sizeof(hello)) || !get(c->fd, &flags, 4))
		return false;
	for (;;) {
		uint32_t option, len;

		if (!get(c->fd, &h, sizeof(h)))
			return false;
		option = be32toh(h.option);
		len = be32toh(h.len);
		if (len > sizeof(data) || !get(c->fd, data, len))
			return false;
		switch (option) {
		case 2:			/* abort */
			put_option(c->fd, option, 1, NULL, 0);
			return false;
		case 6:			/* info */
		case 7:			/* go */
			if (!put_go(c, option, data, len))
				return false;
			if (option == 7 && c->disk)
				return true;
			break;
		default:
			if (!put_option(c->fd, option, 0x80000001, NULL, 0))
				return false;
		}
	}
}

struct request {
	uint32_t magic;
	uint16_t flags, type;
	uint64_t handle, off;
	uint32_t len;
} __attribute__((packed));

/* Under the lock. data: what to write, or where to read to. */
static int execute(struct client *c, const struct request *r, char *data)
{
	struct disk *d = c->disk;
	bool fua = r->flags & FLAG_FUA;

	if (fenced[c->node] || d->failing)
		return EIO;
	if (r->type != CMD_FLUSH &&
	    (r->off % SECTOR || r->len % SECTOR || r->off > d->size ||
	     r->len > d->size - r->off))
		return EINVAL;
	switch (r->type) {
	case CMD_READ:
		return pread(d->fd, data, r->len, r->off) ==
			(ssize_t)r->len ? 0 : EIO;
	case CMD_WRITE:
		return write_at(d, data, r->off, r->len, fua);
	case CMD_TRIM:
	case CMD_ZEROES: {
		static const char zeroes[1 << 20];
		uint32_t done, n;
		int rc = 0;

		for (done = 0; done < r->len && !rc; done += n) {
			n = r->len - done;
			if (n > sizeof(zeroes))
				n = sizeof(zeroes);
			rc = write_at(d, zeroes, r->off + done, n, fua);
		}
		return rc;
	}
	case CMD_FLUSH:
		flush(d);
		return 0;
	}
	return EINVAL;
}

static void serve(struct client *c)
{
	struct {
		uint32_t magic, error;
		uint64_t handle;
	} __attribute__((packed)) reply = { htobe32(0x67446698), 0, 0 };
	char *data = malloc(MAX_REQUEST);
	struct request r;

	while (data && get(c->fd, &r, sizeof(r))) {
		bool dropped, has_data;

		if (be32toh(r.magic) != 0x25609513)
			break;
		r.flags = be16toh(r.flags);
		r.type = be16toh(r.type);
		r.off = be64toh(r.off);
		r.len = be32toh(r.len);
		has_data = r.type == CMD_READ || r.type == CMD_WRITE;
		if (r.type == CMD_DISC || (has_data && r.len > MAX_REQUEST))
			break;
		if (r.type == CMD_WRITE && !get(c->fd, data, r.len))
			break;
		pthread_mutex_lock(&lock);
		dropped = c->dropped;
		if (!dropped)
			reply.error = htobe32(execute(c, &r, data));
		pthread_mutex_unlock(&lock);
		if (dropped)
			break;
		reply.handle = r.handle;
		if (!put(c->fd, &reply, sizeof(reply)))
			break;
		if (r.type == CMD_READ && !reply.error &&
		    !put(c->fd, data, r.len))
			break;
	}
	free(data);
}

static void *client_thread(void *arg)
{
	struct client *c = arg;

	if (negotiate(c))
		serve(c);
	pthread_mutex_lock(&lock);
	close(c->fd);
	c->fd = -1;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *accept_thread(void *arg)
{
	int listener = *(int *)arg, fd, i;
	pthread_t t;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		pthread_mutex_lock(&lock);
		for (i = 0; i < MAX_CLIENTS && clients[i].fd >= 0; i++)
			;
		if (i < MAX_CLIENTS)
			clients[i] = (struct client){ .fd = fd };
		pthread_mutex_unlock(&lock);
		if (i == MAX_CLIENTS ||
		    pthread_create(&t, NULL, client_thread, &clients[i])) {
			close(fd);
			if (i < MAX_CLIENTS)
				clients[i].fd = -1;
			continue;
		}
		pthread_detach(t);
	}
	return NULL;
}

static void command(const char *line)
{
	unsigned long long seed;
	unsigned int keep;
	char name[64];
	int n, i;

	if (sscanf(line, "cut %llu %u", &seed, &keep) == 2 && keep <= 100) {
		power_cut(seed, keep);
	} else if ((sscanf(line, "fence %d", &n) == 1 ||
		    sscanf(line, "unfence %d", &n) == 1) &&
		   n > 0 && n < MAX_NODES) {
		fenced[n] = line[0] == 'f';
		printf("ok\n");
	} else if (sscanf(line, "fail %63s %d", name, &n) == 2) {
		for (i = 0; i < nr_disks && strcmp(disks[i]->name, name); i++)
			;
		if (i < nr_disks)
			disks[i]->failing = n;
		printf(i < nr_disks ? "ok\n" : "bad name\n");
	} else if (!strcmp(line, "stat")) {
		for (i = 0; i < nr_disks; i++)
			printf("%s:dirty=%lu,writes=%lu,flushes=%lu ",
			       disks[i]->name, disks[i]->dirty,
			       disks[i]->writes, disks[i]->flushes);
		printf("\n");
	} else {
		printf("bad command\n");
	}
	fflush(stdout);
}

static bool open_disk(char *arg)
{
	struct disk *d = calloc(1, sizeof(*d));
	char *eq = strchr(arg, '=');
	struct stat st;

	if (!d || !eq || nr_disks == MAX_DISKS)
		return false;
	*eq = 0;
	d->name = arg;
	d->fd = open(eq + 1, O_RDWR | O_CLOEXEC);
	if (d->fd < 0 || fstat(d->fd, &st)) {
		fprintf(stderr, "%s: %s\n", eq + 1, strerror(errno));
		return false;
	}
	d->size = st.st_size;
	disks[nr_disks++] = d;
	return true;
}

int main(int argc, char **argv)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char line[256];
	int i, listener;
	pthread_t t;

	signal(SIGPIPE, SIG_IGN);
	if (argc < 2 || strlen(argv[1]) >= sizeof(sa.sun_path)) {
		fprintf(stderr, "usage: %s SOCKET NAME=FILE...\n", argv[0]);
		return 2;
	}
	for (i = 0; i < MAX_CLIENTS; i++)
		clients[i].fd = -1;
	for (i = 2; i < argc; i++)
		if (!open_disk(argv[i]))
			return 1;
	strcpy(sa.sun_path, argv[1]);
	unlink(argv[1]);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (void *)&sa, sizeof(sa)) ||
	    listen(listener, 64) ||
	    pthread_create(&t, NULL, accept_thread, &listener)) {
		perror(argv[1]);
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	/* It ends with its stdin, that is with the process that started it. */
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		pthread_mutex_lock(&lock);
		command(line);
		pthread_mutex_unlock(&lock);
	}
	return 0;
}
