/* SPDX-License-Identifier: GPL-2.0-only */
/* The least that prints TAP from a program. */
#ifndef FCLOCK_TAP_H
#define FCLOCK_TAP_H

#include <stdio.h>

static int tap_count, tap_failed;

#define tap_ok(condition, ...) do {					\
	int tap_hit = !!(condition);					\
	if (!tap_hit) {							\
		tap_failed++;						\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition); \
	}								\
	printf("%sok %d - ", tap_hit ? "" : "not ", ++tap_count);	\
	printf(__VA_ARGS__);						\
	printf("\n");							\
	fflush(stdout);							\
} while (0)

static inline int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
