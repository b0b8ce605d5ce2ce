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

/* The calls that take a mount apart: Linux 5.2, 5.12. */
NOLIBC_FN int fsopen(const char *type, unsigned int flags)
{
	return NOLIBC_INT(__NR_fsopen, NOLIBC_P(type), (int)flags);
}

NOLIBC_FN int fsconfig(int fd, unsigned int command, const char *key, const void *value, int aux)
{
	return NOLIBC_INT(__NR_fsconfig, fd, (int)command, NOLIBC_P(key), NOLIBC_P(value), aux);
}

NOLIBC_FN int fsmount(int fd, unsigned int flags, unsigned int attributes)
{
	return NOLIBC_INT(__NR_fsmount, fd, (int)flags, (int)attributes);
}

NOLIBC_FN int fspick(int folder, const char *path, unsigned int flags)
{
	return NOLIBC_INT(__NR_fspick, folder, NOLIBC_P(path), (int)flags);
}

NOLIBC_FN int open_tree(int folder, const char *path, unsigned int flags)
{
	return NOLIBC_INT(__NR_open_tree, folder, NOLIBC_P(path), (int)flags);
}

NOLIBC_FN int move_mount(int from, const char *path, int to, const char *where, unsigned int flags)
{
	return NOLIBC_INT(__NR_move_mount, from, NOLIBC_P(path), to, NOLIBC_P(where), (int)flags);
}

NOLIBC_FN int mount_setattr(int folder, const char *path, unsigned int flags, struct mount_attr *set,
			    unsigned long size)
{
	return NOLIBC_INT(__NR_mount_setattr, folder, NOLIBC_P(path), (int)flags, NOLIBC_P(set),
			  NOLIBC_P(size));
}

#endif
