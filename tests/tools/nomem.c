// SPDX-License-Identifier: GPL-2.0-only
/*
 * Brings a device mapper stack up and down again and again, and each time the next
 * memory allocation of one step fails (/proc/self/fail-nth), until the step needs
 * no more of them.
 *
 *	nomem STEP NAME TABLE... [NAME TABLE...]
 *
 * A table is "LEN TARGET ARGS"; the devices are made in this order and removed in the
 * other. STEP: load, resume, remove: of the last device; "message TEXT": to the first
 * one, when all are up. What fails must be undone: everything is removed each time,
 * and the next round must come up. Prints how often what happened.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SIZE 16384
#define TRIES 200

static int control, nth;
static unsigned int devices;
static char **device;			/* name, table, name, table, ... */
static unsigned int errors[256];

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(": %s\n", strerror(errno));
	exit(1);
}

static struct dm_ioctl *request(const char *name)
{
	static union {
		struct dm_ioctl io;
		char space[SIZE];
	} u;

	memset(&u, 0, sizeof(u));
	u.io.version[0] = DM_VERSION_MAJOR;
	u.io.data_size = SIZE;
	u.io.data_start = sizeof(u.io);
	strncpy(u.io.name, name, sizeof(u.io.name) - 1);
	return &u.io;
}

static void *payload(struct dm_ioctl *io)
{
	return (char *)io + io->data_start;
}

static int create(const char *name)
{
	return ioctl(control, DM_DEV_CREATE, request(name));
}

static int load(const char *name, const char *table)
{
	struct dm_ioctl *io = request(name);
	struct dm_target_spec *spec = payload(io);
	int used = 0;

	if (sscanf(table, "%llu %15s %n", &spec->length, spec->target_type,
		   &used) != 2 || strlen(table + used) > SIZE / 2) {
		errno = EINVAL;
		die("%s", table);
	}
	strcpy((char *)(spec + 1), table + used);
	io->target_count = 1;
	return ioctl(control, DM_TABLE_LOAD, io);
}

static int resume(const char *name)
{
	return ioctl(control, DM_DEV_SUSPEND, request(name));
}

static int message(const char *name, const char *text)
{
	struct dm_ioctl *io = request(name);
	struct dm_target_msg *msg = payload(io);

	strcpy(msg->message, text);
	return ioctl(control, DM_TARGET_MSG, io);
}

static int remove_device(const char *name)
{
	return ioctl(control, DM_DEV_REMOVE, request(name));
}

/* Copies are busy for a moment after their I/O. */
static void remove_all(void)
{
	unsigned int i, tries;

	for (i = devices; i--;) {
		for (tries = 0; remove_device(device[2 * i]); tries++) {
			if (errno == ENXIO)
				break;
			if (errno != EBUSY || tries == TRIES)
				die("%s cannot be removed", device[2 * i]);
			usleep(20000);
		}
	}
}

static void fail_nth(unsigned int n)
{
	char text[16];
	int len = sprintf(text, "%u", n);

	if (pwrite(nth, text, len, 0) != len)
		die("fail-nth");
}

/* Return: did it come to that allocation? */
static int failed_one(void)
{
	char text[16] = "";

	if (pread(nth, text, sizeof(text) - 1, 0) < 1)
		die("fail-nth");
	return atoi(text) == 0;
}

/* One more try of a message, for what is not ready yet. */
static int try_message(const char *text, unsigned int n)
{
	unsigned int tries;
	int r;

	for (tries = 0; tries < TRIES; tries++) {
		fail_nth(0);
		usleep(20000);
		fail_nth(n);
		r = message(device[0], text);
		if (!r || failed_one())
			break;
	}
	return r;
}

/* Return: 0 all went well, else an errno; *met: an allocation failed. */
static int round_of(const char *step, const char *text, unsigned int n, int *met)
{
	unsigned int i, last = devices - 1;
	int r = 0;

	*met = 0;
	for (i = 0; i < devices; i++) {
		const char *name = device[2 * i];

		if (create(name))
			die("create %s", name);
		if (i == last && !strcmp(step, "load"))
			fail_nth(n);
		r = load(name, device[2 * i + 1]) ? errno : 0;
		if (i == last && !strcmp(step, "load"))
			goto out;
		if (r)
			die("load %s", name);
		if (i == last && !strcmp(step, "resume"))
			fail_nth(n);
		r = resume(name) ? errno : 0;
		if (i == last && !strcmp(step, "resume"))
			goto out;
		if (r)
			die("resume %s", name);
	}
	if (!strcmp(step, "message"))
		r = try_message(text, n) ? errno : 0;
	if (!strcmp(step, "remove")) {
		fail_nth(n);
		r = remove_device(device[2 * last]) ? errno : 0;
	}
out:
	*met = failed_one();
	fail_nth(0);
	return r;
}

int main(int argc, char **argv)
{
	const char *step = argv[1], *text = "";
	unsigned int n, i;
	int met, r, at = 2;

	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc > 3 && !strcmp(step, "message"))
		text = argv[at++];
	if (argc < at + 2 || (argc - at) % 2) {
		fputs("usage: see the source\n", stderr);
		return 2;
	}
	device = argv + at;
	devices = (argc - at) / 2;
	control = open("/dev/mapper/control", O_RDWR);
	nth = open("/proc/self/fail-nth", O_RDWR);
	if (control < 0 || nth < 0)
		die("open");
	for (n = 1;; n++) {
		r = round_of(step, text, n, &met);
		remove_all();
		if (!met)
			break;
		errors[r & 255]++;
	}
	if (r) {
		errno = r;
		die("%s fails with all the memory it wants", step);
	}
	printf("allocations=%u", n - 1);
	for (i = 0; i < 256; i++)
		if (errors[i])
			printf(" %s=%u", i ? strerrorname_np(i) : "well", errors[i]);
	printf("\n");
	return 0;
}
