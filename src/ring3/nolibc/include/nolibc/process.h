/* Children through the shell, temporary files, real paths. */
#ifndef NOLIBC_PROCESS_H
#define NOLIBC_PROCESS_H

#include "stream.h"
#include "../signal.h"
#include "../sys/stat.h"
#include "../sys/wait.h"
#include "../sys/random.h"

/* The rest of a child: the shell with a command. */
NOLIBC_FN __attribute__((__noreturn__)) void __nolibc_shell(const char *command)
{
	const char *argv[4];

	argv[0] = "sh";
	argv[1] = "-c";
	argv[2] = command;
	argv[3] = NULL;
	execve("/bin/sh", (char *const *)argv, environ);
	_exit(127);
}

/* POSIX: the child's end is waited for with SIGCHLD blocked, SIGINT and SIGQUIT ignored. */
NOLIBC_FN int system(const char *command)
{
	struct sigaction ignore, interrupt, quit;
	sigset_t blocked, old;
	int status = -1;
	pid_t pid;

	if (!command)
		return 1;
	memset(&ignore, 0, sizeof(ignore));
	ignore.sa_handler = SIG_IGN;
	sigaction(SIGINT, &ignore, &interrupt);
	sigaction(SIGQUIT, &ignore, &quit);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	pid = fork();
	if (!pid) {
		sigaction(SIGINT, &interrupt, NULL);
		sigaction(SIGQUIT, &quit, NULL);
		sigprocmask(SIG_SETMASK, &old, NULL);
		__nolibc_shell(command);
	}
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGQUIT, &quit, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return status;
}

NOLIBC_FN FILE *popen(const char *command, const char *mode)
{
	int fds[2], reads = *mode == 'r';
	FILE *made;
	pid_t pid;

	if ((*mode != 'r' && *mode != 'w') || pipe2(fds, O_CLOEXEC)) {
		if (*mode != 'r' && *mode != 'w')
			NOLIBC_SET_ERRNO(EINVAL);
		return NULL;
	}
	pid = fork();
	if (!pid) {
		dup2(fds[reads], reads);
		__nolibc_shell(command);
	}
	close(fds[reads]);
	made = pid < 0 ? NULL : fdopen(fds[!reads], mode);
	if (made)
		__nolibc_state(made)->pid = pid;
	else
		close(fds[!reads]);
	return made;
}

NOLIBC_FN int pclose(FILE *stream)
{
	pid_t pid = __nolibc_state(stream)->pid;
	int status;

	fclose(stream);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* Fills the last six letters, which must be XXXXXX, until a name is unused. */
NOLIBC_FN int __nolibc_temporary(char *path, int suffix, int flags, int folder)
{
	size_t size = strlen(path);
	char *letters = path + size - 6 - suffix;
	unsigned char random[6];
	int tries, n, made;

	if (size < 6 + (size_t)suffix || memcmp(letters, "XXXXXX", 6)) {
		NOLIBC_SET_ERRNO(EINVAL);
		return -1;
	}
	for (tries = 0; tries < 100; tries++) {
		getrandom(random, sizeof(random), 0);
		for (n = 0; n < 6; n++)
			letters[n] = "abcdefghijklmnopqrstuvwxyz012345"[random[n] & 31];
		made = folder ? mkdir(path, 0700) : open(path, flags | O_CREAT | O_EXCL | O_RDWR, 0600);
		if (made >= 0 || errno != EEXIST)
			return made;
	}
	return -1;
}

NOLIBC_FN int mkostemps(char *path, int suffix, int flags)
{
	return __nolibc_temporary(path, suffix, flags, 0);
}

NOLIBC_FN int mkostemp(char *path, int flags)
{
	return __nolibc_temporary(path, 0, flags, 0);
}

NOLIBC_FN int mkstemps(char *path, int suffix)
{
	return __nolibc_temporary(path, suffix, 0, 0);
}

NOLIBC_FN int mkstemp(char *path)
{
	return __nolibc_temporary(path, 0, 0, 0);
}

NOLIBC_FN char *mkdtemp(char *path)
{
	return __nolibc_temporary(path, 0, 0, 1) ? NULL : path;
}

NOLIBC_FN FILE *tmpfile(void)
{
	char path[] = "/tmp/tmpf-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		return NULL;
	unlink(path);
	return fdopen(fd, "w+");
}

/* What the kernel calls the file: it resolves all links when asked for an open descriptor. */
NOLIBC_FN char *realpath(const char *path, char *to)
{
	char name[32] = "/proc/self/fd/";
	char found[PATH_MAX];
	ssize_t n;
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	i64toa_r(fd, name + 14);
	n = readlink(name, found, sizeof(found) - 1);
	close(fd);
	if (n < 0)
		return NULL;
	found[n] = 0;
	if (!to && !(to = (char *)malloc((size_t)n + 1)))
		return NULL;
	memcpy(to, found, (size_t)n + 1);
	return to;
}

#endif
