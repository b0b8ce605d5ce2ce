#ifndef _NOLIBC_SYS_SIGNALFD_H
#define _NOLIBC_SYS_SIGNALFD_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../nolibc/siginfo.h"
#include "../fcntl.h"
#include <linux/signalfd.h>

NOLIBC_FN int signalfd(int fd, const sigset_t *mask, int flags)
{
	return NOLIBC_INT(__NR_signalfd4, fd, NOLIBC_P(mask), NOLIBC_SIGSET_BYTES, flags);
}

#endif
