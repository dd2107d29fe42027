// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replays what dm-log-writes logged: every prefix of the log is what a device may
 * hold after a power failure, without all that was never flushed.
 *
 *   replay LOG				prints "ENTRY NAME" for each mark, "COUNT end"
 *   replay LOG DEV COUNT		applies the first COUNT entries to DEV
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC		0x6a736677736872ull
#define DISCARD		(1 << 2)
#define MARK		(1 << 3)

struct super {
	uint64_t magic, version, nr_entries;
	uint32_t sector_size;
};

struct entry {
	uint64_t sector, nr_sectors, flags, data_len;
};

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int apply(int log, int dev, const struct entry *e, off_t at,
		 uint32_t size)
{
	size_t len = le64toh(e->nr_sectors) * size;
	char *buf = calloc(1, len);
	ssize_t n = len;

	if (!buf)
		return fail("memory");
	if (!(le64toh(e->flags) & DISCARD))
		n = pread(log, buf, len, at);
	if (n != (ssize_t)len ||
	    pwrite(dev, buf, len, le64toh(e->sector) * size) != (ssize_t)len)
		return fail("replay");
	free(buf);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 0) : UINT64_MAX;
	int log = argc > 1 ? open(argv[1], O_RDONLY) : -1, dev = -1;
	char block[4096];
	struct super super;
	uint32_t size;
	off_t at;

	if (argc > 3)
		dev = open(argv[2], O_WRONLY);
	if (log < 0 || (argc > 3 && dev < 0))
		return fail("replay");
	if (pread(log, &super, sizeof(super), 0) != sizeof(super) ||
	    le64toh(super.magic) != MAGIC)
		return fail("no log");
	size = le32toh(super.sector_size);
	at = size;
	for (uint64_t i = 0; i < le64toh(super.nr_entries) && i < count; i++) {
		struct entry *e = (struct entry *)block;
		uint64_t flags;

		if (size > sizeof(block) || pread(log, block, size, at) != size)
			return fail("entry");
		at += size;
		flags = le64toh(e->flags);
		if (flags & MARK) {
			block[size - 1] = 0;
			if (dev < 0)
				printf("%" PRIu64 " %s\n", i + 1,
				       block + sizeof(*e));
			continue;
		}
		if (dev >= 0 && e->nr_sectors && apply(log, dev, e, at, size))
			return 1;
		if (!(flags & DISCARD))
			at += le64toh(e->nr_sectors) * size;
	}
	if (dev < 0)
		printf("%" PRIu64 " end\n", le64toh(super.nr_entries));
	else if (fsync(dev))
		return fail("fsync");
	return 0;
}
