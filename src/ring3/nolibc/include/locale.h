/* The "C" locale, which is the only one. */
#ifndef _NOLIBC_LOCALE_H
#define _NOLIBC_LOCALE_H

#include "string.h"
#include "limits.h"

#define LC_CTYPE 0
#define LC_NUMERIC 1
#define LC_TIME 2
#define LC_COLLATE 3
#define LC_MONETARY 4
#define LC_MESSAGES 5
#define LC_ALL 6

struct lconv {
	char *decimal_point, *thousands_sep, *grouping;
	char *int_curr_symbol, *currency_symbol, *mon_decimal_point, *mon_thousands_sep, *mon_grouping;
	char *positive_sign, *negative_sign;
	char int_frac_digits, frac_digits;
	char p_cs_precedes, p_sep_by_space, n_cs_precedes, n_sep_by_space, p_sign_posn, n_sign_posn;
	char int_p_cs_precedes, int_p_sep_by_space, int_n_cs_precedes, int_n_sep_by_space;
	char int_p_sign_posn, int_n_sign_posn;
};

NOLIBC_FN char *setlocale(int category, const char *name)
{
	if (category < LC_CTYPE || category > LC_ALL)
		return NULL;
	return !name || !*name || !strcmp(name, "C") || !strcmp(name, "POSIX") ? (char *)"C" : NULL;
}

NOLIBC_FN struct lconv *localeconv(void)
{
	static struct lconv made;
	char **text = &made.decimal_point;

	/* Texts are empty and numbers unknown, but for the decimal point. */
	memset(&made, CHAR_MAX, sizeof(made));
	for (; text <= &made.negative_sign; text++)
		*text = (char *)"";
	made.decimal_point = (char *)".";
	return &made;
}

#endif
