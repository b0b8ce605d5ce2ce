#ifndef _NOLIBC_MATH_H
#define _NOLIBC_MATH_H

#include "nolibc/start.h"

/* What a compiler has as instructions or bit operations; no library of functions. */
#define HUGE_VAL __builtin_huge_val()
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define M_PI 3.14159265358979323846
#define M_E 2.7182818284590452354
#define isnan(x) __builtin_isnan(x)
#define isinf(x) __builtin_isinf(x)
#define isfinite(x) __builtin_isfinite(x)
#define signbit(x) __builtin_signbit(x)

NOLIBC_FN double fabs(double x)
{
	return x < 0 ? -x : x + 0.0;
}

/* IEEE 754's, rounded to nearest: bit by bit, where a compiler may have no instruction. */
NOLIBC_FN double sqrt(double x) NOLIBC_OWN(sqrt);
NOLIBC_FN double sqrt(double x)
{
	unsigned long long bits, rest, root = 0, twice = 0, bit, next;
	int power;

	__builtin_memcpy(&bits, &x, sizeof(bits));
	if (x != x || x == 0 || bits == 0x7ff0000000000000ULL)
		return x;
	if (bits >> 63)
		return (x - x) / (x - x);
	power = (int)(bits >> 52) - 1023;
	rest = bits & 0xfffffffffffffULL;
	if (power == -1023)
		for (power++; !(rest >> 52); power--)
			rest <<= 1;
	rest |= 1ULL << 52;
	if (power & 1)
		rest <<= 1;
	power = (power - (power & 1)) / 2;
	/* root grows by one bit a round, with twice = 2 * root; rest is what its square lacks, scaled alike. */
	for (bit = 1ULL << 53, rest <<= 1; bit; bit >>= 1, rest <<= 1) {
		next = twice + bit;
		if (next <= rest) {
			twice = next + bit;
			rest -= next;
			root += bit;
		}
	}
	/* One bit more than there is room for; a root is never halfway between two numbers. */
	root = (root >> 1) + (root & 1);
	bits = root + ((unsigned long long)(power + 1022) << 52);
	__builtin_memcpy(&x, &bits, sizeof(x));
	return x;
}

NOLIBC_FN float fabsf(float x)
{
	return x < 0 ? -x : x + 0.0f;
}

NOLIBC_FN long double fabsl(long double x)
{
	return x < 0 ? -x : x + 0.0L;
}

#endif
