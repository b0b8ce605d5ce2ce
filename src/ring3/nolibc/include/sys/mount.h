#ifndef _NOLIBC_SYS_MOUNT_H
#define _NOLIBC_SYS_MOUNT_H

#include "../nolibc/sys.h"
#include <linux/mount.h>

#define MNT_FORCE 1
#define MNT_DETACH 2
#define MNT_EXPIRE 4
#define UMOUNT_NOFOLLOW 8

NOLIBC_FN int mount(const char *what, const char *where, const char *type, unsigned long flags,
		    const void *data)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_mount, NOLIBC_P(what), NOLIBC_P(where), NOLIBC_P(type),
					       NOLIBC_P(flags), NOLIBC_P(data)));
}

NOLIBC_FN int umount2(const char *where, int flags)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_umount2, NOLIBC_P(where), flags));
}

NOLIBC_FN int umount(const char *where)
{
	return umount2(where, 0);
}

#endif
