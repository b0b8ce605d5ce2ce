#ifndef _NOLIBC_SYS_TIMERFD_H
#define _NOLIBC_SYS_TIMERFD_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../nolibc/timespec.h"
#include "../fcntl.h"
#include <linux/timerfd.h>

NOLIBC_FN int timerfd_create(clockid_t clock, int flags)
{
	return NOLIBC_INT(__NR_timerfd_create, clock, flags);
}

NOLIBC_FN int timerfd_settime(int fd, int flags, const struct itimerspec *set, struct itimerspec *old)
{
	return NOLIBC_INT(NOLIBC_NR_timerfd_settime, fd, flags, NOLIBC_P(set), NOLIBC_P(old));
}

NOLIBC_FN int timerfd_gettime(int fd, struct itimerspec *to)
{
	return NOLIBC_INT(NOLIBC_NR_timerfd_gettime, fd, NOLIBC_P(to));
}

#endif
