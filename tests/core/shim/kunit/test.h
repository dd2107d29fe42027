/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of KUnit as the suites of the core need, printing TAP, so that the
 * same files run under the user-space sanitizers too.
 */
#ifndef SHIM_KUNIT_TEST_H
#define SHIM_KUNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <linux/kernel.h>
#include <linux/slab.h>

struct kunit_memory {
	struct kunit_memory *next;
};

struct kunit {
	void *priv;
	int failed;
	struct kunit_memory *memory;
	jmp_buf out;
};

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
};

struct kunit_suite {
	const char name[64];
	int (*init)(struct kunit *test);
	void (*exit)(struct kunit *test);
	struct kunit_case *test_cases;
};

#define KUNIT_CASE(fn)	{ .run_case = fn, .name = #fn }

/* Some formats are the kernel's own, so the compiler does not look at them. */
static inline void shim_say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	printf("#   ");
	vprintf(fmt, args);
	printf("\n");
	va_end(args);
}

#define shim_expect(test, c, text) do {					\
	if (!(c)) {							\
		(test)->failed = 1;					\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, text);	\
	}								\
} while (0)
#define shim_assert(test, c, text) do {					\
	shim_expect(test, c, text);					\
	if ((test)->failed)						\
		longjmp((test)->out, 1);				\
} while (0)
#define shim_compare(test, a, op, b) do {				\
	long long shim_a = (long long)(a), shim_b = (long long)(b);	\
	if (!(shim_a op shim_b)) {					\
		(test)->failed = 1;					\
		printf("# %s:%d: %s " #op " %s: %lld, %lld\n", __FILE__, \
		       __LINE__, #a, #b, shim_a, shim_b);		\
	}								\
} while (0)

#define KUNIT_EXPECT_TRUE(test, c)	shim_expect(test, c, #c)
#define KUNIT_EXPECT_FALSE(test, c)	shim_expect(test, !(c), "!" #c)
#define KUNIT_EXPECT_EQ(test, a, b)	shim_compare(test, a, ==, b)
#define KUNIT_EXPECT_NE(test, a, b)	shim_compare(test, a, !=, b)
#define KUNIT_EXPECT_GT(test, a, b)	shim_compare(test, a, >, b)
#define KUNIT_EXPECT_GE(test, a, b)	shim_compare(test, a, >=, b)
#define KUNIT_EXPECT_LT(test, a, b)	shim_compare(test, a, <, b)
#define KUNIT_EXPECT_LE(test, a, b)	shim_compare(test, a, <=, b)
#define KUNIT_EXPECT_STREQ(test, a, b)	\
	shim_expect(test, !strcmp(a, b), #a " is " #b)

/* A check, and what more there is to say of its failure. */
#define shim_message(test, check, ...) do {				\
	int shim_was = (test)->failed;					\
	(test)->failed = 0;						\
	check;								\
	if ((test)->failed)						\
		shim_say(__VA_ARGS__);					\
	(test)->failed |= shim_was;					\
} while (0)
#define KUNIT_EXPECT_TRUE_MSG(test, c, ...)	\
	shim_message(test, shim_expect(test, c, #c), __VA_ARGS__)
#define KUNIT_EXPECT_EQ_MSG(test, a, b, ...)	\
	shim_message(test, shim_compare(test, a, ==, b), __VA_ARGS__)
#define KUNIT_EXPECT_GT_MSG(test, a, b, ...)	\
	shim_message(test, shim_compare(test, a, >, b), __VA_ARGS__)
#define KUNIT_EXPECT_LT_MSG(test, a, b, ...)	\
	shim_message(test, shim_compare(test, a, <, b), __VA_ARGS__)
#define KUNIT_FAIL(test, ...)	\
	shim_message(test, shim_expect(test, 0, "fails"), __VA_ARGS__)
#define kunit_info(test, ...)	shim_say(__VA_ARGS__)
#define KUNIT_ASSERT_TRUE(test, c)	shim_assert(test, c, #c)
#define KUNIT_ASSERT_FALSE(test, c)	shim_assert(test, !(c), "!" #c)
#define KUNIT_ASSERT_EQ(test, a, b) do {				\
	shim_compare(test, a, ==, b);					\
	if ((test)->failed)						\
		longjmp((test)->out, 1);				\
} while (0)
#define KUNIT_ASSERT_NOT_ERR_OR_NULL(test, p) shim_assert(test, p, #p)

/* Freed at the end of the case. */
static inline void *kunit_kzalloc(struct kunit *test, size_t size, gfp_t gfp)
{
	/* aligned as what follows it is to be */
	struct kunit_memory *m = kzalloc(16 + size, gfp);

	if (!m)
		return NULL;
	m->next = test->memory;
	test->memory = m;
	return (char *)m + 16;
}

static inline void shim_free_memory(struct kunit *test)
{
	struct kunit_memory *m;

	while ((m = test->memory)) {
		test->memory = m->next;
		kfree(m);
	}
}

/* An assertion that fails comes back here. */
static inline void shim_case(struct kunit *test, struct kunit_case *c)
{
	if (!setjmp(test->out))
		c->run_case(test);
}

static inline int shim_suite(struct kunit_suite *suite)
{
	struct kunit_case *c;
	int n = 0, failed = 0;

	for (c = suite->test_cases; c->run_case; c++) {
		struct kunit test = { NULL };

		if (!suite->init || !suite->init(&test)) {
			shim_case(&test, c);
			if (suite->exit)
				suite->exit(&test);
			shim_free_memory(&test);
		} else {
			test.failed = 1;
		}
		failed |= test.failed;
		printf("%sok %d - %s\n", test.failed ? "not " : "", ++n,
		       c->name);
		fflush(stdout);
	}
	printf("1..%d\n", n);
	return failed;
}

#define kunit_test_suite(suite)	kunit_test_suites(&suite)
#define kunit_test_suites(suite)	\
int main(void)				\
{					\
	return shim_suite(suite);	\
}

#endif
