/* A lock in one word, and futexes: 0 free, 1 taken, 2 taken and perhaps waited for. */
#ifndef NOLIBC_LOCK_H
#define NOLIBC_LOCK_H

#include "sys.h"

#include "time64.h"

#if NOLIBC_THREADS
#include <linux/futex.h>

struct timespec;

NOLIBC_BEGIN
/* Of the list of threads; how many there are but for one.  A child of fork begins with neither. */
NOLIBC_VAR int __nolibc_threads_lock, __nolibc_other_threads;
NOLIBC_END

/* Until *at is not value, until an absolute time, or for no reason; an error number or 0.  shared: between
 * processes. */
NOLIBC_FN int __nolibc_futex_wait(int *at, int value, int shared, int clock, const struct timespec *until)
{
	int operation = FUTEX_WAIT_BITSET | (shared ? 0 : FUTEX_PRIVATE_FLAG);

	if (clock == 0) /* CLOCK_REALTIME */
		operation |= FUTEX_CLOCK_REALTIME;
	return (int)-__nolibc_call(NOLIBC_NR_futex, NOLIBC_P(at), operation, value, NOLIBC_P(until), 0,
				   (__nolibc_word)FUTEX_BITSET_MATCH_ANY);
}

NOLIBC_FN void __nolibc_futex_wake(int *at, int count, int shared)
{
	__nolibc_call(NOLIBC_NR_futex, NOLIBC_P(at), FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG), count);
}

/* By exchanges alone, which also SPARC V8 has: 2 may be said once too often, which costs a call. */
NOLIBC_FN void __nolibc_lock(int *lock)
{
	if (!__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE))
		return;
	while (__atomic_exchange_n(lock, 2, __ATOMIC_ACQUIRE))
		__nolibc_futex_wait(lock, 2, 0, 1, 0);
}

NOLIBC_FN void __nolibc_unlock(int *lock)
{
	if (__atomic_exchange_n(lock, 0, __ATOMIC_RELEASE) == 2)
		__nolibc_futex_wake(lock, 1, 0);
}
#endif

#endif
