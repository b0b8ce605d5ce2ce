#ifndef _NOLIBC_POLL_H
#define _NOLIBC_POLL_H

#include "nolibc/sys.h"
#include "nolibc/types.h"
#include "nolibc/timespec.h"
#include "nolibc/siginfo.h"
#include <asm/poll.h>

typedef unsigned long nfds_t;

NOLIBC_FN int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *limit, const sigset_t *mask)
{
	/* The call writes what is left of the limit; POSIX does not. */
	struct timespec left;

	if (limit)
		left = *limit;
	return (int)__nolibc_ret(__nolibc_wait(NOLIBC_NR_ppoll, NOLIBC_P(fds), NOLIBC_P(n),
					       limit ? NOLIBC_P(&left) : 0, NOLIBC_P(mask), NOLIBC_SIGSET_BYTES));
}

NOLIBC_FN int poll(struct pollfd *fds, nfds_t n, int milliseconds)
{
	struct timespec limit;

	if (milliseconds < 0)
		return ppoll(fds, n, 0, 0);
	limit.tv_sec = milliseconds / 1000;
	limit.tv_nsec = milliseconds % 1000 * 1000000;
	return ppoll(fds, n, &limit, 0);
}

#endif
