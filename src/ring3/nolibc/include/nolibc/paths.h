/* What works on names of files. */
#ifndef NOLIBC_PATHS_H
#define NOLIBC_PATHS_H

#include "sys.h"
#include "types.h"
#include "memory.h"
#include "../fcntl.h"

NOLIBC_FN int faccessat(int folder, const char *path, int mode, int flags)
{
	if (!flags)
		return NOLIBC_INT(__NR_faccessat, folder, NOLIBC_P(path), mode);
	return NOLIBC_INT(__NR_faccessat2, folder, NOLIBC_P(path), mode, flags);
}

NOLIBC_FN int access(const char *path, int mode)
{
	return NOLIBC_INT(__NR_faccessat, AT_FDCWD, NOLIBC_P(path), mode);
}

NOLIBC_FN int chdir(const char *path)
{
	return NOLIBC_INT(__NR_chdir, NOLIBC_P(path));
}

NOLIBC_FN int chroot(const char *path)
{
	return NOLIBC_INT(__NR_chroot, NOLIBC_P(path));
}

NOLIBC_FN int fchownat(int folder, const char *path, uid_t user, gid_t group, int flags)
{
	return NOLIBC_INT(__NR_fchownat, folder, NOLIBC_P(path), (int)user, (int)group, flags);
}

NOLIBC_FN int chown(const char *path, uid_t user, gid_t group)
{
	return NOLIBC_INT(__NR_fchownat, AT_FDCWD, NOLIBC_P(path), (int)user, (int)group, 0);
}

NOLIBC_FN int lchown(const char *path, uid_t user, gid_t group)
{
	return NOLIBC_INT(__NR_fchownat, AT_FDCWD, NOLIBC_P(path), (int)user, (int)group, AT_SYMLINK_NOFOLLOW);
}

NOLIBC_FN int fchown(int fd, uid_t user, gid_t group)
{
	return NOLIBC_INT(__NR_fchownat, fd, NOLIBC_P(""), (int)user, (int)group, AT_EMPTY_PATH);
}

NOLIBC_FN int linkat(int folder, const char *path, int to, const char *name, int flags)
{
	return NOLIBC_INT(__NR_linkat, folder, NOLIBC_P(path), to, NOLIBC_P(name), flags);
}

NOLIBC_FN int link(const char *path, const char *name)
{
	return NOLIBC_INT(__NR_linkat, AT_FDCWD, NOLIBC_P(path), AT_FDCWD, NOLIBC_P(name), 0);
}

NOLIBC_FN int symlinkat(const char *path, int folder, const char *name)
{
	return NOLIBC_INT(__NR_symlinkat, NOLIBC_P(path), folder, NOLIBC_P(name));
}

NOLIBC_FN int symlink(const char *path, const char *name)
{
	return NOLIBC_INT(__NR_symlinkat, NOLIBC_P(path), AT_FDCWD, NOLIBC_P(name));
}

NOLIBC_FN int unlinkat(int folder, const char *path, int flags)
{
	return NOLIBC_INT(__NR_unlinkat, folder, NOLIBC_P(path), flags);
}

NOLIBC_FN int unlink(const char *path)
{
	return NOLIBC_INT(__NR_unlinkat, AT_FDCWD, NOLIBC_P(path), 0);
}

NOLIBC_FN int rmdir(const char *path)
{
	return NOLIBC_INT(__NR_unlinkat, AT_FDCWD, NOLIBC_P(path), AT_REMOVEDIR);
}

NOLIBC_FN ssize_t readlinkat(int folder, const char *path, char *to, size_t size)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_readlinkat, folder, NOLIBC_P(path), NOLIBC_P(to), NOLIBC_P(size)));
}

NOLIBC_FN ssize_t readlink(const char *path, char *to, size_t size)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_readlinkat, AT_FDCWD, NOLIBC_P(path), NOLIBC_P(to), NOLIBC_P(size)));
}

NOLIBC_FN int renameat2(int folder, const char *path, int to, const char *name, unsigned int flags)
{
	return NOLIBC_INT(__NR_renameat2, folder, NOLIBC_P(path), to, NOLIBC_P(name), (int)flags);
}

NOLIBC_FN int renameat(int folder, const char *path, int to, const char *name)
{
	return NOLIBC_INT(__NR_renameat2, folder, NOLIBC_P(path), to, NOLIBC_P(name), 0);
}

NOLIBC_FN int rename(const char *path, const char *name)
{
	return NOLIBC_INT(__NR_renameat2, AT_FDCWD, NOLIBC_P(path), AT_FDCWD, NOLIBC_P(name), 0);
}

NOLIBC_FN int pivot_root(const char *root, const char *old)
{
	return NOLIBC_INT(__NR_pivot_root, NOLIBC_P(root), NOLIBC_P(old));
}

NOLIBC_FN int acct(const char *path)
{
	return NOLIBC_INT(__NR_acct, NOLIBC_P(path));
}

NOLIBC_FN int swapon(const char *path, int flags)
{
	return NOLIBC_INT(__NR_swapon, NOLIBC_P(path), flags);
}

NOLIBC_FN int swapoff(const char *path)
{
	return NOLIBC_INT(__NR_swapoff, NOLIBC_P(path));
}

NOLIBC_FN int remove(const char *path)
{
	__nolibc_word result = __nolibc_call(__NR_unlinkat, AT_FDCWD, NOLIBC_P(path), 0);

	return result == -EISDIR || result == -EPERM ? rmdir(path) : (int)__nolibc_ret(result);
}

NOLIBC_FN char *getcwd(char *to, size_t size)
{
	return __nolibc_ret(__nolibc_call(__NR_getcwd, NOLIBC_P(to), NOLIBC_P(size))) < 0 ? NULL : to;
}

#endif
