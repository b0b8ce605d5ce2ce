/* scanf's %e %f %g. */
#ifndef NOLIBC_REAL_SCAN_H
#define NOLIBC_REAL_SCAN_H

#ifdef NOLIBC_NO_FLOAT
#define __nolibc_real_goes_on(text, n, c) ((void)(text), (void)(n), (void)(c), 0)
#define __nolibc_real_store(text, to, length) ((void)(to), 0)
#else
#include "reals.h"

/* Whether c continues a number: any character that one can have, a sign only first or after the e. */
NOLIBC_FN int __nolibc_real_goes_on(const char *text, int n, int c)
{
	if (c == '+' || c == '-')
		return !n || (text[n - 1] | 32) == 'e' || (text[n - 1] | 32) == 'p';
	return c == '.' || isalnum(c);
}

/* 0 where text is no number.  Without a place nothing is stored. */
NOLIBC_FN int __nolibc_real_store(const char *text, void *to, char length)
{
	char *end;

	if (length == 'L') {
		long double value = strtold(text, &end);

		if (to && end != text)
			memcpy(to, &value, sizeof(value));
	} else if (length == 'l') {
		double value = strtod(text, &end);

		if (to && end != text)
			memcpy(to, &value, sizeof(value));
	} else {
		float value = strtof(text, &end);

		if (to && end != text)
			memcpy(to, &value, sizeof(value));
	}
	return end != text;
}
#endif

#endif
