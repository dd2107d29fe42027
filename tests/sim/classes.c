// SPDX-License-Identifier: GPL-2.0-only
/* The clusters that are simulated: sizes, load and faults. */
#pragma GCC diagnostic ignored "-Woverride-init"
#include "sim.h"

const char *const sim_fault_names[] = {
#define F(name) #name,
	W_TIMED(F) W_CHANCED(F)
#undef F
};

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
#define F(name) { #name, offsetof(struct world_class, name) },
	W_SIZES(F) W_TIMED(F) W_CHANCED(F)
#undef F
};

static const size_t rates[] = {
#define F(name) offsetof(struct world_class, name),
	W_TIMED(F) W_CHANCED(F)
#undef F
};

static unsigned int *field_at(struct world_class *cls, size_t offset)
{
	return (unsigned int *)((char *)cls + offset);
}

unsigned int sim_rate(const struct world_class *cls, enum fault kind)
{
	return *(const unsigned int *)((const char *)cls + rates[kind]);
}

unsigned int *sim_field(struct world_class *cls, const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].name, name))
			return field_at(cls, fields[i].offset);
	return NULL;
}

/* What makes it another class than the table has, as arguments. */
void sim_tell_class(const struct world_class *cls)
{
	struct world_class a = *cls, b;
	unsigned int i, c;

	for (c = 0; strcmp(sim_classes[c].cls.name, cls->name); c++)
		;
	b = sim_classes[c].cls;
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (*field_at(&a, fields[i].offset) !=
		    *field_at(&b, fields[i].offset))
			printf(" --set %s=%u", fields[i].name,
			       *field_at(&a, fields[i].offset));
}

#define ONE .nodes = 1, .slots = 2, .grains = 100, .slice = 16, .workers = 4, \
	.span = 6, .ms = 3000, .trigger = 200, .cache = W_CACHE_ANY,	\
	.settle = 120
#define THREE ONE, .nodes = 3, .workers = 3, .ms = 4000
#define MANY THREE, .slots = 3, .ms = 6000, .workers = 2, .apart = 1
/* everything at once */
#define ALL .stop = 900, .cut = 2000, .lag = 2000, .slow = 1500,		\
	.freeze = 3000, .crash = 4000, .power = 8000, .leave = 4000,	\
	.attach = 3000, .fence = 9000, .expel = 9000, .dup = 9000,	\
	.drop = 200, .limit = 2000, .requeue = 300, .rate = 2000, .cancel = 100,	\
	.copy_fail = 2, .commit_fail = 3, .super_fail = 10, .io_fail = 3, \
	.read_fail = 10, .nomem = 20, .torn = 10, .resize = 2000

#define C(n, s, ...) { .cls = { .name = n, __VA_ARGS__ }, .seeds = s }

const struct sim_class sim_classes[] = {
	C("one", 40, ONE),
	C("one-stop", 40, ONE, .stop = 500, .drop = 50, .requeue = 100,
	  .attach = 400, .limit = 300),
	C("one-power", 40, ONE, .power = 700),
	C("one-crash", 40, ONE, .ms = 6000, .crash = 900, .leave = 1500,
	  .nomem = 50, .torn = 100),
	C("one-fail", 40, ONE, .stop = 500, .copy_fail = 20, .commit_fail = 20,
	  .super_fail = 30, .io_fail = 20, .read_fail = 100, .crash = 1500),
	/* bitmap blocks of more than one sector, caches of many runs */
	C("one-large", 4, ONE, .grains = 16384, .slice = 8192, .ms = 2000,
	  .span = 14, .power = 900, .trigger = 400, .limit = 200),
	C("two", 40, THREE, .nodes = 2, .slots = 4, .grains = 108, .crash = 2000, .cut = 1500),
	C("three", 40, THREE),
	C("three-small", 40, THREE, .grains = 12, .slice = 4, .ms = 2000,
	  .workers = 6, .cache = W_CACHE_ALL, .trigger = 60),
	C("three-stop", 40, THREE, .stop = 500, .drop = 50, .requeue = 100,
	  .cancel = 300, .limit = 400),
	C("three-links", 40, THREE, .cut = 400, .lag = 600, .slow = 900,
	  .cancel = 100),
	C("three-frozen", 40, THREE, .freeze = 500),
	/* more that wait than a client has credits for */
	C("three-crowd", 30, THREE, .grains = 40, .slice = 8, .workers = 9,
	  .cut = 400, .lag = 700, .slow = 900, .attach = 1500),
	C("three-apart", 60, THREE, .slots = 3, .ms = 6000, .workers = 6,
	  .trigger = 60, .attach = 1200, .crash = 3000, .cut = 400, .lag = 400,
	  .slow = 1500),
	/* few nodes have all active slots attached: one owner, or none */
	C("three-few", 40, THREE, .ms = 6000, .stop = 700, .attach = 150,
	  .crash = 3000, .cut = 2500),
	C("three-slow", 40, THREE, .slow = 300, .stop = 900),
	C("three-power", 40, THREE, .power = 1500),
	C("three-crash", 40, THREE, .ms = 6000, .crash = 1500, .cut = 2500,
	  .torn = 50),
	C("three-leave", 40, THREE, .ms = 6000, .leave = 1200, .attach = 600,
	  .cut = 700, .lag = 1500, .slow = 700, .crash = 3000, .apart = 1),
	/* who leaves stays away: nobody returns to say that his former instance is gone */
	C("four-away", 40, THREE, .nodes = 4, .ms = 8000, .leave = 500, .cut = 150,
	  .slow = 300, .lag = 1500, .away = 300, .crash = 4000),
	C("three-fence", 40, THREE, .ms = 6000, .fence = 2000, .cut = 2500),
	C("three-expel", 40, THREE, .ms = 6000, .expel = 1500, .cut = 2500,
	  .leave = 1200, .slow = 900),
	C("three-lists", 40, THREE, .ms = 6000, .dup = 1500, .fence = 3000,
	  .cut = 2500, .slow = 900, .rate = 2000),
	C("three-fail", 40, THREE, .stop = 900, .copy_fail = 10,
	  .commit_fail = 10, .super_fail = 20, .io_fail = 10, .read_fail = 100,
	  .crash = 2500),
	C("three-memory", 40, THREE, .nomem = 200, .crash = 1500, .drop = 100),
	C("four-grow", 40, THREE, .nodes = 4, .grow = 1500, .nomem = 50,
	  .crash = 3000, .attach = 1200, .fence = 4000),
	/* a slice for each of many views: nodes die, often together, and return */
	C("five-fence", 40, THREE, .nodes = 5, .grains = 300, .slice = 8,
	  .ms = 8000, .workers = 2, .fence = 700, .cut = 2000, .lag = 2000),
	C("five-views", 40, THREE, .nodes = 5, .grains = 300, .slice = 8,
	  .ms = 8000, .workers = 2, .leave = 500, .crash = 900, .expel = 4000,
	  .slow = 1500, .trigger = 700, .cache = W_CACHE_ALL),
	C("all", 60, THREE, .nodes = 4, .slots = 3, .ms = 8000, .apart = 1, ALL),
	/* copies that the owner makes by itself; runs of more than a word of bits */
	C("one-rate", 30, ONE, .grains = 300, .slice = 128, .rate = 150, .stop = 1500, .power = 2000,
	  .limit = 800),
	C("three-rate", 40, THREE, .rate = 200, .trigger = 500, .stop = 1500,
	  .cut = 1500, .crash = 2500, .attach = 2500),
	C("three-rate-fail", 30, THREE, .rate = 300, .trigger = 400,
	  .slow = 1500, .copy_fail = 5, .commit_fail = 5, .super_fail = 10,
	  .expel = 4000, .cancel = 100, .torn = 20),
	/* the volume grows, while copies of it are active */
	C("one-resize", 40, ONE, .resize = 200, .crash = 900, .power = 1500,
	  .torn = 50, .super_fail = 30, .stop = 1500, .cancel = 50),
	C("three-resize", 60, THREE, .slots = 3, .ms = 6000, .resize = 250,
	  .trigger = 300, .stop = 1500, .crash = 2000, .power = 4000,
	  .leave = 3000, .cut = 1500, .attach = 1500, .super_fail = 10,
	  .torn = 30, .cancel = 50),
	C("three-resize-rate", 40, THREE, .resize = 400, .rate = 300,
	  .trigger = 400, .crash = 2500, .expel = 4000, .cut = 2000),
	C("eight", 10, MANY, .nodes = 8, .grains = 400, .fence = 2500, .cut = 2000, .crash = 3000,
	  .slow = 3000),
	C("sixteen", 6, MANY, .nodes = 16, .grains = 400, ALL, .power = 6000),
	C("sixtyfour", 2, MANY, .nodes = 64, .grains = 800, .slice = 8, .workers = 1, .cut = 2000,
	  .crash = 4000, .leave = 5000),
};

const unsigned int sim_nr_classes = ARRAY_SIZE(sim_classes);
