#ifndef _NOLIBC_LIBGEN_H
#define _NOLIBC_LIBGEN_H

#include "string.h"

/* POSIX's, which may change what it is given. */
#undef basename
#define basename __nolibc_basename

NOLIBC_FN char *__nolibc_basename(char *path)
{
	char *end;

	if (!path || !*path)
		return (char *)".";
	for (end = path + strlen(path); end > path + 1 && end[-1] == '/'; end--)
		end[-1] = 0;
	while (end > path && end[-1] != '/')
		end--;
	return *end ? end : path;
}

NOLIBC_FN char *dirname(char *path)
{
	char *end;

	if (!path || !*path)
		return (char *)".";
	end = path + strlen(path);
	while (end > path && end[-1] == '/')
		end--;
	while (end > path && end[-1] != '/')
		end--;
	while (end > path && end[-1] == '/')
		end--;
	if (end == path)
		return (char *)(*path == '/' ? "/" : ".");
	*end = 0;
	return path;
}

#endif
