#ifndef _NOLIBC_SYS_IOCTL_H
#define _NOLIBC_SYS_IOCTL_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include <linux/ioctl.h>
#include <asm/ioctls.h>
#include <linux/sockios.h>

struct winsize {
	unsigned short ws_row, ws_col, ws_xpixel, ws_ypixel;
};

NOLIBC_FN int __nolibc_ioctl(int fd, unsigned long request, void *arg)
{
	return NOLIBC_INT(__NR_ioctl, fd, NOLIBC_P(request), NOLIBC_P(arg));
}

/* The argument is a pointer or a number, or missing. */
#define NOLIBC_IOCTL_(fd, request, arg, ...) __nolibc_ioctl(fd, request, (void *)(__UINTPTR_TYPE__)(arg))
#define ioctl(...) NOLIBC_IOCTL_(__VA_ARGS__, 0, 0)

#endif
