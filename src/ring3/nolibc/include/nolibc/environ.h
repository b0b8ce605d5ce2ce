/* The environment: getenv and those that change it. */
#ifndef NOLIBC_ENVIRON_H
#define NOLIBC_ENVIRON_H

#include "saved.h"
#include "memory.h"
#include "malloc.h"

/* A declaration "extern char **environ" declares the function below once more, which is allowed. */
#define environ (*__nolibc_environ())

/* The entry "NAME=value" whose name is the n characters at name, or the end of the list. */
NOLIBC_FN char **__nolibc_env_entry(const char *name, size_t n)
{
	char **at = environ;
	size_t i;

	for (; at && *at; at++) {
		for (i = 0; i < n && (*at)[i] == name[i]; i++)
			;
		if (i == n && (*at)[n] == '=')
			break;
	}
	return at;
}

NOLIBC_FN char *getenv(const char *name)
{
	size_t n = strlen(name);
	char **at = __nolibc_env_entry(name, n);

	return at && *at ? *at + n + 1 : NULL;
}

NOLIBC_FN char *secure_getenv(const char *name)
{
	return getenv(name);
}

NOLIBC_FN size_t __nolibc_env_name(const char *name)
{
	size_t n = 0;

	while (name[n] && name[n] != '=')
		n++;
	return n;
}

/* Takes the string itself into the environment, which is moved to make room. */
NOLIBC_FN int putenv(char *entry)
{
	size_t n = __nolibc_env_name(entry), count = 0;
	char **at, **made;

	at = __nolibc_env_entry(entry, n);
	if (at && *at) {
		*at = entry;
		return 0;
	}
	while (environ && environ[count])
		count++;
	made = (char **)malloc((count + 2) * sizeof(*made));
	if (!made)
		return -1;
	if (count)
		memcpy(made, environ, count * sizeof(*made));
	made[count] = entry;
	made[count + 1] = NULL;
	environ = made;
	return 0;
}

NOLIBC_FN int setenv(const char *name, const char *value, int overwrite)
{
	size_t n = __nolibc_env_name(name), size = strlen(value) + 1;
	char *entry;

	if (!n || name[n]) {
		NOLIBC_SET_ERRNO(EINVAL);
		return -1;
	}
	if (!overwrite && getenv(name))
		return 0;
	entry = (char *)malloc(n + 1 + size);
	if (!entry)
		return -1;
	memcpy(entry, name, n);
	entry[n] = '=';
	memcpy(entry + n + 1, value, size);
	return putenv(entry);
}

NOLIBC_FN int unsetenv(const char *name)
{
	size_t n = __nolibc_env_name(name);
	char **at;

	if (!n || name[n]) {
		NOLIBC_SET_ERRNO(EINVAL);
		return -1;
	}
	while ((at = __nolibc_env_entry(name, n)) && *at)
		for (; *at; at++)
			at[0] = at[1];
	return 0;
}

NOLIBC_FN int clearenv(void)
{
	environ = NULL;
	return 0;
}

#endif
