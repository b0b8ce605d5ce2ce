#ifndef _NOLIBC_SYS_SELECT_H
#define _NOLIBC_SYS_SELECT_H

#include "../nolibc/sys.h"
#include "../nolibc/timespec.h"

#define FD_SETSIZE 1024
#define NFDBITS ((int)(8 * sizeof(long)))

typedef struct {
	unsigned long fds_bits[FD_SETSIZE / (8 * sizeof(long))];
} fd_set;

#define FD_WORD(fd, set) ((set)->fds_bits[(unsigned int)(fd) / (8 * sizeof(long))])
#define FD_BIT(fd) (1UL << ((unsigned int)(fd) % (8 * sizeof(long))))
#define FD_SET(fd, set) ((void)(FD_WORD(fd, set) |= FD_BIT(fd)))
#define FD_CLR(fd, set) ((void)(FD_WORD(fd, set) &= ~FD_BIT(fd)))
#define FD_ISSET(fd, set) (!!(FD_WORD(fd, set) & FD_BIT(fd)))
#define FD_ZERO(set) ((void)__nolibc_fd_zero(set))

NOLIBC_FN int __nolibc_fd_zero(fd_set *set)
{
	unsigned int n;

	for (n = 0; n < FD_SETSIZE / (8 * sizeof(long)); n++)
		set->fds_bits[n] = 0;
	return 0;
}

/* signals: two words, the address of a mask and its size, or none. */
NOLIBC_FN int __nolibc_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timespec *limit,
			      unsigned long *signals)
{
	return (int)__nolibc_ret(__nolibc_wait(NOLIBC_NR_pselect6, n, NOLIBC_P(in), NOLIBC_P(out),
					       NOLIBC_P(except), NOLIBC_P(limit), NOLIBC_P(signals)));
}

NOLIBC_FN int select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *limit)
{
	struct timespec left;
	int result;

	if (!limit)
		return __nolibc_select(n, in, out, except, NULL, NULL);
	left.tv_sec = limit->tv_sec;
	left.tv_nsec = limit->tv_usec * 1000;
	result = __nolibc_select(n, in, out, except, &left, NULL);
	limit->tv_sec = left.tv_sec;
	limit->tv_usec = (suseconds_t)((int)left.tv_nsec / 1000);
	return result;
}

#endif
