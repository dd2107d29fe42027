// SPDX-License-Identifier: GPL-2.0-only
/*
 * The array: memory disks with a volatile cache, given to the kernel over nbd. One
 * thread serves all of them, so that the log has one order. A write is seen by
 * reads when it arrives; it is sure to survive when a flush of its disk that
 * arrived after the write's end has ended. Some requests end late, so that
 * who does not wait is found.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "crash.h"

#define HELD	64		/* late ends at once */
#define NO_TIME	UINT64_MAX

struct event *events;
uint32_t nr_events;
uint32_t disk_sectors[DISKS];

static uint32_t event_room;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static struct disk {
	int nbd, sock, kernel_sock;
	char path[32];
	uint8_t *mem;
	atomic_bool fail_writes;
	_Atomic enum array_flushes flushes;
	pthread_t doit;
} disks[DISKS];

/* An end that is to come. */
static struct held {
	uint64_t due;			/* us; 0: free, NO_TIME: a flush that is held */
	unsigned int disk;
	uint32_t request;		/* its event, NEVER: a read */
	uint64_t cookie;
	bool failed;
} held[HELD];

static pthread_t server;
static atomic_bool stop;
static uint64_t random_state;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

/* The caller fills the new event before it unlocks. */
static struct event *__log_add(uint8_t kind)
{
	struct event *e;

	if (nr_events == event_room) {
		event_room = event_room * 2 + 4096;
		events = realloc(events, event_room * sizeof(*events));
		if (!events)
			die("memory");
	}
	e = &events[nr_events++];
	memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->ref = NEVER;
	return e;
}

uint32_t log_mark(void)
{
	uint32_t at;

	pthread_mutex_lock(&log_lock);
	__log_add(EV_MARK);
	at = nr_events - 1;
	pthread_mutex_unlock(&log_lock);
	return at;
}

static uint32_t log_request(uint8_t kind, unsigned int disk, uint32_t sector,
			    uint32_t count, bool fua, uint8_t *data)
{
	struct event *e;
	uint32_t at;

	pthread_mutex_lock(&log_lock);
	e = __log_add(kind);
	e->disk = disk;
	e->sector = sector;
	e->count = count;
	e->fua = fua;
	e->data = data;
	at = nr_events - 1;
	pthread_mutex_unlock(&log_lock);
	return at;
}

static void log_end(uint32_t request, bool failed)
{
	struct event *e;

	pthread_mutex_lock(&log_lock);
	e = __log_add(events[request].kind + 1);
	e->disk = events[request].disk;
	e->fua = events[request].fua;
	e->failed = failed;
	e->ref = request;
	events[request].ref = nr_events - 1;
	events[request].failed = failed;
	pthread_mutex_unlock(&log_lock);
}

static bool transfer(int fd, void *buf, size_t len, bool out)
{
	char *p = buf;
	ssize_t n;

	while (len) {
		n = out ? write(fd, p, len) : read(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static void end_request(const struct held *h)
{
	struct nbd_reply reply = {
		.magic = htobe32(NBD_REPLY_MAGIC),
		.error = htobe32(h->failed ? EIO : 0),
	};

	memcpy(&reply.handle, &h->cookie, sizeof(h->cookie));
	if (h->request != NEVER)
		log_end(h->request, h->failed);
	transfer(disks[h->disk].sock, &reply, sizeof(reply), true);
}

static bool hold(struct held h, uint64_t due)
{
	unsigned int i;

	for (i = 0; i < HELD; i++) {
		if (held[i].due)
			continue;
		held[i] = h;
		held[i].due = due;
		return true;
	}
	return false;
}

/* Now, or a little later if there is room to remember it. */
static void end_some_time(struct held h)
{
	if (rnd(&random_state) % 8 ||
	    !hold(h, now_us() + rnd(&random_state) % 4000))
		end_request(&h);
}

static void end_flush(struct held h)
{
	enum array_flushes how = disks[h.disk].flushes;

	h.failed = how == FLUSHES_FAIL;
	h.request = log_request(EV_FLUSH, h.disk, 0, 0, false, NULL);
	if (how != FLUSHES_ARE_HELD || !hold(h, NO_TIME))
		end_some_time(h);
}

static bool serve(unsigned int n)
{
	struct disk *d = &disks[n];
	struct nbd_request req;
	struct held h = { .disk = n, .request = NEVER };
	uint32_t type, sector, count;
	uint8_t *data;

	if (!transfer(d->sock, &req, sizeof(req), false))
		return false;
	type = be32toh(req.type);
	sector = be64toh(req.from) / SECTOR;
	count = be32toh(req.len) / SECTOR;
	memcpy(&h.cookie, &req.handle, sizeof(h.cookie));
	switch (type & 0xffff) {
	case NBD_CMD_READ:
		end_request(&h);
		return transfer(d->sock, d->mem + sector * SECTOR,
				count * SECTOR, true);
	case NBD_CMD_WRITE:
		data = malloc(count * SECTOR);
		if (!data || !transfer(d->sock, data, count * SECTOR, false))
			return false;
		h.failed = d->fail_writes;
		if (!h.failed)
			memcpy(d->mem + sector * SECTOR, data, count * SECTOR);
		h.request = log_request(EV_WRITE, n, sector, count,
					type & (1 << 16), data);
		end_some_time(h);
		return true;
	case NBD_CMD_FLUSH:
		end_flush(h);
		return true;
	}
	return false;		/* NBD_CMD_DISC */
}

static bool is_due(const struct held *h, uint64_t now)
{
	return h->due == NO_TIME ? disks[h->disk].flushes != FLUSHES_ARE_HELD :
		h->due <= now;
}

/* Returns ms until the next one. */
static int end_due(void)
{
	uint64_t now = now_us(), next = NO_TIME;
	struct held h;
	unsigned int i;

	for (i = 0; i < HELD; i++) {
		if (!held[i].due)
			continue;
		if (is_due(&held[i], now)) {
			h = held[i];
			held[i].due = 0;
			if (h.due == NO_TIME)
				h.failed = disks[h.disk].flushes == FLUSHES_FAIL;
			end_request(&h);
		} else if (held[i].due < next) {
			next = held[i].due;
		}
	}
	return next == NO_TIME ? 20 : (int)((next - now) / 1000 + 1);
}

static void *serve_all(void *unused)
{
	struct pollfd fds[DISKS];
	unsigned int i;

	for (i = 0; i < DISKS; i++)
		fds[i] = (struct pollfd){ disks[i].sock, POLLIN, 0 };
	while (!stop) {
		poll(fds, DISKS, end_due());
		for (i = 0; i < DISKS; i++)
			if (fds[i].revents && !serve(i)) {
				shutdown(disks[i].sock, SHUT_RDWR);
				fds[i].fd = -1;
			}
	}
	return unused;
}

static void *doit(void *disk)
{
	struct disk *d = disk;

	ioctl(d->nbd, NBD_DO_IT);
	return NULL;
}

static void start_disk(unsigned int n, const char *nbd)
{
	struct disk *d = &disks[n];
	int pair[2];

	snprintf(d->path, sizeof(d->path), "%s%u", nbd, n);
	d->nbd = open(d->path, O_RDWR | O_CLOEXEC);
	if (d->nbd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("%s: %s", d->path, strerror(errno));
	d->sock = pair[0];
	d->kernel_sock = pair[1];
	d->mem = zalloc(disk_sectors[n] * SECTOR);
	if (ioctl(d->nbd, NBD_SET_BLKSIZE, (long)SECTOR) ||
	    ioctl(d->nbd, NBD_SET_SIZE_BLOCKS, (long)disk_sectors[n]) ||
	    ioctl(d->nbd, NBD_SET_FLAGS, (long)(NBD_FLAG_HAS_FLAGS |
			NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA)) ||
	    ioctl(d->nbd, NBD_SET_SOCK, pair[1]))
		die("%s: %s", d->path, strerror(errno));
}

void array_start(const char *nbd, const uint32_t sectors[DISKS], uint64_t seed)
{
	unsigned int i;

	random_state = seed;
	nr_events = 0;
	stop = false;
	memset(held, 0, sizeof(held));
	memcpy(disk_sectors, sectors, sizeof(disk_sectors));
	for (i = 0; i < DISKS; i++)
		start_disk(i, nbd);
	pthread_create(&server, NULL, serve_all, NULL);
	for (i = 0; i < DISKS; i++)
		pthread_create(&disks[i].doit, NULL, doit, &disks[i]);
	/* the size counts from NBD_DO_IT on */
	for (i = 0; i < DISKS; i++)
		for (;;) {
			int fd = open(disks[i].path, O_RDONLY | O_CLOEXEC);
			off_t end = lseek(fd, 0, SEEK_END);

			close(fd);
			if (end == (off_t)disk_sectors[i] * SECTOR)
				break;
			nap(1000);
		}
}

void array_preset(unsigned int disk, const void *data)
{
	memcpy(disks[disk].mem, data, disk_sectors[disk] * SECTOR);
}

void array_fail_writes(unsigned int disk, bool fail)
{
	disks[disk].fail_writes = fail;
}

void array_flushes(unsigned int disk, enum array_flushes how)
{
	disks[disk].flushes = how;
}

const void *array_peek(unsigned int disk)
{
	return disks[disk].mem;
}

const char *array_path(unsigned int disk)
{
	return disks[disk].path;
}

void array_stop(void)
{
	unsigned int i;

	for (i = 0; i < DISKS; i++) {
		ioctl(disks[i].nbd, NBD_DISCONNECT);
		pthread_join(disks[i].doit, NULL);
		ioctl(disks[i].nbd, NBD_CLEAR_SOCK);
		close(disks[i].nbd);
	}
	stop = true;
	pthread_join(server, NULL);
	for (i = 0; i < DISKS; i++) {
		close(disks[i].sock);
		close(disks[i].kernel_sock);
		free(disks[i].mem);
	}
}
