#ifndef _NOLIBC_SYS_EPOLL_H
#define _NOLIBC_SYS_EPOLL_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../nolibc/siginfo.h"
#include "../fcntl.h"

/* The kernel's struct has the data as one number; POSIX programs know it as a union. */
#define epoll_event __nolibc_uapi_epoll_event
#include <linux/eventpoll.h>
#undef epoll_event

typedef union epoll_data {
	void *ptr;
	int fd;
	unsigned int u32;
	unsigned long long u64;
} epoll_data_t;

struct epoll_event {
	unsigned int events;
	epoll_data_t data;
}
#ifdef __x86_64__
__attribute__((__packed__))
#endif
;

NOLIBC_FN int epoll_create1(int flags)
{
	return NOLIBC_INT(__NR_epoll_create1, flags);
}

NOLIBC_FN int epoll_ctl(int fd, int what, int target, struct epoll_event *event)
{
	return NOLIBC_INT(__NR_epoll_ctl, fd, what, target, NOLIBC_P(event));
}

NOLIBC_FN int epoll_pwait(int fd, struct epoll_event *events, int n, int milliseconds, const sigset_t *mask)
{
	return (int)__nolibc_ret(__nolibc_wait(__NR_epoll_pwait, fd, NOLIBC_P(events), n, milliseconds,
					       NOLIBC_P(mask), NOLIBC_SIGSET_BYTES));
}

NOLIBC_FN int epoll_wait(int fd, struct epoll_event *events, int n, int milliseconds)
{
	return epoll_pwait(fd, events, n, milliseconds, 0);
}


NOLIBC_FN int epoll_create(int size)
{
	(void)size;
	return epoll_create1(0);
}

#endif
