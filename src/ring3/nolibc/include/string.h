#ifndef _NOLIBC_STRING_H
#define _NOLIBC_STRING_H

#include "nolibc/start.h"
#include "nolibc/types.h"
#include "nolibc/memory.h"
#include "strings.h"
#include "nolibc/malloc.h"
#include "nolibc/integers.h"

NOLIBC_FN size_t strnlen(const char *s, size_t limit) NOLIBC_OWN(strnlen);
NOLIBC_FN char *strcpy(char *to, const char *from) NOLIBC_OWN(strcpy);
NOLIBC_FN char *stpcpy(char *to, const char *from) NOLIBC_OWN(stpcpy);
NOLIBC_FN char *strncpy(char *to, const char *from, size_t n) NOLIBC_OWN(strncpy);
NOLIBC_FN char *stpncpy(char *to, const char *from, size_t n) NOLIBC_OWN(stpncpy);
NOLIBC_FN char *strcat(char *to, const char *from) NOLIBC_OWN(strcat);
NOLIBC_FN char *strncat(char *to, const char *from, size_t n) NOLIBC_OWN(strncat);
NOLIBC_FN size_t strlcpy(char *to, const char *from, size_t size) NOLIBC_OWN(strlcpy);
NOLIBC_FN size_t strlcat(char *to, const char *from, size_t size) NOLIBC_OWN(strlcat);
NOLIBC_FN int strcmp(const char *a, const char *b) NOLIBC_OWN(strcmp);
NOLIBC_FN int strncmp(const char *a, const char *b, size_t n) NOLIBC_OWN(strncmp);
NOLIBC_FN char *strchr(const char *s, int c) NOLIBC_OWN(strchr);
NOLIBC_FN char *strrchr(const char *s, int c) NOLIBC_OWN(strrchr);
NOLIBC_FN void *memchr(const void *s, int c, size_t n) NOLIBC_OWN(memchr);
NOLIBC_FN void *memrchr(const void *s, int c, size_t n) NOLIBC_OWN(memrchr);
NOLIBC_FN void *memccpy(void *to, const void *from, int c, size_t n) NOLIBC_OWN(memccpy);
NOLIBC_FN void *mempcpy(void *to, const void *from, size_t n) NOLIBC_OWN(mempcpy);
NOLIBC_FN size_t strspn(const char *s, const char *set) NOLIBC_OWN(strspn);
NOLIBC_FN size_t strcspn(const char *s, const char *set) NOLIBC_OWN(strcspn);
NOLIBC_FN char *strpbrk(const char *s, const char *set) NOLIBC_OWN(strpbrk);
NOLIBC_FN char *strstr(const char *in, const char *what) NOLIBC_OWN(strstr);
NOLIBC_FN char *strdup(const char *s) NOLIBC_OWN(strdup);
NOLIBC_FN char *strndup(const char *s, size_t n) NOLIBC_OWN(strndup);

NOLIBC_FN size_t strnlen(const char *s, size_t limit)
{
	size_t n;

	for (n = 0; n < limit && s[n]; n++)
		NOLIBC_KEEP_LOOP();
	return n;
}

NOLIBC_FN char *strcpy(char *to, const char *from)
{
	char *start = to;

	while ((*to++ = *from++))
		NOLIBC_KEEP_LOOP();
	return start;
}

NOLIBC_FN char *stpcpy(char *to, const char *from)
{
	while ((*to = *from++))
		to++;
	return to;
}

NOLIBC_FN char *strncpy(char *to, const char *from, size_t n)
{
	size_t at = 0;

	for (; at < n && from[at]; at++)
		to[at] = from[at];
	for (; at < n; at++)
		to[at] = 0;
	return to;
}

NOLIBC_FN char *stpncpy(char *to, const char *from, size_t n)
{
	size_t at = 0;

	while (at < n && from[at])
		at++;
	strncpy(to, from, n);
	return to + at;
}

NOLIBC_FN char *strcat(char *to, const char *from)
{
	strcpy(to + strlen(to), from);
	return to;
}

NOLIBC_FN char *strncat(char *to, const char *from, size_t n)
{
	char *end = to + strlen(to);

	while (n-- && *from)
		*end++ = *from++;
	*end = 0;
	return to;
}

NOLIBC_FN size_t strlcpy(char *to, const char *from, size_t size)
{
	size_t n = strlen(from);

	if (size) {
		size_t fits = n < size ? n : size - 1;

		memcpy(to, from, fits);
		to[fits] = 0;
	}
	return n;
}

NOLIBC_FN size_t strlcat(char *to, const char *from, size_t size)
{
	size_t n = strnlen(to, size);

	if (n == size)
		return n + strlen(from);
	return n + strlcpy(to + n, from, size - n);
}

NOLIBC_FN int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

NOLIBC_FN int strncmp(const char *a, const char *b, size_t n)
{
	while (n && *a && *a == *b) {
		a++;
		b++;
		n--;
	}
	return n ? (unsigned char)*a - (unsigned char)*b : 0;
}

NOLIBC_FN int strcoll(const char *a, const char *b)
{
	return strcmp(a, b);
}

NOLIBC_FN size_t strxfrm(char *to, const char *from, size_t n)
{
	return strlcpy(to, from, n);
}

NOLIBC_FN char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

NOLIBC_FN char *strchrnul(const char *s, int c)
{
	while (*s && *s != (char)c)
		s++;
	return (char *)s;
}

NOLIBC_FN char *strrchr(const char *s, int c)
{
	const char *found = NULL;

	do {
		if (*s == (char)c)
			found = s;
	} while (*s++);
	return (char *)found;
}

NOLIBC_FN void *memchr(const void *s, int c, size_t n)
{
	const unsigned char *at = (const unsigned char *)s;

	for (; n; n--, at++)
		if (*at == (unsigned char)c)
			return (void *)at;
	return NULL;
}

NOLIBC_FN void *memrchr(const void *s, int c, size_t n)
{
	const unsigned char *at = (const unsigned char *)s;

	while (n--)
		if (at[n] == (unsigned char)c)
			return (void *)(at + n);
	return NULL;
}

NOLIBC_FN void *rawmemchr(const void *s, int c)
{
	const unsigned char *at = (const unsigned char *)s;

	while (*at != (unsigned char)c)
		at++;
	return (void *)at;
}

NOLIBC_FN void *memccpy(void *to, const void *from, int c, size_t n)
{
	unsigned char *out = (unsigned char *)to;
	const unsigned char *in = (const unsigned char *)from;

	while (n--)
		if ((*out++ = *in++) == (unsigned char)c)
			return out;
	return NULL;
}

NOLIBC_FN void *mempcpy(void *to, const void *from, size_t n)
{
	return (char *)memcpy(to, from, n) + n;
}

NOLIBC_FN void *memmem(const void *in, size_t size, const void *what, size_t n)
{
	const char *at = (const char *)in;

	for (; size >= n; size--, at++)
		if (!memcmp(at, what, n))
			return (void *)at;
	return NULL;
}

/* Digits compare as numbers; after leading zeros as a fraction. */
NOLIBC_FN int strverscmp(const char *a, const char *b)
{
	size_t at, run = 0, end;
	int zeros = 1;

	for (at = 0; a[at] == b[at]; at++) {
		if (!a[at])
			return 0;
		if (!isdigit(a[at])) {
			run = at + 1;
			zeros = 1;
		} else if (a[at] != '0') {
			zeros = 0;
		}
	}
	if (isdigit(a[run]) && a[run] != '0' && isdigit(b[run]) && b[run] != '0') {
		/* Of two numbers the longer one is larger. */
		for (end = at; isdigit(a[end]); end++)
			if (!isdigit(b[end]))
				return 1;
		if (isdigit(b[end]))
			return -1;
	} else if (zeros && run < at && (isdigit(a[at]) || isdigit(b[at]))) {
		return (unsigned char)(a[at] - '0') - (unsigned char)(b[at] - '0');
	}
	return (unsigned char)a[at] - (unsigned char)b[at];
}

NOLIBC_FN void explicit_bzero(void *to, size_t n)
{
	memset(to, 0, n);
	__asm__ volatile("" : : "r" (to) : "memory");
}

NOLIBC_FN void *memset_explicit(void *to, int c, size_t n)
{
	memset(to, c, n);
	__asm__ volatile("" : : "r" (to) : "memory");
	return to;
}

NOLIBC_FN size_t strspn(const char *s, const char *set)
{
	size_t n = 0;

	while (s[n] && strchr(set, s[n]))
		n++;
	return n;
}

NOLIBC_FN size_t strcspn(const char *s, const char *set)
{
	size_t n = 0;

	while (s[n] && !strchr(set, s[n]))
		n++;
	return n;
}

NOLIBC_FN char *strpbrk(const char *s, const char *set)
{
	s += strcspn(s, set);
	return *s ? (char *)s : NULL;
}

NOLIBC_FN char *strstr(const char *in, const char *what)
{
	size_t n = strlen(what);

	for (;; in++) {
		if (!strncmp(in, what, n))
			return (char *)in;
		if (!*in)
			return NULL;
	}
}

NOLIBC_FN char *strcasestr(const char *in, const char *what)
{
	size_t n = strlen(what);

	for (;; in++) {
		if (!strncasecmp(in, what, n))
			return (char *)in;
		if (!*in)
			return NULL;
	}
}

NOLIBC_FN char *strtok_r(char *s, const char *set, char **next)
{
	if (!s)
		s = *next;
	s += strspn(s, set);
	*next = s + strcspn(s, set);
	if (**next)
		*(*next)++ = 0;
	return *s ? s : NULL;
}

NOLIBC_FN char *strtok(char *s, const char *set)
{
	static char *next;

	return strtok_r(s, set, &next);
}

NOLIBC_FN char *strsep(char **from, const char *set)
{
	char *s = *from, *end;

	if (!s)
		return NULL;
	end = s + strcspn(s, set);
	*from = *end ? end + 1 : NULL;
	*end = 0;
	return s;
}

NOLIBC_FN char *strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *made = (char *)malloc(size);

	return made ? (char *)memcpy(made, s, size) : NULL;
}

NOLIBC_FN char *strndup(const char *s, size_t n)
{
	size_t size = strnlen(s, n);
	char *made = (char *)malloc(size + 1);

	if (!made)
		return NULL;
	made[size] = 0;
	return (char *)memcpy(made, s, size);
}

/* Numbers only: a table of sentences would be larger than most programs. */
NOLIBC_FN char *strerror_r(int code, char *buf, size_t size)
{
	char text[20] = "errno=";

	itoa_r(code, text + 6);
	strlcpy(buf, text, size);
	return buf;
}

NOLIBC_FN char *strerror(int code)
{
	static char text[20] = "errno=";

	itoa_r(code, text + 6);
	return text;
}

NOLIBC_FN char *strsignal(int signal)
{
	static char text[20] = "signal ";

	itoa_r(signal, text + 7);
	return text;
}

#endif
