/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels the module builds for. The code elsewhere is
 * written for the newest of them; scripts/compat-probe compiles the questions in
 * scripts/compat against this one and writes the answers to compat-config.h.
 */
#ifndef FCLOCK_COMPAT_H
#define FCLOCK_COMPAT_H

#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat-config.h"

#ifdef FCLOCK_HAVE_LINUX_UNALIGNED
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

#ifndef FCLOCK_HAVE_WQ_PERCPU
#define WQ_PERCPU 0
#endif

/*
 * A shrinker with a pointer of its user. The callbacks are those of struct
 * shrinker; fclock_shrinker_private() gives them back their pointer.
 */
typedef unsigned long fclock_shrinker_fn(struct shrinker *s,
					 struct shrink_control *sc);

#ifdef FCLOCK_HAVE_SHRINKER_ALLOC

static inline void *fclock_shrinker_private(struct shrinker *s)
{
	return s->private_data;
}

static inline void fclock_shrinker_destroy(struct shrinker *s)
{
	if (s)
		shrinker_free(s);
}

static inline struct shrinker *
fclock_shrinker_create(fclock_shrinker_fn *count, fclock_shrinker_fn *scan,
		       void *private, const char *name)
{
	struct shrinker *s = shrinker_alloc(0, "%s", name);

	if (!s)
		return NULL;
	s->count_objects = count;
	s->scan_objects = scan;
	s->private_data = private;
	shrinker_register(s);
	return s;
}

#else

struct fclock_shrinker {
	struct shrinker s;
	void *private;
};

static inline void *fclock_shrinker_private(struct shrinker *s)
{
	return container_of(s, struct fclock_shrinker, s)->private;
}

static inline void fclock_shrinker_destroy(struct shrinker *s)
{
	if (!s)
		return;
	unregister_shrinker(s);
	kfree(container_of(s, struct fclock_shrinker, s));
}

static inline struct shrinker *
fclock_shrinker_create(fclock_shrinker_fn *count, fclock_shrinker_fn *scan,
		       void *private, const char *name)
{
	struct fclock_shrinker *fs = kzalloc(sizeof(*fs), GFP_KERNEL);

	if (!fs)
		return NULL;
	fs->s.count_objects = count;
	fs->s.scan_objects = scan;
	fs->s.seeks = DEFAULT_SEEKS;
	fs->private = private;
	if (register_shrinker(&fs->s, "%s", name)) {
		kfree(fs);
		return NULL;
	}
	return &fs->s;
}

#endif

#endif /* FCLOCK_COMPAT_H */
