/* Text to floating-point numbers: strtod and kin, correctly rounded. */
#ifndef NOLIBC_REALS_H
#define NOLIBC_REALS_H

#include "decimal.h"
#include "../ctype.h"
#include "../errno.h"

NOLIBC_FN int __nolibc_starts_with(const char *s, const char *word)
{
	int n;

	for (n = 0; word[n]; n++)
		if ((s[n] | 32) != word[n])
			return 0;
	return n;
}

/* The exponent behind an e or p at s: behind it afterwards; s itself when there are no digits. */
NOLIBC_FN const char *__nolibc_exponent(const char *s, int letter, int *to)
{
	const char *at = s;
	int negative, value = 0;

	*to = 0;
	if ((*at | 32) != letter)
		return s;
	at++;
	negative = *at == '-';
	if (*at == '-' || *at == '+')
		at++;
	if (!isdigit(*at))
		return s;
	for (; isdigit(*at); at++)
		if (value < 100000)
			value = value * 10 + *at - '0';
	*to = negative ? -value : value;
	return at;
}

/* A hexadecimal mantissa: bits beyond the 128 kept only as "there were some". */
NOLIBC_FN const char *__nolibc_hex_mantissa(const char *s, struct __nolibc_real *to, int *more)
{
	int dots = 0, any = 0, word, value;

	for (;; s++) {
		if (*s == '.' && !dots) {
			dots = 1;
			continue;
		}
		if (!isxdigit((unsigned char)*s))
			break;
		value = isdigit(*s) ? *s - '0' : (*s | 32) - 'a' + 10;
		any = 1;
		if (to->mantissa[3] >> 24) {
			*more |= value;
			to->exponent += dots ? 0 : 4;
			continue;
		}
		to->exponent -= dots ? 4 : 0;
		for (word = 3; word; word--)
			to->mantissa[word] = to->mantissa[word] << 4 | to->mantissa[word - 1] >> 28;
		to->mantissa[0] = to->mantissa[0] << 4 | (unsigned int)value;
	}
	return any ? s : 0;
}

/* A number of "bits" bits with exponents from "least" to "most" up.  Sets errno as strtod does. */
NOLIBC_FN void __nolibc_strtor(const char *s, char **end, int bits, int least, int most, struct __nolibc_real *to)
{
	struct __nolibc_decimal a;
	const char *at = s, *next;
	int exponent, n, dots = 0, any = 0, zero, word;

	memset(to, 0, sizeof(*to));
	to->exponent = least;
	while (isspace((unsigned char)*at))
		at++;
	to->negative = *at == '-';
	if (*at == '-' || *at == '+')
		at++;
	if ((n = __nolibc_starts_with(at, "inf"))) {
		to->kind = 1;
		at += n;
		at += __nolibc_starts_with(at, "inity");
		goto end;
	}
	if ((n = __nolibc_starts_with(at, "nan"))) {
		to->kind = 2;
		at += n;
		if (*at == '(') {
			for (n = 1; isalnum((unsigned char)at[n]) || at[n] == '_'; n++)
				;
			if (at[n] == ')')
				at += n + 1;
		}
		goto end;
	}
	a.n = a.point = a.more = 0;
	if (*at == '0' && (at[1] | 32) == 'x') {
		struct __nolibc_real hex;

		memset(&hex, 0, sizeof(hex));
		next = __nolibc_hex_mantissa(at + 2, &hex, &a.more);
		if (!next) {
			at++; /* only the zero */
			goto end;
		}
		at = __nolibc_exponent(next, 'p', &exponent);
		/* By way of decimals: slow, exact, and rounded in one place. */
		hex.exponent += exponent;
		zero = !(hex.mantissa[0] | hex.mantissa[1] | hex.mantissa[2] | hex.mantissa[3]);
		n = a.more;
		if (!zero && hex.exponent > 17000) {
			to->kind = 1;
			goto range;
		}
		if (!zero && hex.exponent > -17000)
			__nolibc_to_decimal(&hex, &a);
		if (n && a.n) {
			/* Bits that were dropped lie below the last digit. */
			a.more = 1;
		}
	} else {
		for (;; at++) {
			if (*at == '.' && !dots) {
				dots = 1;
				continue;
			}
			if (!isdigit(*at))
				break;
			any = 1;
			if (*at == '0' && !a.n) {
				a.point -= dots;
				continue;
			}
			if (a.n < NOLIBC_DECIMALS - 20)
				a.d[a.n++] = (unsigned char)(*at - '0');
			else if (*at != '0')
				a.more = 1;
			a.point += !dots;
		}
		if (!any) {
			at = s;
			to->negative = 0;
			goto end;
		}
		/* A dot without digits behind it belongs to the number, one alone does not. */
		at = __nolibc_exponent(at, 'e', &exponent);
		__nolibc_decimal_trim(&a);
		zero = !a.n;
		if (a.n)
			a.point += exponent;
	}
	if (zero)
		goto end;
	__nolibc_from_decimal(&a, bits, least, to);
range:
	any = 0;
	for (word = 0; word < 4; word++)
		any |= to->mantissa[word] != 0;
	/* Too large, or nothing or too few bits left. */
	if (to->kind || to->exponent > most || !any ||
	    (to->inexact && to->exponent == least && !(to->mantissa[(bits - 1) / 32] >> (bits - 1) % 32 & 1))) {
		if (to->exponent > most)
			to->kind = 1;
		NOLIBC_SET_ERRNO(ERANGE);
	}
end:
	if (end)
		*end = (char *)at;
}

NOLIBC_FN double strtod(const char *s, char **end)
{
	struct __nolibc_real made;

	__nolibc_strtor(s, end, 53, -1074, 971, &made);
	return __nolibc_make_double(&made);
}

NOLIBC_FN float strtof(const char *s, char **end)
{
	struct __nolibc_real made;

	__nolibc_strtor(s, end, 24, -149, 104, &made);
	return __nolibc_make_float(&made);
}

NOLIBC_FN long double strtold(const char *s, char **end)
{
	struct __nolibc_real made;

	__nolibc_strtor(s, end, NOLIBC_LONG_BITS, NOLIBC_LONG_LEAST,
			NOLIBC_LONG_BITS == 53 ? 971 : 16383 - NOLIBC_LONG_BITS + 1, &made);
	return __nolibc_make_long(&made);
}

NOLIBC_FN double atof(const char *s)
{
	return strtod(s, 0);
}

#endif
