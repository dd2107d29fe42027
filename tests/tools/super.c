// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks at superblocks, and makes strange ones.
 *
 *   super show DEV			both blocks, one line each
 *   super newest DEV			the one that counts
 *   super owners DEV			who owns each slice by it: 1,3,1,...
 *   super poke DEV BLOCK OFF SIZE VALUE	a little-endian field; the CRC is made right
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK	4096
#define CRC	12

static unsigned char block[BLOCK] __attribute__((aligned(BLOCK)));

/* As the kernel's crc32c(): begins with all ones, not inverted at the end. */
static uint32_t crc32c(const unsigned char *p, size_t len)
{
	uint32_t crc = ~0u;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static uint32_t sum(void)
{
	unsigned char copy[BLOCK];

	memcpy(copy, block, BLOCK);
	memset(copy + CRC, 0, 4);
	return crc32c(copy, BLOCK);
}

static uint64_t get(int off, int size)
{
	uint64_t v = 0;

	memcpy(&v, block + off, size);
	return le64toh(v);
}

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static void show(int n)
{
	printf("%d: version=%" PRIu64 " crc=%s state=%" PRIu64
	       " length=%" PRIu64 " grain=%" PRIu64 " slice=%" PRIu64
	       " epoch=%" PRIu64 " primary=%" PRIu64 " owners=%" PRIx64
	       " slots=", n, get(8, 4), get(CRC, 4) == sum() ? "good" : "bad",
	       get(16, 8), get(40, 8), get(48, 4), get(52, 4), get(72, 8),
	       get(104, 1), get(88, 8));
	for (int s = 0; s < 16; s++)
		printf("%s%" PRIu64, s ? "," : "", get(112 + s * 24, 1));
	printf(" listed=");
	for (int i = 0; i < 64; i++)
		if (get(512 + i * 48, 8))
			printf("%d,", i + 1);
	printf("\n");
}

/* ---- Placement, once more: what protocol.rst and version 2 of the protocol say ---- */

#define STEP	0x9e3779b97f4a7c15ULL

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static int owner(uint64_t slice)
{
	uint64_t hash = mix(mix(mix(get(24, 8) + STEP) ^ (get(32, 8) + STEP)) ^
			    (slice + STEP));
	uint64_t best = 0, score;
	int id, is = 0;

	for (id = 1; id <= 64; id++) {
		if (!(get(88, 8) >> (id - 1) & 1))
			continue;
		score = mix(hash + id * STEP);
		if (!is || score > best) {
			best = score;
			is = id;
		}
	}
	return is;
}

static void show_owners(void)
{
	for (uint64_t slice = 0; slice < get(64, 8); slice++)
		printf("%s%d", slice ? "," : "", owner(slice));
	printf("\n");
}

int main(int argc, char **argv)
{
	int fd = -1;

	if (argc >= 3)
		fd = open(argv[2], O_RDWR | O_DIRECT | O_SYNC);
	if (fd < 0)
		return fail("super");
	if (!strcmp(argv[1], "newest") || !strcmp(argv[1], "owners")) {
		uint64_t state[2] = { 0, 0 };

		for (int n = 0; n < 3; n++) {
			int which = n < 2 ? n : state[1] > state[0];

			if (pread(fd, block, BLOCK, which * BLOCK) != BLOCK)
				return fail("read");
			if (n == 2 && argv[1][0] == 'o')
				show_owners();
			else if (n == 2)
				show(which);
			else if (get(CRC, 4) == sum())
				state[n] = get(16, 8);
		}
		return 0;
	}
	if (!strcmp(argv[1], "show")) {
		for (int n = 0; n < 2; n++) {
			if (pread(fd, block, BLOCK, n * BLOCK) != BLOCK)
				return fail("read");
			show(n);
		}
		return 0;
	}
	if (argc == 7 && !strcmp(argv[1], "poke")) {
		off_t at = strtoul(argv[3], NULL, 0) * BLOCK;
		uint64_t value = htole64(strtoull(argv[6], NULL, 0));
		uint32_t crc;

		if (pread(fd, block, BLOCK, at) != BLOCK)
			return fail("read");
		memcpy(block + atoi(argv[4]), &value, atoi(argv[5]));
		crc = htole32(sum());
		memcpy(block + CRC, &crc, 4);
		if (pwrite(fd, block, BLOCK, at) != BLOCK)
			return fail("write");
		return 0;
	}
	fprintf(stderr, "super: bad arguments\n");
	return 2;
}
