/* 6.6: crypto_memneq() has a header of its own */
#include <crypto/utils.h>

int probe(const void *a, const void *b)
{
	return crypto_memneq(a, b, 16);
}
