#ifndef _NOLIBC_FCNTL_H
#define _NOLIBC_FCNTL_H

#include "nolibc/sys.h"
#include "nolibc/types.h"
#include "stdarg.h"

/* The kernel's struct flock has offsets of two widths; ours is the wide one, whose commands are used: where
 * fcntl64 is, these have numbers of their own. */
#define flock __nolibc_uapi_flock
#define flock64 __nolibc_uapi_flock64
#include <linux/falloc.h>
#include <linux/fcntl.h>
#undef flock
#undef flock64

struct flock {
	short l_type;
	short l_whence;
	off_t l_start;
	off_t l_len;
	pid_t l_pid;
};
#define flock64 flock
#ifdef __NR_fcntl64
#undef F_GETLK
#undef F_SETLK
#undef F_SETLKW
#define F_GETLK F_GETLK64
#define F_SETLK F_SETLK64
#define F_SETLKW F_SETLKW64
#endif

#ifndef F_LOCK
#define F_ULOCK 0
#define F_LOCK 1
#define F_TLOCK 2
#define F_TEST 3
#endif
#ifndef O_CLOEXEC
#define O_CLOEXEC 02000000
#endif
#define O_RSYNC O_SYNC
#define O_FSYNC O_SYNC
#define FNONBLOCK O_NONBLOCK
#define FAPPEND O_APPEND
#ifndef POSIX_FADV_NORMAL
#include <linux/fadvise.h>
#endif

/* 64-bit offsets need to be asked for by 32-bit programs; open() asks always. */
#if NOLIBC_PAIRS
#define NOLIBC_LARGEFILE O_LARGEFILE
#else
#define NOLIBC_LARGEFILE 0
#endif

NOLIBC_FN int openat(int folder, const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, int) : 0;
	va_end(ap);
	return (int)__nolibc_ret(__nolibc_call(__NR_openat, folder, NOLIBC_P(path),
					       flags | NOLIBC_LARGEFILE, mode));
}

NOLIBC_FN int open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, int) : 0;
	va_end(ap);
	return (int)__nolibc_ret(__nolibc_call(__NR_openat, AT_FDCWD, NOLIBC_P(path),
					       flags | NOLIBC_LARGEFILE, mode));
}

NOLIBC_FN int creat(const char *path, mode_t mode)
{
	return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

NOLIBC_FN int fcntl(int fd, int command, ...)
{
	va_list ap;
	long arg;

	va_start(ap, command);
	arg = va_arg(ap, long);
	va_end(ap);
	if (command == F_GETOWN) {
		/* A process group is answered as a negative number, which looks like an error. */
		struct f_owner_ex owner;

		if (fcntl(fd, F_GETOWN_EX, &owner) < 0)
			return -1;
		return owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
	}
#ifdef __NR_fcntl64
	return (int)__nolibc_ret(__nolibc_call(__NR_fcntl64, fd, command, NOLIBC_P(arg)));
#else
	return (int)__nolibc_ret(__nolibc_call(__NR_fcntl, fd, command, NOLIBC_P(arg)));
#endif
}

#include "nolibc/splice.h"

#endif
