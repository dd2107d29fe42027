// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends one polled I/O to a block device, and does not poll for it.
 *
 *	polled read|write DEVICE SECTOR
 *
 * Prints "sent"; when its input ends it polls, until the I/O has ended, and prints its
 * result: bytes, or an error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE 4096

static char *map(int ring, size_t size, off_t what)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		       what);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static int enter(int ring, unsigned int submit, unsigned int complete)
{
	return syscall(SYS_io_uring_enter, ring, submit, complete,
		       complete ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
}

int main(int argc, char **argv)
{
	struct io_uring_params p = { .flags = IORING_SETUP_IOPOLL };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	char *sq, *cq, *data, c;
	int fd, ring;

	if (argc != 4) {
		fputs("usage: see the source\n", stderr);
		return 2;
	}
	fd = open(argv[2], O_RDWR | O_DIRECT);
	ring = syscall(SYS_io_uring_setup, 1, &p);
	data = aligned_alloc(SIZE, SIZE);
	if (fd < 0 || ring < 0 || !data) {
		perror(argv[2]);
		return 1;
	}
	memset(data, 0, SIZE);
	sq = map(ring, p.sq_off.array + p.sq_entries * sizeof(unsigned int),
		 IORING_OFF_SQ_RING);
	cq = map(ring, p.cq_off.cqes + p.cq_entries * sizeof(*cqe),
		 IORING_OFF_CQ_RING);
	sqe = (void *)map(ring, p.sq_entries * sizeof(*sqe), IORING_OFF_SQES);
	sqe->opcode = *argv[1] == 'w' ? IORING_OP_WRITE : IORING_OP_READ;
	sqe->fd = fd;
	sqe->addr = (unsigned long)data;
	sqe->len = SIZE;
	sqe->off = strtoull(argv[3], NULL, 0) * 512;
	*(unsigned int *)(sq + p.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(sq + p.sq_off.tail), 1,
			 __ATOMIC_RELEASE);
	if (enter(ring, 1, 0) != 1) {
		perror("io_uring_enter");
		return 1;
	}
	puts("sent");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	if (enter(ring, 0, 1) < 0) {
		perror("io_uring_enter");
		return 1;
	}
	cqe = (void *)(cq + p.cq_off.cqes);
	printf("%d\n", cqe->res);
	return cqe->res != SIZE;
}
