// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bits of a volume whose grains do not fit in 32 bits (16 TiB with grains of 4 KiB).
 * Its bitmap is memory that is not there until it is touched. Where a long has
 * 32 bits no volume is that large; the last ones of the largest are tried there.
 */
#include <sys/mman.h>
#include "core-private.h"
#include "tap.h"

#define SLICE	FCLOCK_MAX_SLICE
#define BASE	(BITS_PER_LONG == 64 ? 1ULL << 32 : 1ULL << 30)
#define GRAINS	(BASE + 2 * SLICE + 100)
#define SLICES	(BASE / SLICE + 3)

static struct fclock_core *large_core(void)
{
	struct fclock_core *core = kzalloc(sizeof(*core), GFP_KERNEL);
	struct fclock_owned_slot *os = &core->own.slot[0];

	core->cfg.node = 1;
	core->sb.owners = 1;
	core->sb.slot[0].generation = 7;
	core->sb.slot[0].length = GRAINS * 8;
	core->sb.geo = (struct fclock_geometry) {
		.length = GRAINS * 8, .grain = 8, .slice = SLICE,
		.grains = GRAINS, .slices = SLICES,
	};
	os->bits = mmap(NULL, GRAINS / 8 + 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	BUG_ON(os->bits == MAP_FAILED);
	os->slice_era = kcalloc(SLICES, sizeof(u64), GFP_KERNEL);
	os->slice_split = kcalloc(SLICES, sizeof(u32), GFP_KERNEL);
	return core;
}

static void free_core(struct fclock_core *core)
{
	struct fclock_owned_slot *os = &core->own.slot[0];

	munmap(os->bits, GRAINS / 8 + 4096);
	kfree(os->slice_era);
	kfree(os->slice_split);
	kfree(core);
}

static void test_generation(struct fclock_core *core)
{
	u64 high = BASE + 5, first, last;

	fclock_bits_trigger(core, 0);
	tap_ok(fclock_slice_known(core, 0, 0) &&
	       fclock_slice_known(core, 0, BASE / SLICE),
	       "a new generation knows the first slice and one beyond");
	fclock_bits_set(core, 0, 5, 6);
	fclock_bits_set(core, 0, high, high + 1);
	tap_ok(fclock_all_split(core, 1, 6) && fclock_all_split(core, 1, high),
	       "both have split grains");
	fclock_split_run(core, 1, high, &first, &last);
	tap_ok(first == high && last == high + 1, "the run of one of them");

	/* The slice beyond is looked at first. */
	fclock_bits_trigger(core, 0);
	fclock_slice_known(core, 0, BASE / SLICE);
	tap_ok(!fclock_all_split(core, 1, high) &&
	       !fclock_all_split(core, 1, high + 1),
	       "the next generation begins unsplit beyond");
	tap_ok(fclock_all_split(core, 1, 5) && fclock_all_split(core, 1, 6),
	       "and touches no bits of the first slice for it");
	fclock_slice_known(core, 0, 0);
	tap_ok(!fclock_all_split(core, 1, 5), "whose turn comes");
}

static void test_loaded(struct fclock_core *core)
{
	struct fclock_load *load = kzalloc(sizeof(*load), GFP_KERNEL);
	struct fclock_owned_slot *os = &core->own.slot[0];
	u64 end = GRAINS - 1;

	fclock_bits_trigger(core, 0);
	fclock_slice_known(core, 0, 2);
	fclock_bits_set(core, 0, 2 * SLICE, 2 * SLICE + 99);
	fclock_bits_forget(core, 0);
	load->slice = SLICES - 1;
	load->generation = 7;
	__set_bit(99, load->bits);
	__set_bit(end, os->bits);
	__set_bit(end - 1, os->bits);
	fclock_bits_loaded(core, load);
	tap_ok(fclock_slice_known(core, 0, SLICES - 1) &&
	       os->slice_split[SLICES - 1] == 1, "the last slice was read");
	tap_ok(fclock_all_split(core, 1, end) &&
	       !fclock_all_split(core, 1, end - 1) &&
	       fclock_next_split(core, 1, BASE + 2 * SLICE, end) == end,
	       "it has the bits of M");
	tap_ok(fclock_all_split(core, 1, 2 * SLICE) &&
	       fclock_all_split(core, 1, 2 * SLICE + 99),
	       "those of another slice stay");
	kfree(load);
}

/* The run around @grain, one by one. */
static bool right_run(struct fclock_core *core, u16 slots, u64 grain)
{
	u64 first = grain, last = grain, f, l;

	while (first && fclock_all_split(core, slots, first - 1))
		first--;
	while (last < 4 * SLICE - 1 && fclock_all_split(core, slots, last + 1))
		last++;
	fclock_split_run(core, slots, grain, &f, &l);
	if (f == first && l == last)
		return true;
	printf("# grain %llu: %llu..%llu, not %llu..%llu\n",
	       (unsigned long long)grain, (unsigned long long)f,
	       (unsigned long long)l, (unsigned long long)first,
	       (unsigned long long)last);
	return false;
}

/* Runs of two slots begin and end anywhere, in words and in slices. */
static void test_runs(struct fclock_core *core)
{
	struct fclock_owned_slot *os = core->own.slot;
	u64 g, hole, seed = 1;
	bool right = true;
	unsigned int i;

	core->sb.geo.grains = 4 * SLICE;
	core->sb.geo.slices = 4;
	os[1].bits = kcalloc(4 * SLICE / BITS_PER_LONG, sizeof(long), GFP_KERNEL);
	os[1].slice_era = kcalloc(4, sizeof(u64), GFP_KERNEL);
	os[1].slice_split = kcalloc(4, sizeof(u32), GFP_KERNEL);
	for (i = 0; i < 2; i++) {
		fclock_bits_trigger(core, i);
		for (g = 0; g < 4; g++)
			fclock_slice_known(core, i, g);
		for (g = 0, hole = i; g < 4 * SLICE; g++) {
			if (g != hole) {
				fclock_bits_set(core, i, g, g);
				continue;
			}
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			hole += 1 + (seed >> 33) % (i ? 700 : 2 * SLICE);
		}
	}
	for (g = 0; g < 4 * SLICE && right; g += 61)
		right = !fclock_all_split(core, 3, g) || right_run(core, 3, g);
	for (g = 0; g < 4 * SLICE && right; g += 1021)
		right = !fclock_all_split(core, 1, g) || right_run(core, 1, g);
	tap_ok(right, "runs begin and end where they do");
	kfree(os[1].bits);
	kfree(os[1].slice_era);
	kfree(os[1].slice_split);
	memset(&os[1], 0, sizeof(os[1]));
}

int main(void)
{
	struct fclock_core *core = large_core();

	test_generation(core);
	test_loaded(core);
	test_runs(core);
	free_core(core);
	return tap_done();
}
