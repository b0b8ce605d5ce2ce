/* System calls as the rest of the headers make them: arguments, errors, 64-bit pairs. */
#ifndef NOLIBC_SYS_H
#define NOLIBC_SYS_H

#include "start.h"
#include "../errno.h"

/* A pointer or a small integer as the word that a register holds. */
#define NOLIBC_P(x) ((__nolibc_word)(unsigned long)(x))

/* A 64-bit argument: one register, or the two halves in memory order; NOLIBC_PAIR also where an odd
 * number of arguments goes before, so that aligned pairs leave a register out. */
#if !NOLIBC_PAIRS
#define NOLIBC_PAIR_EVEN(x) (__nolibc_word)(x)
#elif defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NOLIBC_PAIR_EVEN(x) (__nolibc_word)((unsigned long long)(x) >> 32), (__nolibc_word)(x)
#else
#define NOLIBC_PAIR_EVEN(x) (__nolibc_word)(x), (__nolibc_word)((unsigned long long)(x) >> 32)
#endif
#if NOLIBC_PAIRS && NOLIBC_PAIRS_ALIGNED
#define NOLIBC_PAIR_ODD(x) 0, NOLIBC_PAIR_EVEN(x)
#else
#define NOLIBC_PAIR_ODD(x) NOLIBC_PAIR_EVEN(x)
#endif

/* __nolibc_call(number, arguments...): picks __nolibc_syscallN by counting. */
#define NOLIBC_COUNT_(n, a, b, c, d, e, f, x, ...) x
#define NOLIBC_COUNT(...) NOLIBC_COUNT_(__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0, 0)
#define NOLIBC_JOIN_(a, b) a##b
#define NOLIBC_JOIN(a, b) NOLIBC_JOIN_(a, b)
#define __nolibc_call(...) NOLIBC_JOIN(__nolibc_syscall, NOLIBC_COUNT(__VA_ARGS__))(__VA_ARGS__)

/* A call that may wait, which is where pthread_cancel ends a thread. */
#if NOLIBC_THREADS
NOLIBC_FN void __nolibc_waits(void)
{
	__nolibc_waits_here++;
	__asm__ volatile("" : : : "memory");
	if (__nolibc_ask)
		__nolibc_ask();
}

NOLIBC_FN __nolibc_word __nolibc_waited(__nolibc_word result)
{
	__asm__ volatile("" : : : "memory");
	__nolibc_waits_here--;
	return result;
}

#define NOLIBC_WAIT_FOR(call) (__nolibc_waits(), __nolibc_waited(call))
#else
#define NOLIBC_WAIT_FOR(call) (call)
#endif
#define __nolibc_wait(...) NOLIBC_WAIT_FOR(__nolibc_call(__VA_ARGS__))

/* The C convention: -1 with errno for [-4095, -1], which are errors and no addresses. */
NOLIBC_FN long __nolibc_ret(__nolibc_word result)
{
	if ((__nolibc_uword)result > (__nolibc_uword)-4096) {
		NOLIBC_SET_ERRNO((int)-result);
		return -1;
	}
	return (long)result;
}

/* A call whose result is an int, in the C convention. */
#define NOLIBC_INT(...) ((int)__nolibc_ret(__nolibc_call(__VA_ARGS__)))

#endif
