// SPDX-License-Identifier: GPL-2.0-only
/* Device mapper ioctls. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "crash.h"

#define ROOM	16384

static int control(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("/dev/mapper/control: %s", strerror(errno));
	return fd;
}

static struct dm_ioctl *request(const char *name)
{
	struct dm_ioctl *io = zalloc(ROOM);

	io->version[0] = DM_VERSION_MAJOR;
	io->data_size = ROOM;
	io->data_start = sizeof(*io);
	snprintf(io->name, sizeof(io->name), "%s", name);
	return io;
}

static int run(struct dm_ioctl *io, unsigned long command)
{
	return ioctl(control(), command, io) ? -errno : 0;
}

static int simple(const char *name, unsigned long command, uint32_t flags)
{
	struct dm_ioctl *io = request(name);
	int r;

	io->flags = flags;
	r = run(io, command);
	free(io);
	return r;
}

static int load(const char *name, uint64_t len, const char *target,
		const char *params)
{
	struct dm_ioctl *io = request(name);
	struct dm_target_spec *spec = (void *)((char *)io + sizeof(*io));
	int r;

	io->target_count = 1;
	spec->length = len;
	snprintf(spec->target_type, sizeof(spec->target_type), "%s", target);
	snprintf((char *)(spec + 1), ROOM - sizeof(*io) - sizeof(*spec), "%s",
		 params);
	r = run(io, DM_TABLE_LOAD);
	free(io);
	return r;
}

int dm_create(const char *name, uint64_t len, const char *target,
	      const char *params)
{
	int r = simple(name, DM_DEV_CREATE, 0);

	if (r)
		return r;
	r = load(name, len, target, params);
	if (!r)
		r = simple(name, DM_DEV_SUSPEND, 0);
	if (r)
		dm_remove(name);
	return r;
}

int dm_swap(const char *name, uint64_t len, const char *target,
	    const char *params)
{
	int r = load(name, len, target, params);

	if (!r)
		r = simple(name, DM_DEV_SUSPEND, DM_SUSPEND_FLAG |
			   DM_NOFLUSH_FLAG | DM_SKIP_LOCKFS_FLAG);
	return r ? r : simple(name, DM_DEV_SUSPEND, DM_NOFLUSH_FLAG);
}

int dm_remove(const char *name)
{
	uint64_t end = now_ms() + 10000;
	int r;

	while ((r = simple(name, DM_DEV_REMOVE, 0)) == -EBUSY &&
	       now_ms() < end)
		nap(1000);
	return r;
}

int dm_message(const char *name, const char *text)
{
	struct dm_ioctl *io = request(name);
	struct dm_target_msg *msg = (void *)((char *)io + sizeof(*io));
	int r;

	snprintf((char *)(msg + 1), 512, "%s", text);
	r = run(io, DM_TARGET_MSG);
	free(io);
	return r;
}

int dm_status(const char *name, char *text, size_t size)
{
	struct dm_ioctl *io = request(name);
	struct dm_target_spec *spec;
	int r;

	io->flags = DM_NOFLUSH_FLAG;
	r = run(io, DM_TABLE_STATUS);
	spec = (void *)((char *)io + io->data_start);
	snprintf(text, size, "%s", r ? "" : (char *)(spec + 1));
	free(io);
	return r;
}

const char *dm_path(const char *name, char *buf, size_t size)
{
	struct dm_ioctl *io = request(name);

	if (run(io, DM_DEV_STATUS))
		die("%s: %s", name, strerror(errno));
	snprintf(buf, size, "/dev/dm-%u", minor(io->dev));
	free(io);
	return buf;
}

int dm_open(const char *name)
{
	char path[32];

	return open(dm_path(name, path, sizeof(path)),
		    O_RDWR | O_DIRECT | O_CLOEXEC);
}

const char *field(const char *line, const char *name, char *buf, size_t size)
{
	size_t n = strlen(name);
	const char *p = line;

	buf[0] = '\0';
	while ((p = strchr(p, ' '))) {
		p++;
		if (!strncmp(p, name, n) && p[n] == '=') {
			p += n + 1;
			snprintf(buf, size, "%.*s", (int)strcspn(p, " "), p);
			break;
		}
	}
	return buf;
}
