#ifndef _NOLIBC_FNMATCH_H
#define _NOLIBC_FNMATCH_H

#include "ctype.h"

#define FNM_NOMATCH 1
#define FNM_PATHNAME 1
#define FNM_FILE_NAME FNM_PATHNAME
#define FNM_NOESCAPE 2
#define FNM_PERIOD 4
#define FNM_LEADING_DIR 8
#define FNM_CASEFOLD 16

NOLIBC_FN int __nolibc_fold(int c, int flags)
{
	return flags & FNM_CASEFOLD ? tolower(c) : c;
}

/* Of [:class:], after the colon: whether c is of it. */
NOLIBC_FN int __nolibc_class(const char *name, int c)
{
	static const char names[] = "alnum\0alpha\0blank\0cntrl\0digit\0graph\0lower\0print\0punct\0space\0upper\0xdigit";
	int (*const tests[])(int) = { isalnum, isalpha, isblank, iscntrl, isdigit, isgraph,
				      islower, isprint, ispunct, isspace, isupper, isxdigit };
	unsigned int which;
	const char *at = names;

	for (which = 0; which < sizeof(tests) / sizeof(*tests); which++) {
		const char *s = name;

		while (*at && *at == *s) {
			at++;
			s++;
		}
		if (!*at && s[0] == ':' && s[1] == ']')
			return tests[which](c);
		while (*at++)
			;
	}
	return 0;
}

/* One character of a bracket expression, or [.x.] or [=x=]; what is behind it, NULL where there is none. */
NOLIBC_FN const char *__nolibc_element(const char *p, int flags, int *to)
{
	if (*p == '\\' && !(flags & FNM_NOESCAPE))
		p++;
	else if (*p == '[' && (p[1] == '.' || p[1] == '=') && p[2] && p[3] == p[1] && p[4] == ']') {
		*to = (unsigned char)p[2];
		return p + 5;
	}
	*to = (unsigned char)*p;
	return *to ? p + 1 : 0;
}

/* A bracket expression after its "[": whether c is in it, and where it ends; NULL when it never does. */
NOLIBC_FN const char *__nolibc_bracket(const char *p, int c, int flags, int *in)
{
	int negated = *p == '!' || *p == '^', found = 0, first = 1;

	for (p += negated; first || *p != ']'; first = 0) {
		int low, high;

		if (p[0] == '[' && p[1] == ':') {
			const char *end = p + 2;

			while (isalpha(*end))
				end++;
			if (end[0] == ':' && end[1] == ']') {
				found |= !!__nolibc_class(p + 2, c);
				p = end + 2;
				continue;
			}
		}
		p = __nolibc_element(p, flags, &low);
		if (!p)
			return 0;
		high = low;
		if (p[0] == '-' && p[1] && p[1] != ']' && !(p = __nolibc_element(p + 1, flags, &high)))
			return 0;
		found |= __nolibc_fold(low, flags) <= __nolibc_fold(c, flags) &&
			 __nolibc_fold(c, flags) <= __nolibc_fold(high, flags);
	}
	*in = found != negated;
	return p + 1;
}

/* POSIX's patterns of the shell.  On a mismatch the last "*" takes one character more: no recursion. */
NOLIBC_FN int fnmatch(const char *p, const char *s, int flags)
{
	const char *start = s, *star = 0, *star_s = 0;

	for (;;) {
		int period = flags & FNM_PERIOD && *s == '.' &&
			     (s == start || (flags & FNM_PATHNAME && s[-1] == '/'));
		int slash = flags & FNM_PATHNAME && *s == '/', good = 0;
		const char *next = p + 1;

		if (!*s) {
			while (*p == '*')
				p++;
			return *p ? FNM_NOMATCH : 0;
		}
		if (!*p && flags & FNM_LEADING_DIR && *s == '/')
			return 0;
		if (*p == '*' && !period) {
			star = next;
			star_s = s;
			p = next;
			continue;
		}
		if (*p == '?') {
			good = !period && !slash;
		} else if (*p == '[' && !period && !slash) {
			const char *end = __nolibc_bracket(next, (unsigned char)*s, flags, &good);

			if (end)
				next = end;
			else
				good = *s == '[';
		} else if (*p && *p != '*') {
			if (*p == '\\' && !(flags & FNM_NOESCAPE) && p[1])
				next = ++p + 1;
			good = __nolibc_fold((unsigned char)*p, flags) == __nolibc_fold((unsigned char)*s, flags);
		}
		if (good) {
			p = next;
			s++;
		} else if (star && !(flags & FNM_PATHNAME && *star_s == '/')) {
			p = star;
			s = ++star_s;
		} else {
			return FNM_NOMATCH;
		}
	}
}

#endif
