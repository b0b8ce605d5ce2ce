#ifndef _NOLIBC_UNISTD_H
#define _NOLIBC_UNISTD_H

#include "nolibc/sys.h"
#include "nolibc/types.h"
#include "nolibc/environ.h"
#include "nolibc/kill.h"
#include "nolibc/siginfo.h"
#include "fcntl.h"
#include "getopt.h"
#include "stdarg.h"

#define STDIN_FILENO 0
#define STDOUT_FILENO 1
#define STDERR_FILENO 2
#define F_OK 0
#define X_OK 1
#define W_OK 2
#define R_OK 4
#ifndef SEEK_SET
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#endif
#define SEEK_DATA 3
#define SEEK_HOLE 4
#define _POSIX_VERSION 200809L

NOLIBC_FN ssize_t read(int fd, void *to, size_t size)
{
	return __nolibc_ret(__nolibc_wait(__NR_read, fd, NOLIBC_P(to), NOLIBC_P(size)));
}

NOLIBC_FN ssize_t write(int fd, const void *from, size_t size)
{
	return __nolibc_ret(__nolibc_call(__NR_write, fd, NOLIBC_P(from), NOLIBC_P(size)));
}

NOLIBC_FN int close(int fd)
{
	return NOLIBC_INT(__NR_close, fd);
}

#ifdef __NR__llseek
#define NOLIBC_NR_llseek __NR__llseek
#else
#define NOLIBC_NR_llseek __NR_llseek
#endif

NOLIBC_FN off_t lseek(int fd, off_t offset, int whence)
{
#if defined(__NR__llseek) || defined(__NR_llseek)
	long long to = 0;

	if (NOLIBC_INT(NOLIBC_NR_llseek, fd, (__nolibc_word)(offset >> 32), (__nolibc_word)offset, NOLIBC_P(&to),
		       whence))
		return -1;
	return to;
#else
	__nolibc_word to = __nolibc_call(__NR_lseek, fd, (__nolibc_word)offset, whence);

	return (__nolibc_uword)to > (__nolibc_uword)-4096 ? __nolibc_ret(to) : to;
#endif
}

/* Its child is not the parent's copy in memory only: fork's result is in a second register on sparc. */
NOLIBC_FN pid_t __nolibc_fork(void)
{
#ifdef NOLIBC_FORK2
	return (pid_t)__nolibc_ret(__nolibc_fork2(__NR_clone, SIGCHLD, 0));
#elif defined(__NR_fork)
	return NOLIBC_INT(__NR_fork);
#elif NOLIBC_CLONE_STACK_FIRST
	return NOLIBC_INT(__NR_clone, 0, SIGCHLD, 0, 0, 0);
#else
	return NOLIBC_INT(__NR_clone, SIGCHLD, 0, 0, 0, 0);
#endif
}

NOLIBC_FN pid_t fork(void)
{
	pid_t pid;

	/* No other thread may be amid malloc: it would never leave it in the child. */
	NOLIBC_HEAP_LOCK();
	pid = __nolibc_fork();
#if NOLIBC_THREADS
	if (!pid)
		__nolibc_threads_lock = __nolibc_other_threads = 0;
#endif
	NOLIBC_HEAP_UNLOCK();
	return pid;
}

NOLIBC_FN pid_t vfork(void)
{
	/* POSIX allows it to be fork; a true one cannot be a C function. */
	return fork();
}

NOLIBC_FN int execve(const char *path, char *const *argv, char *const *envp)
{
	return NOLIBC_INT(__NR_execve, NOLIBC_P(path), NOLIBC_P(argv), NOLIBC_P(envp));
}

NOLIBC_FN pid_t getpid(void)
{
	return __nolibc_getpid();
}

#include "nolibc/identity.h"
#include "nolibc/descriptors.h"
#include "nolibc/paths.h"
#include "nolibc/exec.h"
#include "nolibc/sysconf.h"
#include "nolibc/sleep.h"
#include "nolibc/syscall.h"

NOLIBC_FN int daemon(int keeps_folder, int keeps_streams)
{
	pid_t pid = fork();
	int null;

	if (pid < 0)
		return -1;
	if (pid)
		_exit(0);
	if (setsid() < 0 || (!keeps_folder && chdir("/")))
		return -1;
	if (keeps_streams)
		return 0;
	null = open("/dev/null", O_RDWR);
	if (null < 0)
		return -1;
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	return null > 2 ? close(null) : 0;
}

#endif
