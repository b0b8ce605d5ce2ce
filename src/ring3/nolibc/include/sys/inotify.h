#ifndef _NOLIBC_SYS_INOTIFY_H
#define _NOLIBC_SYS_INOTIFY_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../fcntl.h"
#include <linux/inotify.h>

NOLIBC_FN int inotify_init1(int flags)
{
	return NOLIBC_INT(__NR_inotify_init1, flags);
}

NOLIBC_FN int inotify_init(void)
{
	return NOLIBC_INT(__NR_inotify_init1, 0);
}

NOLIBC_FN int inotify_add_watch(int fd, const char *path, unsigned int mask)
{
	return NOLIBC_INT(__NR_inotify_add_watch, fd, NOLIBC_P(path), (int)mask);
}

NOLIBC_FN int inotify_rm_watch(int fd, int watch)
{
	return NOLIBC_INT(__NR_inotify_rm_watch, fd, watch);
}

#endif
