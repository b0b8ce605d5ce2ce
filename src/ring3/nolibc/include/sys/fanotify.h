#ifndef _NOLIBC_SYS_FANOTIFY_H
#define _NOLIBC_SYS_FANOTIFY_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include <linux/fanotify.h>

NOLIBC_FN int fanotify_init(unsigned int flags, unsigned int event_flags)
{
	return NOLIBC_INT(__NR_fanotify_init, (int)flags, (int)event_flags);
}

NOLIBC_FN int fanotify_mark(int fd, unsigned int flags, unsigned long long mask, int folder, const char *path)
{
	return NOLIBC_INT(__NR_fanotify_mark, fd, (int)flags, NOLIBC_PAIR_EVEN(mask), folder, NOLIBC_P(path));
}

#endif
