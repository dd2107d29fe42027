// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the frequency of this machine's time stamp counter in kHz, or nothing where
 * there is none. A guest whose CPU is emulated reads the same counter.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#ifdef __x86_64__
#include <x86intrin.h>

#define SPAN_NS		50000000
#define TRIES		64

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* Both at one moment: of many tries the one that was not interrupted. */
static void both(int64_t *ns, int64_t *ticks)
{
	int64_t before, after, t, best = INT64_MAX;
	int i;

	for (i = 0; i < TRIES; i++) {
		before = now_ns();
		t = __rdtsc();
		after = now_ns();
		if (after - before >= best)
			continue;
		best = after - before;
		*ns = before + best / 2;
		*ticks = t;
	}
}

int main(void)
{
	struct timespec span = { .tv_nsec = SPAN_NS };
	int64_t ns[2], ticks[2];

	both(&ns[0], &ticks[0]);
	nanosleep(&span, NULL);
	both(&ns[1], &ticks[1]);
	printf("%.0f\n", (ticks[1] - ticks[0]) * 1e6 / (ns[1] - ns[0]));
	return 0;
}
#else
int main(void)
{
	return 0;
}
#endif
