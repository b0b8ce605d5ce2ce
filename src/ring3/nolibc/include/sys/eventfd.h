#ifndef _NOLIBC_SYS_EVENTFD_H
#define _NOLIBC_SYS_EVENTFD_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../fcntl.h"

/* The kernel's own header of these is newer than the distributions' (Linux 6.3). */
#define EFD_SEMAPHORE 1
#define EFD_CLOEXEC O_CLOEXEC
#define EFD_NONBLOCK O_NONBLOCK

typedef unsigned long long eventfd_t;

NOLIBC_FN int eventfd(unsigned int value, int flags)
{
	return NOLIBC_INT(__NR_eventfd2, (int)value, flags);
}

NOLIBC_FN int eventfd_read(int fd, eventfd_t *to)
{
	return __nolibc_call(__NR_read, fd, NOLIBC_P(to), sizeof(*to)) == sizeof(*to) ? 0 : -1;
}

NOLIBC_FN int eventfd_write(int fd, eventfd_t value)
{
	return __nolibc_call(__NR_write, fd, NOLIBC_P(&value), sizeof(value)) == sizeof(value) ? 0 : -1;
}

#endif
