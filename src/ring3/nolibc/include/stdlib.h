#ifndef _NOLIBC_STDLIB_H
#define _NOLIBC_STDLIB_H

#include "nolibc/sys.h"
#include "nolibc/types.h"
#include "nolibc/memory.h"
#include "nolibc/malloc.h"
#include "nolibc/integers.h"
#include "nolibc/kill.h"
#include "nolibc/atexit.h"
#include "nolibc/sort.h"

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1
#define RAND_MAX 0x7fffffff
#define MB_CUR_MAX 1

NOLIBC_FN __attribute__((__noreturn__)) void _Exit(int status)
{
	_exit(status);
}

/* SIGABRT, blocked or not; after a handler that returned, or where it is ignored, with its default. */
NOLIBC_FN __attribute__((__noreturn__)) void abort(void)
{
	unsigned long mask[NOLIBC_SIGSET_BYTES / sizeof(long)];
	struct __nolibc_sigaction none;

	__nolibc_call(__NR_rt_sigprocmask, 0, 0, NOLIBC_P(mask), NOLIBC_SIGSET_BYTES);
	mask[0] &= ~(1UL << (6 - 1));
	__nolibc_call(__NR_rt_sigprocmask, NOLIBC_SIG_SETMASK, NOLIBC_P(mask), 0, NOLIBC_SIGSET_BYTES);
	__nolibc_kill_self(6);
	memset(&none, 0, sizeof(none));
#if NOLIBC_RESTORER_ARGUMENT == 4
	__nolibc_call(__NR_rt_sigaction, 6, NOLIBC_P(&none), 0, 0, NOLIBC_SIGSET_BYTES);
#else
	__nolibc_call(__NR_rt_sigaction, 6, NOLIBC_P(&none), 0, NOLIBC_SIGSET_BYTES, 0);
#endif
	__nolibc_kill_self(6);
	for (;;)
		_exit(127);
}

NOLIBC_FN int abs(int value)
{
	return value < 0 ? -value : value;
}

NOLIBC_FN long labs(long value)
{
	return value < 0 ? -value : value;
}

NOLIBC_FN long long llabs(long long value)
{
	return value < 0 ? -value : value;
}

typedef struct {
	int quot, rem;
} div_t;
typedef struct {
	long quot, rem;
} ldiv_t;
typedef struct {
	long long quot, rem;
} lldiv_t;

NOLIBC_FN div_t div(int a, int b)
{
	div_t made;

	made.quot = a / b;
	made.rem = a % b;
	return made;
}

NOLIBC_FN ldiv_t ldiv(long a, long b)
{
	ldiv_t made;

	made.quot = a / b;
	made.rem = a % b;
	return made;
}

NOLIBC_FN lldiv_t lldiv(long long a, long long b)
{
	lldiv_t made;

	made.quot = a / b;
	made.rem = a % b;
	return made;
}

/* POSIX's example sequence has 15 bits; this one is a 64-bit congruence of which the top is used. */
NOLIBC_BEGIN
NOLIBC_VAR unsigned long long __nolibc_seed = 1;
NOLIBC_END

NOLIBC_FN int rand_r(unsigned int *seed)
{
	*seed = *seed * 1103515245U + 12345U;
	return (int)(*seed >> 1);
}

NOLIBC_FN int rand(void)
{
	__nolibc_seed = __nolibc_seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (int)(__nolibc_seed >> 33);
}

NOLIBC_FN void srand(unsigned int seed)
{
	__nolibc_seed = seed;
}

/* POSIX's congruence of 48 bits. */
NOLIBC_BEGIN
NOLIBC_VAR unsigned short __nolibc_seed48[7] = { 0, 0, 0, 0xe66d, 0xdeec, 5, 11 };
NOLIBC_END

/* The next of the sequence that x holds, low 16 bits first. */
NOLIBC_FN unsigned long long __nolibc_rand48(unsigned short x[3])
{
	const unsigned short *c = __nolibc_seed48 + 3;
	unsigned long long value = x[0] | (unsigned long long)x[1] << 16 | (unsigned long long)x[2] << 32;

	value = value * (c[0] | (unsigned long long)c[1] << 16 | (unsigned long long)c[2] << 32) + c[3];
	x[0] = (unsigned short)value;
	x[1] = (unsigned short)(value >> 16);
	x[2] = (unsigned short)(value >> 32);
	return value & 0xffffffffffffULL;
}

NOLIBC_FN long nrand48(unsigned short x[3])
{
	return (long)(__nolibc_rand48(x) >> 17);
}

NOLIBC_FN long lrand48(void)
{
	return nrand48(__nolibc_seed48);
}

NOLIBC_FN long jrand48(unsigned short x[3])
{
	return (int)(__nolibc_rand48(x) >> 16);
}

NOLIBC_FN long mrand48(void)
{
	return jrand48(__nolibc_seed48);
}

#ifndef NOLIBC_NO_FLOAT
NOLIBC_FN double erand48(unsigned short x[3])
{
	/* Exact: 48 bits behind the point of a number between 1 and 2. */
	union {
		unsigned long long bits;
		double value;
	} made;

	made.bits = 0x3ffULL << 52 | __nolibc_rand48(x) << 4;
	return made.value - 1;
}

NOLIBC_FN double drand48(void)
{
	return erand48(__nolibc_seed48);
}
#endif

NOLIBC_FN void __nolibc_constants48(unsigned short a, unsigned short b, unsigned short c, unsigned short d)
{
	unsigned short *to = __nolibc_seed48 + 3;

	to[0] = a;
	to[1] = b;
	to[2] = c;
	to[3] = d;
}

NOLIBC_FN void srand48(long seed)
{
	__nolibc_seed48[0] = 0x330e;
	__nolibc_seed48[1] = (unsigned short)seed;
	__nolibc_seed48[2] = (unsigned short)((unsigned long)seed >> 16);
	__nolibc_constants48(0xe66d, 0xdeec, 5, 11);
}

NOLIBC_FN unsigned short *seed48(unsigned short from[3])
{
	static unsigned short old[3];

	memcpy(old, __nolibc_seed48, sizeof(old));
	memcpy(__nolibc_seed48, from, sizeof(old));
	__nolibc_constants48(0xe66d, 0xdeec, 5, 11);
	return old;
}

NOLIBC_FN void lcong48(unsigned short from[7])
{
	memcpy(__nolibc_seed48, from, sizeof(__nolibc_seed48));
}

NOLIBC_FN long random(void)
{
	return rand();
}

NOLIBC_FN void srandom(unsigned int seed)
{
	srand(seed);
}

#include "nolibc/environ.h"
#include "nolibc/reals.h"
#include "nolibc/process.h"
#include "nolibc/pty.h"

#endif
