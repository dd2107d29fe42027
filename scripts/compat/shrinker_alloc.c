/* 6.7: shrinkers are allocated and carry private_data */
#include <linux/shrinker.h>

struct shrinker *probe(void)
{
	struct shrinker *s = shrinker_alloc(0, "probe");

	s->private_data = NULL;
	shrinker_register(s);
	shrinker_free(s);
	return s;
}
