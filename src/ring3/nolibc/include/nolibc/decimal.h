/* Floating-point numbers as exact decimal digits, and back: what printf and strtod need.
 *
 * Only integers are used: no function of the compiler's library, no rounding but the last one.  Multiplying
 * or dividing a string of digits by a power of two is long multiplication or division; every binary number
 * is a finite decimal, so that the digits are exact.
 */
#ifndef NOLIBC_DECIMAL_H
#define NOLIBC_DECIMAL_H

#include "memory.h"

/* The most significant digits a number can have: 767 for 53 bits, 11,563 for 113. */
#if __LDBL_MANT_DIG__ == 53 || __LDBL_MANT_DIG__ == 106
#define NOLIBC_DECIMALS 1100
#else
#define NOLIBC_DECIMALS 11800
#endif

/* 0.d0 d1 d2 ... times ten to the point; "more" says that digits other than zero were cut off. */
struct __nolibc_decimal {
	int n;
	int point;
	int more;
	unsigned char d[NOLIBC_DECIMALS];
};

/* A binary number: mantissa (four words, lowest first) times two to the exponent. */
struct __nolibc_real {
	unsigned int mantissa[4];
	int exponent;
	int negative;
	int kind; /* 0 finite, 1 infinite, 2 not a number */
	int inexact;
};

enum { NOLIBC_SHIFT = 27 };

NOLIBC_INLINE unsigned int __nolibc_tenth(unsigned int value)
{
	return (unsigned int)(((unsigned long long)value * 0xcccccccdU) >> 35);
}

NOLIBC_FN void __nolibc_decimal_trim(struct __nolibc_decimal *a)
{
	while (a->n && !a->d[a->n - 1])
		a->n--;
	if (!a->n)
		a->point = 0;
}

/* a /= 2^bits, at most NOLIBC_SHIFT of them. */
NOLIBC_FN void __nolibc_halve(struct __nolibc_decimal *a, int bits)
{
	unsigned int rest = 0, mask = (1U << bits) - 1;
	int from = 0, to = 0;

	if (!a->n)
		return;
	for (; !(rest >> bits); from++)
		rest = rest * 10 + (from < a->n ? a->d[from] : 0);
	a->point -= from - 1;
	for (; from < a->n || rest; from++) {
		unsigned char digit = (unsigned char)(rest >> bits);

		rest = (rest & mask) * 10 + (from < a->n ? a->d[from] : 0);
		if (to < NOLIBC_DECIMALS)
			a->d[to++] = digit;
		else if (digit)
			a->more = 1;
	}
	a->n = to;
	__nolibc_decimal_trim(a);
}

/* a *= 2^bits, at most NOLIBC_SHIFT of them. */
NOLIBC_FN void __nolibc_double(struct __nolibc_decimal *a, int bits)
{
	/* Nine digits are more than 27 bits can add. */
	unsigned int rest = 0;
	int at = a->n + 9, from = a->n, lead;

	if (!a->n)
		return;
	while (at--) {
		unsigned int tenth;
		unsigned char digit;

		if (--from >= 0)
			rest += (unsigned int)a->d[from] << bits;
		tenth = __nolibc_tenth(rest);
		digit = (unsigned char)(rest - tenth * 10);
		rest = tenth;
		if (at < NOLIBC_DECIMALS)
			a->d[at] = digit;
		else if (digit)
			a->more = 1;
	}
	a->n = a->n + 9 < NOLIBC_DECIMALS ? a->n + 9 : NOLIBC_DECIMALS;
	a->point += 9;
	for (lead = 0; lead < a->n && !a->d[lead]; lead++)
		;
	memmove(a->d, a->d + lead, (size_t)(a->n - lead));
	a->n -= lead;
	a->point -= lead;
	__nolibc_decimal_trim(a);
}

/* a *= 2^bits, bits of either sign. */
NOLIBC_FN void __nolibc_scale(struct __nolibc_decimal *a, int bits)
{
	for (; bits > NOLIBC_SHIFT; bits -= NOLIBC_SHIFT)
		__nolibc_double(a, NOLIBC_SHIFT);
	for (; bits < -NOLIBC_SHIFT; bits += NOLIBC_SHIFT)
		__nolibc_halve(a, NOLIBC_SHIFT);
	if (bits > 0)
		__nolibc_double(a, bits);
	else if (bits < 0)
		__nolibc_halve(a, -bits);
}

/* Whether cutting after n digits rounds away from zero: to nearest, a tie to even. */
NOLIBC_FN int __nolibc_rounds_up(const struct __nolibc_decimal *a, int n)
{
	if (n < 0 || n >= a->n)
		return 0;
	if (a->d[n] == 5 && n + 1 == a->n && !a->more)
		return n && a->d[n - 1] & 1;
	return a->d[n] >= 5;
}

NOLIBC_FN void __nolibc_round(struct __nolibc_decimal *a, int n)
{
	int up = __nolibc_rounds_up(a, n);

	if (n < 0)
		n = 0;
	if (n >= a->n)
		return;
	while (up && n && a->d[n - 1] == 9)
		n--;
	a->n = n;
	if (up && n) {
		a->d[n - 1]++;
	} else if (up) {
		a->d[0] = 1;
		a->n = 1;
		a->point++;
	}
	__nolibc_decimal_trim(a);
}

NOLIBC_FN void __nolibc_to_decimal(const struct __nolibc_real *from, struct __nolibc_decimal *to)
{
	int word, bit;

	to->n = to->point = to->more = 0;
	/* 16 bits at a time: decimal = decimal * 2^16 + bits. */
	for (word = 3; word >= 0; word--) {
		for (bit = 16; bit >= 0; bit -= 16) {
			unsigned int carry = from->mantissa[word] >> bit & 0xffff;
			int at;

			__nolibc_double(to, 16);
			/* An integer: its last digit is at the point. */
			while (to->n < to->point)
				to->d[to->n++] = 0;
			for (at = to->n; carry; ) {
				if (!at) {
					memmove(to->d + 1, to->d, (size_t)to->n);
					to->d[0] = 0;
					to->n++;
					to->point++;
					at = 1;
				}
				at--;
				carry += to->d[at];
				to->d[at] = (unsigned char)(carry - __nolibc_tenth(carry) * 10);
				carry = __nolibc_tenth(carry);
			}
			__nolibc_decimal_trim(to);
		}
	}
	__nolibc_scale(to, from->exponent);
}

/* The nearest number of "bits" bits whose exponent is not below "least"; 1 when it is below all of them. */
NOLIBC_FN void __nolibc_from_decimal(struct __nolibc_decimal *a, int bits, int least, struct __nolibc_real *to)
{
	int exponent = 0, n, word;

	memset(to->mantissa, 0, sizeof(to->mantissa));
	to->exponent = least;
	if (!a->n)
		return;
	to->inexact = 1;
	/* Far beyond every format; the loops below would only take their time. */
	if (a->point > 5000) {
		to->kind = 1;
		return;
	}
	if (a->point < -5100)
		return;
	/* To [1/2, 1): then the exponent is that of the leading bit. */
	while (a->point > 0) {
		n = a->point > 8 ? NOLIBC_SHIFT : a->point * 3;
		__nolibc_halve(a, n);
		exponent += n;
	}
	while (a->point < 0 || a->d[0] < 5) {
		n = a->point < -8 ? NOLIBC_SHIFT : a->point < 0 ? -a->point * 3 : 1;
		__nolibc_double(a, n);
		exponent -= n;
	}
	n = bits;
	if (exponent - bits < least)
		n = exponent - least;
	/* n bits before the point are the mantissa, or all of it is below half of the least number. */
	if (n < 0)
		return;
	__nolibc_scale(a, n);
	to->exponent = exponent - n;
	if (a->point < 0)
		return;
	to->inexact = a->n > a->point || a->more;
	__nolibc_round(a, a->point);
	for (n = 0; n < a->point; n++) {
		unsigned long long carry = n < a->n ? a->d[n] : 0;

		for (word = 0; word < 4; word++) {
			carry += (unsigned long long)to->mantissa[word] * 10;
			to->mantissa[word] = (unsigned int)carry;
			carry >>= 32;
		}
	}
	/* Rounded up to one bit more. */
	if (to->mantissa[bits / 32] >> bits % 32 & 1) {
		for (word = 0; word < 4; word++)
			to->mantissa[word] = to->mantissa[word] >> 1 |
					     (word < 3 ? to->mantissa[word + 1] << 31 : 0);
		to->exponent++;
	}
}

/* The parts of a double. */
NOLIBC_FN void __nolibc_take_double(double value, struct __nolibc_real *to)
{
	unsigned long long bits;
	int exponent;

	memcpy(&bits, &value, sizeof(bits));
	memset(to, 0, sizeof(*to));
	to->negative = (int)(bits >> 63);
	exponent = (int)(bits >> 52) & 0x7ff;
	bits &= 0xfffffffffffffULL;
	if (exponent == 0x7ff)
		to->kind = bits ? 2 : 1;
	else if (exponent)
		bits |= 1ULL << 52;
	else
		exponent = 1;
	to->mantissa[0] = (unsigned int)bits;
	to->mantissa[1] = (unsigned int)(bits >> 32);
	to->exponent = exponent - 1075;
}

NOLIBC_FN double __nolibc_make_double(const struct __nolibc_real *from)
{
	unsigned long long bits = from->mantissa[0] | (unsigned long long)from->mantissa[1] << 32;
	unsigned long long exponent = (unsigned long long)(from->exponent + 1075);
	double value;

	if (from->kind || (bits && from->exponent > 971))
		bits = 0x7ffULL << 52 | (from->kind == 2 ? 1ULL << 51 : 0);
	else if (bits >> 52)
		bits = (bits & 0xfffffffffffffULL) | exponent << 52;
	bits |= (unsigned long long)from->negative << 63;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

NOLIBC_FN float __nolibc_make_float(const struct __nolibc_real *from)
{
	unsigned int bits = from->mantissa[0];
	float value;

	if (from->kind || (bits && from->exponent > 104))
		bits = 0xffU << 23 | (from->kind == 2 ? 1U << 22 : 0);
	else if (bits >> 23)
		bits = (bits & 0x7fffffU) | (unsigned int)(from->exponent + 150) << 23;
	bits |= (unsigned int)from->negative << 31;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

#if __LDBL_MANT_DIG__ == 113 || __LDBL_MANT_DIG__ == 64
/* 15 bits of exponent; the mantissa of 64 bits has its leading one written out. */
#define NOLIBC_LONG_BITS __LDBL_MANT_DIG__
/* Of the smallest numbers; m68k's without an exponent are half of what others' are. */
#define NOLIBC_LONG_LEAST (__LDBL_MIN_EXP__ - __LDBL_MANT_DIG__)

/* The words of a long double, lowest first; the one with the exponent last. */
NOLIBC_FN void __nolibc_long_words(unsigned int word[4], void *value, int out)
{
	unsigned int memory[4] = { 0, 0, 0, 0 };
	int n;
#if __LDBL_MANT_DIG__ == 64 && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	/* m68k: exponent and sign in the upper half of the first word, two words of mantissa. */
	static const signed char place[4] = { 2, 1, 0, -1 };
#elif __LDBL_MANT_DIG__ == 64
	static const signed char place[4] = { 0, 1, 2, -1 };
#elif __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	static const signed char place[4] = { 3, 2, 1, 0 };
#else
	static const signed char place[4] = { 0, 1, 2, 3 };
#endif

	if (!out)
		memcpy(memory, value, sizeof(long double) < 16 ? sizeof(long double) : 16);
	for (n = 0; n < 4; n++) {
		if (place[n] < 0)
			continue;
		if (out)
			memory[(int)place[n]] = word[n];
		else
			word[n] = memory[(int)place[n]];
	}
	if (out)
		memcpy(value, memory, sizeof(long double) < 16 ? sizeof(long double) : 16);
}

#if __LDBL_MANT_DIG__ == 64 && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NOLIBC_LONG_TOP(word) ((word)[2] >> 16)
#define NOLIBC_LONG_SET_TOP(word, top) ((word)[2] = (top) << 16)
#elif __LDBL_MANT_DIG__ == 64
#define NOLIBC_LONG_TOP(word) ((word)[2] & 0xffff)
#define NOLIBC_LONG_SET_TOP(word, top) ((word)[2] = (top))
#else
#define NOLIBC_LONG_TOP(word) ((word)[3] >> 16)
#define NOLIBC_LONG_SET_TOP(word, top) ((word)[3] = ((word)[3] & 0xffff) | (top) << 16)
#endif

NOLIBC_FN void __nolibc_take_long(long double *value, struct __nolibc_real *to)
{
	unsigned int top;
	int exponent, n;

	memset(to, 0, sizeof(*to));
	__nolibc_long_words(to->mantissa, value, 0);
	top = NOLIBC_LONG_TOP(to->mantissa);
	exponent = (int)(top & 0x7fff);
	to->negative = (int)(top >> 15 & 1);
#if __LDBL_MANT_DIG__ == 64
	to->mantissa[2] = to->mantissa[3] = 0;
	if (exponent == 0x7fff)
		to->kind = to->mantissa[0] | (to->mantissa[1] & 0x7fffffff) ? 2 : 1;
#else
	to->mantissa[3] &= 0xffff;
	if (exponent == 0x7fff) {
		to->kind = 1;
		for (n = 0; n < 4; n++)
			if (to->mantissa[n])
				to->kind = 2;
	} else if (exponent) {
		to->mantissa[3] |= 0x10000;
	}
#endif
	(void)n;
	to->exponent = (exponent ? exponent : __LDBL_MIN_EXP__ + 16382) - 16383 - __LDBL_MANT_DIG__ + 1;
}

NOLIBC_FN long double __nolibc_make_long(const struct __nolibc_real *from)
{
	unsigned int word[4], top = 0;
	long double value;
	int any = from->mantissa[0] || from->mantissa[1] || from->mantissa[2] || from->mantissa[3];
	int leading;

	memset(&value, 0, sizeof(value));
	memcpy(word, from->mantissa, sizeof(word));
#if __LDBL_MANT_DIG__ == 64
	leading = (int)(word[1] >> 31);
#else
	leading = (int)(word[3] >> 16 & 1);
	word[3] &= 0xffff;
#endif
	if (from->kind || (any && from->exponent > 16383 - __LDBL_MANT_DIG__ + 1)) {
		memset(word, 0, sizeof(word));
		top = 0x7fff;
#if __LDBL_MANT_DIG__ == 64
		word[1] = from->kind == 2 ? 0xc0000000U : 0x80000000U;
#else
		word[3] = from->kind == 2 ? 0x8000 : 0;
#endif
	} else if (leading) {
		top = (unsigned int)(from->exponent + 16383 + __LDBL_MANT_DIG__ - 1);
	}
	top |= (unsigned int)from->negative << 15;
	NOLIBC_LONG_SET_TOP(word, top);
	__nolibc_long_words(word, &value, 1);
	return value;
}
#else
/* long double is double, or on powerpc two of them. */
#define NOLIBC_LONG_BITS 53
#define NOLIBC_LONG_LEAST (-1074)

NOLIBC_FN void __nolibc_take_long(long double *value, struct __nolibc_real *to)
{
	double part[sizeof(long double) / sizeof(double)];

	memcpy(part, value, sizeof(part));
	__nolibc_take_double(part[0], to);
#if __LDBL_MANT_DIG__ == 106
	if (!to->kind) {
		/* The first shifted up by 64 bits, the second added or taken away at the same scale. */
		struct __nolibc_real low;
		unsigned long long carry;
		int shift, n, word;

		__nolibc_take_double(part[1], &low);
		to->mantissa[3] = to->mantissa[1];
		to->mantissa[2] = to->mantissa[0];
		to->mantissa[1] = to->mantissa[0] = 0;
		to->exponent -= 64;
		shift = low.exponent - to->exponent;
		for (n = shift; n > 0; n--)
			for (word = 3; word >= 0; word--)
				low.mantissa[word] = low.mantissa[word] << 1 |
						     (word ? low.mantissa[word - 1] >> 31 : 0);
		for (n = shift; n < 0; n++)
			for (word = 0; word < 4; word++)
				low.mantissa[word] = low.mantissa[word] >> 1 |
						     (word < 3 ? low.mantissa[word + 1] << 31 : 0);
		carry = low.negative != to->negative;
		for (word = 0; word < 4; word++) {
			unsigned int other = low.negative != to->negative ? ~low.mantissa[word] :
									    low.mantissa[word];

			carry += (unsigned long long)to->mantissa[word] + other;
			to->mantissa[word] = (unsigned int)carry;
			carry >>= 32;
		}
	}
#endif
}

NOLIBC_FN long double __nolibc_make_long(const struct __nolibc_real *from)
{
	double part[sizeof(long double) / sizeof(double)];
	long double value;

	memset(part, 0, sizeof(part));
	part[0] = __nolibc_make_double(from);
	memcpy(&value, part, sizeof(value));
	return value;
}
#endif

#endif
