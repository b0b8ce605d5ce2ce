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

NOLIBC_FN __attribute__((__noreturn__)) void abort(void)
{
	__nolibc_kill_self(6);
	/* A handler returned, or SIGABRT is ignored. */
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
