#ifndef _NOLIBC_SYS_XATTR_H
#define _NOLIBC_SYS_XATTR_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include <linux/xattr.h>

NOLIBC_FN ssize_t getxattr(const char *path, const char *name, void *to, size_t size)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_getxattr, NOLIBC_P(path), NOLIBC_P(name), NOLIBC_P(to), NOLIBC_P(size)));
}

NOLIBC_FN ssize_t fgetxattr(int fd, const char *name, void *to, size_t size)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_fgetxattr, fd, NOLIBC_P(name), NOLIBC_P(to), NOLIBC_P(size)));
}

NOLIBC_FN ssize_t listxattr(const char *path, char *to, size_t size)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_listxattr, NOLIBC_P(path), NOLIBC_P(to), NOLIBC_P(size)));
}

NOLIBC_FN int setxattr(const char *path, const char *name, const void *from, size_t size, int flags)
{
	return NOLIBC_INT(__NR_setxattr, NOLIBC_P(path), NOLIBC_P(name), NOLIBC_P(from), NOLIBC_P(size), flags);
}

NOLIBC_FN int fsetxattr(int fd, const char *name, const void *from, size_t size, int flags)
{
	return NOLIBC_INT(__NR_fsetxattr, fd, NOLIBC_P(name), NOLIBC_P(from), NOLIBC_P(size), flags);
}

NOLIBC_FN int removexattr(const char *path, const char *name)
{
	return NOLIBC_INT(__NR_removexattr, NOLIBC_P(path), NOLIBC_P(name));
}

NOLIBC_FN ssize_t lgetxattr(const char *path, const char *name, void *to, size_t size)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_lgetxattr, NOLIBC_P(path), NOLIBC_P(name), NOLIBC_P(to), NOLIBC_P(size)));
}

NOLIBC_FN ssize_t llistxattr(const char *path, char *to, size_t size)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_llistxattr, NOLIBC_P(path), NOLIBC_P(to), NOLIBC_P(size)));
}

NOLIBC_FN ssize_t flistxattr(int fd, char *to, size_t size)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_flistxattr, fd, NOLIBC_P(to), NOLIBC_P(size)));
}

NOLIBC_FN int lsetxattr(const char *path, const char *name, const void *from, size_t size, int flags)
{
	return NOLIBC_INT(__NR_lsetxattr, NOLIBC_P(path), NOLIBC_P(name), NOLIBC_P(from), NOLIBC_P(size), flags);
}

NOLIBC_FN int lremovexattr(const char *path, const char *name)
{
	return NOLIBC_INT(__NR_lremovexattr, NOLIBC_P(path), NOLIBC_P(name));
}

NOLIBC_FN int fremovexattr(int fd, const char *name)
{
	return NOLIBC_INT(__NR_fremovexattr, fd, NOLIBC_P(name));
}

#endif
