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

NOLIBC_FN float fabsf(float x)
{
	return x < 0 ? -x : x + 0.0f;
}

NOLIBC_FN long double fabsl(long double x)
{
	return x < 0 ? -x : x + 0.0L;
}

#endif
