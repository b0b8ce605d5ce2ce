/* What works on file descriptors. */
#ifndef NOLIBC_DESCRIPTORS_H
#define NOLIBC_DESCRIPTORS_H

#include "sys.h"
#include "types.h"
#include "../fcntl.h"
#include "../sys/ioctl.h"

NOLIBC_FN int dup(int fd)
{
	return NOLIBC_INT(__NR_dup, fd);
}

NOLIBC_FN int dup3(int from, int to, int flags)
{
	return NOLIBC_INT(__NR_dup3, from, to, flags);
}

NOLIBC_FN int pipe2(int fds[2], int flags)
{
	return NOLIBC_INT(__NR_pipe2, NOLIBC_P(fds), flags);
}

NOLIBC_FN int pipe(int fds[2])
{
	return NOLIBC_INT(__NR_pipe2, NOLIBC_P(fds), 0);
}

NOLIBC_FN int fsync(int fd)
{
	return NOLIBC_INT(__NR_fsync, fd);
}

NOLIBC_FN int fdatasync(int fd)
{
	return NOLIBC_INT(__NR_fdatasync, fd);
}

NOLIBC_FN int syncfs(int fd)
{
	return NOLIBC_INT(__NR_syncfs, fd);
}

NOLIBC_FN int fchdir(int fd)
{
	return NOLIBC_INT(__NR_fchdir, fd);
}

NOLIBC_FN int flock(int fd, int how)
{
	return NOLIBC_INT(__NR_flock, fd, how);
}

NOLIBC_FN int close_range(unsigned int first, unsigned int last, int flags)
{
	return NOLIBC_INT(__NR_close_range, (int)first, (int)last, flags);
}

NOLIBC_FN ssize_t copy_file_range(int from, off_t *at, int to, off_t *to_at, size_t size, unsigned int flags)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_copy_file_range, from, NOLIBC_P(at), to, NOLIBC_P(to_at), NOLIBC_P(size), (int)flags));
}

NOLIBC_FN int dup2(int from, int to)
{
#ifdef __NR_dup2
	return NOLIBC_INT(__NR_dup2, from, to);
#else
	/* dup3 refuses what dup2 takes: the same descriptor twice. */
	if (from == to)
		return fcntl(from, F_GETFD) < 0 ? -1 : to;
	return dup3(from, to, 0);
#endif
}

/* pread64 and pwrite64: an offset of two words begins at an even argument, or has one before it (sh). */
#if NOLIBC_PREAD_PADDED
#define NOLIBC_PREAD_OFFSET(offset) 0, NOLIBC_PAIR_EVEN(offset)
#else
#define NOLIBC_PREAD_OFFSET(offset) NOLIBC_PAIR_ODD(offset)
#endif

NOLIBC_FN ssize_t pread(int fd, void *to, size_t size, off_t offset)
{
	return __nolibc_ret(__nolibc_call(__NR_pread64, fd, NOLIBC_P(to), NOLIBC_P(size),
					  NOLIBC_PREAD_OFFSET(offset)));
}

NOLIBC_FN ssize_t pwrite(int fd, const void *from, size_t size, off_t offset)
{
	return __nolibc_ret(__nolibc_call(__NR_pwrite64, fd, NOLIBC_P(from), NOLIBC_P(size),
					  NOLIBC_PREAD_OFFSET(offset)));
}

NOLIBC_FN int ftruncate(int fd, off_t size)
{
#ifdef __NR_ftruncate64
	return NOLIBC_INT(__NR_ftruncate64, fd, NOLIBC_PAIR_ODD(size));
#else
	return NOLIBC_INT(__NR_ftruncate, fd, (__nolibc_word)size);
#endif
}

NOLIBC_FN int truncate(const char *path, off_t size)
{
#ifdef __NR_truncate64
	return NOLIBC_INT(__NR_truncate64, NOLIBC_P(path), NOLIBC_PAIR_ODD(size));
#else
	return NOLIBC_INT(__NR_truncate, NOLIBC_P(path), (__nolibc_word)size);
#endif
}

NOLIBC_FN int fallocate(int fd, int mode, off_t offset, off_t size)
{
	return NOLIBC_INT(__NR_fallocate, fd, mode, NOLIBC_PAIR_EVEN(offset), NOLIBC_PAIR_EVEN(size));
}

NOLIBC_FN int posix_fallocate(int fd, off_t offset, off_t size)
{
	__nolibc_word result = __nolibc_call(__NR_fallocate, fd, 0, NOLIBC_PAIR_EVEN(offset),
					     NOLIBC_PAIR_EVEN(size));

	return (int)-result;
}

NOLIBC_FN ssize_t sendfile(int to, int from, off_t *offset, size_t size)
{
#ifdef __NR_sendfile64
	return __nolibc_ret(__nolibc_call(__NR_sendfile64, to, from, NOLIBC_P(offset), NOLIBC_P(size)));
#else
	return __nolibc_ret(__nolibc_call(__NR_sendfile, to, from, NOLIBC_P(offset), NOLIBC_P(size)));
#endif
}

NOLIBC_FN int lockf(int fd, int command, off_t size)
{
	struct flock lock;

	lock.l_type = command == F_ULOCK ? F_UNLCK : F_WRLCK;
	lock.l_whence = 1;
	lock.l_start = 0;
	lock.l_len = size;
	lock.l_pid = 0;
	if (command == F_TEST) {
		if (fcntl(fd, F_GETLK, &lock))
			return -1;
		if (lock.l_type == F_UNLCK)
			return 0;
		NOLIBC_SET_ERRNO(EACCES);
		return -1;
	}
	return fcntl(fd, command == F_LOCK ? F_SETLKW : F_SETLK, &lock);
}

NOLIBC_FN void sync(void)
{
	__nolibc_call(__NR_sync);
}

NOLIBC_FN pid_t tcgetpgrp(int fd)
{
	pid_t group;

	return ioctl(fd, TIOCGPGRP, &group) ? -1 : group;
}

NOLIBC_FN int tcsetpgrp(int fd, pid_t group)
{
	return ioctl(fd, TIOCSPGRP, &group);
}

/* Every terminal has a size, and nothing else has. */
NOLIBC_FN int isatty(int fd)
{
	struct winsize size;

	return !ioctl(fd, TIOCGWINSZ, &size);
}

#endif
