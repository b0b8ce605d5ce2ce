/* The exec family: execve with arguments as a list, a path searched for, the own environment. */
#ifndef NOLIBC_EXEC_H
#define NOLIBC_EXEC_H

#include "environ.h"
#include "../stdarg.h"
#include "../limits.h"

NOLIBC_FN int execve(const char *path, char *const *argv, char *const *envp);

NOLIBC_FN int execv(const char *path, char *const *argv)
{
	return execve(path, argv, environ);
}

/* Each folder of PATH in turn; a name with a slash is a path already. */
NOLIBC_FN int execvpe(const char *file, char *const *argv, char *const *envp)
{
	const char *at = getenv("PATH");
	char path[PATH_MAX];
	size_t size = strlen(file), n;
	int denied = 0;

	if (__nolibc_strchr(file, '/'))
		return execve(file, argv, envp);
	if (!at)
		at = "/bin:/usr/bin";
	for (;; at++) {
		for (n = 0; at[n] && at[n] != ':'; n++)
			;
		if (n + size + 2 <= sizeof(path)) {
			memcpy(path, at, n);
			if (n)
				path[n] = '/';
			memcpy(path + n + !!n, file, size + 1);
			execve(path, argv, envp);
			if (errno == EACCES)
				denied = 1;
			else if (errno != ENOENT && errno != ENOTDIR)
				return -1;
		}
		at += n;
		if (!*at)
			break;
	}
	NOLIBC_SET_ERRNO(denied ? EACCES : ENOENT);
	return -1;
}

NOLIBC_FN int execvp(const char *file, char *const *argv)
{
	return execvpe(file, argv, environ);
}

/* The arguments after path, which end with a null pointer, as an array on the stack. */
#define NOLIBC_LIST(first, ap, argv)                                                             \
	va_start(ap, first);                                                                     \
	for (n = 1; va_arg(ap, char *); n++)                                                     \
		;                                                                                \
	va_end(ap);                                                                              \
	argv = (char **)__builtin_alloca((n + 1) * sizeof(*argv));                               \
	va_start(ap, first);                                                                     \
	argv[0] = (char *)first;                                                                 \
	for (n = 1; (argv[n] = va_arg(ap, char *)); n++)                                         \
		;

NOLIBC_FN int execl(const char *path, const char *first, ...)
{
	va_list ap;
	char **argv;
	int n;

	NOLIBC_LIST(first, ap, argv)
	va_end(ap);
	return execv(path, argv);
}

NOLIBC_FN int execlp(const char *path, const char *first, ...)
{
	va_list ap;
	char **argv;
	int n;

	NOLIBC_LIST(first, ap, argv)
	va_end(ap);
	return execvp(path, argv);
}

NOLIBC_FN int execle(const char *path, const char *first, ...)
{
	va_list ap;
	char **argv, **envp;
	int n;

	NOLIBC_LIST(first, ap, argv)
	envp = va_arg(ap, char **);
	va_end(ap);
	return execve(path, argv, envp);
}

NOLIBC_FN int fexecve(int fd, char *const *argv, char *const *envp)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_execveat, fd, NOLIBC_P(""), NOLIBC_P(argv),
					       NOLIBC_P(envp), 0x1000));
}

NOLIBC_FN int execveat(int folder, const char *path, char *const *argv, char *const *envp, int flags)
{
	return NOLIBC_INT(__NR_execveat, folder, NOLIBC_P(path), NOLIBC_P(argv), NOLIBC_P(envp), flags);
}

#endif
