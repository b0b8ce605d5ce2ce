#ifndef _NOLIBC_SYS_STATFS_H
#define _NOLIBC_SYS_STATFS_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../fcntl.h"

/* The 64-bit struct of the kernel, whose fields have one name each everywhere. */
#define statfs __nolibc_uapi_statfs
#include <asm/statfs.h>
#undef statfs
#if NOLIBC_PAIRS
#define NOLIBC_STATFS statfs64
#else
#define NOLIBC_STATFS __nolibc_uapi_statfs
#endif

typedef __kernel_fsid_t fsid_t;

struct statfs {
	unsigned long f_type, f_bsize;
	fsblkcnt_t f_blocks, f_bfree, f_bavail;
	fsfilcnt_t f_files, f_ffree;
	fsid_t f_fsid;
	unsigned long f_namelen, f_frsize, f_flags;
};

NOLIBC_FN int __nolibc_statfs(__nolibc_word result, const struct NOLIBC_STATFS *from, struct statfs *to)
{
	if (__nolibc_ret(result))
		return -1;
	to->f_type = from->f_type;
	to->f_bsize = from->f_bsize;
	to->f_blocks = from->f_blocks;
	to->f_bfree = from->f_bfree;
	to->f_bavail = from->f_bavail;
	to->f_files = from->f_files;
	to->f_ffree = from->f_ffree;
	to->f_fsid = from->f_fsid;
	to->f_namelen = from->f_namelen;
	to->f_frsize = from->f_frsize;
	to->f_flags = from->f_flags;
	return 0;
}

NOLIBC_FN int statfs(const char *path, struct statfs *to)
{
	struct NOLIBC_STATFS from;

#if NOLIBC_PAIRS
	return __nolibc_statfs(__nolibc_call(__NR_statfs64, NOLIBC_P(path), sizeof(from), NOLIBC_P(&from)), &from, to);
#else
	return __nolibc_statfs(__nolibc_call(__NR_statfs, NOLIBC_P(path), NOLIBC_P(&from)), &from, to);
#endif
}

NOLIBC_FN int fstatfs(int fd, struct statfs *to)
{
	struct NOLIBC_STATFS from;

#if NOLIBC_PAIRS
	return __nolibc_statfs(__nolibc_call(__NR_fstatfs64, fd, sizeof(from), NOLIBC_P(&from)), &from, to);
#else
	return __nolibc_statfs(__nolibc_call(__NR_fstatfs, fd, NOLIBC_P(&from)), &from, to);
#endif
}

#endif
