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

int main(void)
{
	struct fclock_core *core = large_core();

	test_generation(core);
	test_loaded(core);
	free_core(core);
	return tap_done();
}
