// SPDX-License-Identifier: GPL-2.0-only
/* What the shim headers declare. */
#include <linux/bitmap.h>
#include <linux/kernel.h>
#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/math64.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

/* warnings and logs */

void (*shim_warn_hook)(const char *what, const char *file, int line);

void shim_bug(const char *what, const char *file, int line)
{
	fflush(stdout);
	fprintf(stderr, "BUG: %s at %s:%d\n", what, file, line);
	abort();
}

void shim_warn(const char *what, const char *file, int line)
{
	if (!shim_warn_hook)
		shim_bug(what, file, line);
	shim_warn_hook(what, file, line);
}

int shim_loglevel = -1;
void (*shim_log_hook)(int level, const char *line);

void shim_printk(int level, const char *fmt, ...)
{
	char line[1024];
	va_list args;

	if (shim_loglevel < 0) {
		const char *env = getenv("FCLOCK_LOG");

		shim_loglevel = env ? atoi(env) : 3;
	}
	if (!shim_log_hook && level > shim_loglevel)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (shim_log_hook)
		shim_log_hook(level, line);
	else
		fputs(line, stderr);
}

/* strings */

int vscnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	int n = vsnprintf(buf, size, fmt, args);

	if (n >= 0 && (size_t)n < size)
		return n;
	return size ? size - 1 : 0;
}

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vscnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}

ssize_t strscpy_shim(char *dst, const char *src, size_t size)
{
	size_t len = strnlen(src, size);

	if (!size)
		return -E2BIG;
	if (len == size) {
		memcpy(dst, src, size - 1);
		dst[size - 1] = '\0';
		return -E2BIG;
	}
	memcpy(dst, src, len + 1);
	return len;
}

ssize_t strscpy_pad_shim(char *dst, const char *src, size_t size)
{
	ssize_t len = strscpy_shim(dst, src, size);

	if (len >= 0)
		memset(dst + len, 0, size - len);
	return len;
}

int hex2bin(u8 *to, const char *hex, size_t count)
{
	unsigned int byte;

	for (; count--; hex += 2) {
		if (sscanf(hex, "%2x", &byte) != 1)
			return -EINVAL;
		*to++ = byte;
	}
	return 0;
}

void *memchr_inv(const void *p, int c, size_t n)
{
	const u8 *b = p;

	/* the C library compares faster than this file does */
	if (n && *b == (u8)c && !memcmp(b, b + 1, n - 1))
		return NULL;
	for (; n; n--, b++)
		if (*b != (u8)c)
			return (void *)b;
	return NULL;
}

/* quotients of 64 bits, where the kernel does not leave them to the compiler */

#if __SIZEOF_LONG__ != 8
u64 div_u64_rem(u64 n, u32 d, u32 *rem)
{
	*rem = n % d;
	return n / d;
}

u64 div64_u64_rem(u64 n, u64 d, u64 *rem)
{
	*rem = n % d;
	return n / d;
}

u64 div_u64(u64 n, u32 d)
{
	return n / d;
}

u64 div64_u64(u64 n, u64 d)
{
	return n / d;
}

s64 div_s64(s64 n, s32 d)
{
	return n / d;
}
#endif

/* products of 128 bits, where the compiler has none */

#ifndef __SIZEOF_INT128__
static u64 mul_high(u64 a, u64 b, u64 *low)
{
	u64 ah = a >> 32, al = (u32)a, bh = b >> 32, bl = (u32)b;
	u64 mid = ah * bl + (al * bl >> 32);
	u64 mid2 = al * bh + (u32)mid;

	*low = a * b;
	return ah * bh + (mid >> 32) + (mid2 >> 32);
}

u64 mul_u64_u64_shr(u64 a, u64 b, unsigned int shift)
{
	u64 low, high = mul_high(a, b, &low);

	if (shift >= 64)
		return high >> (shift - 64);
	return shift ? high << (64 - shift) | low >> shift : low;
}

/* By hand; the quotient must have no more than 64 bits. */
u64 mul_u64_u64_div_u64(u64 a, u64 b, u64 c)
{
	u64 low, rest = mul_high(a, b, &low), quotient = 0;
	bool carry;
	int i;

	BUG_ON(rest >= c);
	for (i = 63; i >= 0; i--) {
		carry = rest >> 63;
		rest = rest << 1 | (low >> i & 1);
		if (carry || rest >= c) {
			rest -= c;
			quotient |= 1ULL << i;
		}
	}
	return quotient;
}
#endif

/* random numbers: splitmix64; the same bytes on every machine */

static void random_bytes(u64 *state, u8 *to, size_t len)
{
	__le64 bytes;
	u64 z;

	while (len) {
		size_t n = len < sizeof(bytes) ? len : sizeof(bytes);

		z = *state += 0x9e3779b97f4a7c15;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		z ^= z >> 31;
		bytes = cpu_to_le64(z);
		memcpy(to, &bytes, n);
		to += n;
		len -= n;
	}
}

u64 shim_random_state;

void get_random_bytes(void *to, size_t len)
{
	random_bytes(&shim_random_state, to, len);
}

void prandom_bytes_state(struct rnd_state *state, void *to, size_t len)
{
	random_bytes(&state->shim, to, len);
}

/* locks */

int shim_spinlocks;
void (*shim_lock_hook)(spinlock_t *lock);

void shim_spin_lock(spinlock_t *lock, const char *file, int line)
{
	if (lock->held)
		shim_bug("spinlock taken twice", file, line);
	lock->held = 1;
	shim_spinlocks++;
	if (shim_lock_hook)
		shim_lock_hook(lock);
}

void shim_spin_unlock(spinlock_t *lock, const char *file, int line)
{
	if (!lock->held)
		shim_bug("spinlock is not held", file, line);
	lock->held = 0;
	shim_spinlocks--;
}

void shim_might_sleep(const char *file, int line)
{
	if (shim_spinlocks)
		shim_bug("sleeping under a spinlock", file, line);
	if (shim_rcu_readers)
		shim_bug("sleeping inside an RCU reader", file, line);
}

/* memory */

bool (*shim_alloc_fails)(size_t size, gfp_t gfp);
long shim_allocs;

void *kmalloc(size_t size, gfp_t gfp)
{
	void *p;

	if (gfp & __GFP_DIRECT_RECLAIM)
		might_sleep();
	if (shim_alloc_fails && !(gfp & __GFP_NOFAIL) &&
	    shim_alloc_fails(size, gfp))
		return NULL;
	/* Garbage, but the same each time: what reads it must show. */
	p = malloc(size);
	if (!p)
		shim_bug("out of memory", __FILE__, __LINE__);
	memset(p, gfp & __GFP_ZERO ? 0 : 0xa5, size);
	shim_allocs++;
	return p;
}

void *krealloc(const void *old, size_t size, gfp_t gfp)
{
	if (gfp & __GFP_DIRECT_RECLAIM)
		might_sleep();
	if (shim_alloc_fails && shim_alloc_fails(size, gfp))
		return NULL;
	if (!old)
		shim_allocs++;
	return realloc((void *)old, size);
}

void kfree(const void *p)
{
	if (!p)
		return;
	shim_allocs--;
	free((void *)p);
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *))
{
	struct kmem_cache *c = kmalloc(sizeof(*c), GFP_KERNEL);

	(void)name;
	(void)align;
	(void)flags;
	BUG_ON(ctor);
	if (c)
		c->size = size;
	return c;
}

void kmem_cache_destroy(struct kmem_cache *c)
{
	kfree(c);
}

/* RCU */

int shim_rcu_readers;
static struct rcu_head *rcu_first, **rcu_last = &rcu_first;

void shim_rcu_read_unlock(void)
{
	BUG_ON(!shim_rcu_readers);
	shim_rcu_readers--;
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	head->func = func;
	head->next = NULL;
	*rcu_last = head;
	rcu_last = &head->next;
}

/* Offsets are smaller than any function's address. */
void shim_kfree_rcu(struct rcu_head *head, size_t offset)
{
	BUG_ON(offset >= 4096);
	call_rcu(head, (void (*)(struct rcu_head *))(uintptr_t)offset);
}

int shim_rcu_run(void)
{
	struct rcu_head *head = rcu_first, *next;
	int n = 0;

	BUG_ON(shim_rcu_readers);
	rcu_first = NULL;
	rcu_last = &rcu_first;
	for (; head; head = next, n++) {
		uintptr_t func = (uintptr_t)head->func;

		next = head->next;
		if (func < 4096)
			kfree((char *)head - func);
		else
			head->func(head);
	}
	return n;
}

void synchronize_rcu(void)
{
	might_sleep();
	shim_rcu_run();
}

/* CRC-32C */

static u32 crc_table[256];

static void crc_init(void)
{
	u32 i, bit, crc;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
		crc_table[i] = crc;
	}
}

static u32 crc_bytes(u32 crc, const u8 *b, unsigned int length)
{
	if (!crc_table[1])
		crc_init();
	while (length--)
		crc = crc >> 8 ^ crc_table[(crc ^ *b++) & 0xff];
	return crc;
}

#ifdef __x86_64__
/* The processor has this very polynomial. */
__attribute__((target("sse4.2")))
static u32 crc_words(u32 crc, const u8 **b, unsigned int *length)
{
	u64 sum = crc, word;

	for (; *length >= 8; *length -= 8, *b += 8) {
		memcpy(&word, *b, 8);
		sum = __builtin_ia32_crc32di(sum, word);
	}
	return sum;
}
#endif

u32 crc32c(u32 crc, const void *p, unsigned int length)
{
	const u8 *b = p;

#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		crc = crc_words(crc, &b, &length);
#endif
	return crc_bytes(crc, b, length);
}

/* bitmaps: declared by tools/include, defined nowhere there */

void bitmap_clear(unsigned long *map, unsigned int start, int len)
{
	for (; len > 0; len--, start++)
		map[BIT_WORD(start)] &= ~BIT_MASK(start);
}
