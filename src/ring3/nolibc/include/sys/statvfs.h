#ifndef _NOLIBC_SYS_STATVFS_H
#define _NOLIBC_SYS_STATVFS_H

#include "statfs.h"

#define ST_RDONLY 1
#define ST_NOSUID 2
#define ST_NODEV 4
#define ST_NOEXEC 8
#define ST_SYNCHRONOUS 16
#define ST_MANDLOCK 64
#define ST_NOATIME 1024
#define ST_NODIRATIME 2048
#define ST_RELATIME 4096

struct statvfs {
	unsigned long f_bsize, f_frsize;
	fsblkcnt_t f_blocks, f_bfree, f_bavail;
	fsfilcnt_t f_files, f_ffree, f_favail;
	unsigned long f_fsid, f_flag, f_namemax;
};

NOLIBC_FN int __nolibc_statvfs(int result, const struct statfs *from, struct statvfs *to)
{
	if (result)
		return -1;
	to->f_bsize = from->f_bsize;
	to->f_frsize = from->f_frsize ? from->f_frsize : from->f_bsize;
	to->f_blocks = from->f_blocks;
	to->f_bfree = from->f_bfree;
	to->f_bavail = from->f_bavail;
	to->f_files = from->f_files;
	to->f_ffree = to->f_favail = from->f_ffree;
	to->f_fsid = (unsigned int)from->f_fsid.val[0];
#if __SIZEOF_LONG__ == 8
	to->f_fsid |= (unsigned long)(unsigned int)from->f_fsid.val[1] << 32;
#endif
	/* Bit 5 says that the kernel filled in the flags. */
	to->f_flag = from->f_flags & ~0x20UL;
	to->f_namemax = from->f_namelen;
	return 0;
}

NOLIBC_FN int statvfs(const char *path, struct statvfs *to)
{
	struct statfs from;

	return __nolibc_statvfs(statfs(path, &from), &from, to);
}

NOLIBC_FN int fstatvfs(int fd, struct statvfs *to)
{
	struct statfs from;

	return __nolibc_statvfs(fstatfs(fd, &from), &from, to);
}

#endif
