#ifndef _NOLIBC_STRINGS_H
#define _NOLIBC_STRINGS_H

#include "nolibc/start.h"
#include "nolibc/memory.h"
#include "ctype.h"

NOLIBC_FN int strcasecmp(const char *a, const char *b)
{
	while (*a && tolower((unsigned char)*a) == tolower((unsigned char)*b)) {
		a++;
		b++;
	}
	return tolower((unsigned char)*a) - tolower((unsigned char)*b);
}

NOLIBC_FN int strncasecmp(const char *a, const char *b, size_t n)
{
	while (n && *a && tolower((unsigned char)*a) == tolower((unsigned char)*b)) {
		a++;
		b++;
		n--;
	}
	return n ? tolower((unsigned char)*a) - tolower((unsigned char)*b) : 0;
}

NOLIBC_FN void bcopy(const void *from, void *to, size_t n)
{
	memmove(to, from, n);
}

NOLIBC_FN void bzero(void *to, size_t n)
{
	memset(to, 0, n);
}

NOLIBC_FN int ffsll(long long value)
{
	int n;

	if (!value)
		return 0;
	for (n = 1; !(value & 1); n++)
		value = (long long)((unsigned long long)value >> 1);
	return n;
}

NOLIBC_FN int ffsl(long value)
{
	return ffsll(value);
}

NOLIBC_FN int ffs(int value)
{
	return ffsll(value);
}

NOLIBC_FN char *__nolibc_strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)s;
}

NOLIBC_FN char *index(const char *s, int c)
{
	return __nolibc_strchr(s, c);
}

NOLIBC_FN char *rindex(const char *s, int c)
{
	char *found = NULL, *at;

	for (at = (char *)s; (at = __nolibc_strchr(at, c)); at++) {
		found = at;
		if (!*at)
			break;
	}
	return found;
}

#endif
