#ifndef _NOLIBC_SYS_STAT_H
#define _NOLIBC_SYS_STAT_H

#include "../nolibc/sys.h"
#include "../nolibc/timespec.h"
#include "../fcntl.h"
#include "sysmacros.h"
#include <linux/stat.h>

#define ACCESSPERMS 0777
#define ALLPERMS 07777
#define DEFFILEMODE 0666

#define S_IREAD S_IRUSR
#define S_IWRITE S_IWUSR
#define S_IEXEC S_IXUSR

#define UTIME_NOW 0x3fffffff
#define UTIME_OMIT 0x3ffffffe

struct stat {
	dev_t st_dev;
	ino_t st_ino;
	mode_t st_mode;
	nlink_t st_nlink;
	uid_t st_uid;
	gid_t st_gid;
	dev_t st_rdev;
	off_t st_size;
	blksize_t st_blksize;
	blkcnt_t st_blocks;
	union { time_t st_atime; struct timespec st_atim; };
	union { time_t st_mtime; struct timespec st_mtim; };
	union { time_t st_ctime; struct timespec st_ctim; };
};

NOLIBC_FN int statx(int folder, const char *path, int flags, unsigned int mask, struct statx *to)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_statx, folder, NOLIBC_P(path), flags, mask, NOLIBC_P(to)));
}

/* statx is the one call whose struct is the same everywhere. */
NOLIBC_FN int fstatat(int folder, const char *path, struct stat *to, int flags)
{
	struct statx from;

	if (statx(folder, path, flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &from))
		return -1;
	to->st_dev = makedev(from.stx_dev_major, from.stx_dev_minor);
	to->st_ino = from.stx_ino;
	to->st_mode = from.stx_mode;
	to->st_nlink = from.stx_nlink;
	to->st_uid = from.stx_uid;
	to->st_gid = from.stx_gid;
	to->st_rdev = makedev(from.stx_rdev_major, from.stx_rdev_minor);
	to->st_size = from.stx_size;
	to->st_blksize = from.stx_blksize;
	to->st_blocks = from.stx_blocks;
	to->st_atim.tv_sec = from.stx_atime.tv_sec;
	to->st_atim.tv_nsec = from.stx_atime.tv_nsec;
	to->st_mtim.tv_sec = from.stx_mtime.tv_sec;
	to->st_mtim.tv_nsec = from.stx_mtime.tv_nsec;
	to->st_ctim.tv_sec = from.stx_ctime.tv_sec;
	to->st_ctim.tv_nsec = from.stx_ctime.tv_nsec;
	return 0;
}

NOLIBC_FN int stat(const char *path, struct stat *to)
{
	return fstatat(AT_FDCWD, path, to, 0);
}

NOLIBC_FN int lstat(const char *path, struct stat *to)
{
	return fstatat(AT_FDCWD, path, to, AT_SYMLINK_NOFOLLOW);
}

NOLIBC_FN int fstat(int fd, struct stat *to)
{
	return fstatat(fd, "", to, AT_EMPTY_PATH);
}

NOLIBC_FN int mkdirat(int folder, const char *path, mode_t mode)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_mkdirat, folder, NOLIBC_P(path), mode));
}

NOLIBC_FN int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

NOLIBC_FN int mknodat(int folder, const char *path, mode_t mode, dev_t device)
{
	/* The call takes 32 bits: the layout's lower half. */
	return (int)__nolibc_ret(__nolibc_call(__NR_mknodat, folder, NOLIBC_P(path), mode,
					       (__nolibc_word)(unsigned int)device));
}

NOLIBC_FN int mknod(const char *path, mode_t mode, dev_t device)
{
	return mknodat(AT_FDCWD, path, mode, device);
}

NOLIBC_FN int mkfifo(const char *path, mode_t mode)
{
	return mknod(path, mode | S_IFIFO, 0);
}

NOLIBC_FN int fchmod(int fd, mode_t mode)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_fchmod, fd, mode));
}

NOLIBC_FN int fchmodat(int folder, const char *path, mode_t mode, int flags)
{
#ifdef __NR_fchmodat2
	if (flags)
		return (int)__nolibc_ret(__nolibc_call(__NR_fchmodat2, folder, NOLIBC_P(path), mode, flags));
#else
	if (flags) {
		NOLIBC_SET_ERRNO(ENOSYS);
		return -1;
	}
#endif
	return (int)__nolibc_ret(__nolibc_call(__NR_fchmodat, folder, NOLIBC_P(path), mode));
}

NOLIBC_FN int chmod(const char *path, mode_t mode)
{
	return fchmodat(AT_FDCWD, path, mode, 0);
}

NOLIBC_FN mode_t umask(mode_t mode)
{
	return (mode_t)__nolibc_call(__NR_umask, mode);
}

NOLIBC_FN int utimensat(int folder, const char *path, const struct timespec times[2], int flags)
{
	return (int)__nolibc_ret(__nolibc_call(NOLIBC_NR_utimensat, folder, NOLIBC_P(path), NOLIBC_P(times), flags));
}

NOLIBC_FN int futimens(int fd, const struct timespec times[2])
{
	return utimensat(fd, NULL, times, 0);
}

#endif
