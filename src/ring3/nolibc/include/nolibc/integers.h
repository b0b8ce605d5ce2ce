/* Text to integers (strtol and kin) and integers to text (upstream's itoa and kin). */
#ifndef NOLIBC_INTEGERS_H
#define NOLIBC_INTEGERS_H

#include "sys.h"
#include "../limits.h"
#include "../ctype.h"

/* The value of s in base; limit is the largest, of a negative number when it is signed one more.
 * A base of 0 takes it from the prefix.  Beyond the limit: the limit and ERANGE. */
NOLIBC_FN unsigned long long __nolibc_strtox(const char *s, char **end, int base,
					     unsigned long long limit, int is_signed)
{
	const char *at = s, *last = s;
	unsigned long long value = 0;
	int negative = 0, over = 0;

	if (base < 0 || base == 1 || base > 36) {
		NOLIBC_SET_ERRNO(EINVAL);
		if (end)
			*end = (char *)s;
		return 0;
	}
	while (isspace((unsigned char)*at))
		at++;
	if (*at == '+' || *at == '-')
		negative = *at++ == '-';
	if ((base == 0 || base == 16) && *at == '0' && (at[1] | 32) == 'x' &&
	    isxdigit((unsigned char)at[2])) {
		base = 16;
		at += 2;
	} else if (base == 0) {
		base = *at == '0' ? 8 : 10;
	}
	if (is_signed)
		limit += negative;
	for (;; at++) {
		int digit = *at;
		unsigned long long low, high;

		if (isdigit(digit))
			digit -= '0';
		else if (isalpha((unsigned char)digit))
			digit = (digit | 32) - 'a' + 10;
		else
			break;
		if (digit >= base)
			break;
		last = at + 1;
		/* Two products of 32 bits: no division, and the overflow shows. */
		low = (value & 0xffffffffU) * (unsigned int)base + (unsigned int)digit;
		high = (value >> 32) * (unsigned int)base + (low >> 32);
		value = high << 32 | (low & 0xffffffffU);
		if (high >> 32 || value > limit)
			over = 1;
		if (over)
			value = limit;
	}
	if (end)
		*end = (char *)last;
	if (over) {
		NOLIBC_SET_ERRNO(ERANGE);
		return is_signed && negative ? -limit : limit;
	}
	return negative ? -value : value;
}

NOLIBC_FN long strtol(const char *s, char **end, int base)
{
	return (long)__nolibc_strtox(s, end, base, LONG_MAX, 1);
}

NOLIBC_FN unsigned long strtoul(const char *s, char **end, int base)
{
	return (unsigned long)__nolibc_strtox(s, end, base, ULONG_MAX, 0);
}

NOLIBC_FN long long strtoll(const char *s, char **end, int base)
{
	return (long long)__nolibc_strtox(s, end, base, LLONG_MAX, 1);
}

NOLIBC_FN unsigned long long strtoull(const char *s, char **end, int base)
{
	return __nolibc_strtox(s, end, base, ULLONG_MAX, 0);
}

NOLIBC_FN __INTMAX_TYPE__ strtoimax(const char *s, char **end, int base)
{
	return strtoll(s, end, base);
}

NOLIBC_FN __UINTMAX_TYPE__ strtoumax(const char *s, char **end, int base)
{
	return strtoull(s, end, base);
}

NOLIBC_FN int atoi(const char *s)
{
	return (int)strtol(s, 0, 10);
}

NOLIBC_FN long atol(const char *s)
{
	return strtol(s, 0, 10);
}

NOLIBC_FN long long atoll(const char *s)
{
	return strtoll(s, 0, 10);
}

/* The digits of value, at least one, before end; their first.  No division that 32-bit compilers call a
 * library for. */
NOLIBC_FN char *__nolibc_digits(char *end, unsigned long long value, int base, const char *digits)
{
	do {
		unsigned int digit;

#if __SIZEOF_POINTER__ == 8 && !defined(__alpha__)
		digit = value % base;
		value /= base;
#else
		if (base == 10) {
			int n;

			digit = 0;
			/* Byte by byte from the top; 0xcccd >> 19 is a tenth of what is below 0xa000. */
			for (n = 0; n < 8; n++) {
				unsigned int part = digit << 8 | (unsigned int)(value >> 56);
				unsigned int tenth = (part * 0xcccdU) >> 19;

				digit = part - tenth * 10;
				value = value << 8 | tenth;
			}
		} else {
			digit = (unsigned int)value & (base - 1);
			value >>= 3;
			if (base == 16)
				value >>= 1;
		}
#endif
		*--end = digits[digit];
	} while (value);
	return end;
}

/* The same for 32 bits in base 10: 0xcccccccd >> 35 is a tenth of any of them. */
NOLIBC_FN char *__nolibc_decimal_word(char *end, unsigned int value)
{
	do {
#if __SIZEOF_POINTER__ == 8 && !defined(__alpha__)
		unsigned int tenth = value / 10;
#else
		unsigned int tenth = (unsigned int)((unsigned long long)value * 0xcccccccdU >> 35);
#endif

		*--end = (char)('0' + value - tenth * 10);
		value = tenth;
	} while (value);
	return end;
}

/* At least one digit, at to; the number of characters without the final zero. */
NOLIBC_FN int __nolibc_to_text(unsigned long long value, int negative, int base, char *to)
{
	char digits[24], *at;
	int n = 0;

	at = __nolibc_digits(digits + sizeof(digits), value, base, "0123456789abcdef");
	if (negative)
		*--at = '-';
	while (at < digits + sizeof(digits))
		to[n++] = *at++;
	to[n] = 0;
	return n;
}

NOLIBC_FN int u64toa_r(unsigned long long value, char *to)
{
	return __nolibc_to_text(value, 0, 10, to);
}

NOLIBC_FN int u64toh_r(unsigned long long value, char *to)
{
	return __nolibc_to_text(value, 0, 16, to);
}

NOLIBC_FN int i64toa_r(long long value, char *to)
{
	return __nolibc_to_text(value < 0 ? -(unsigned long long)value : (unsigned long long)value,
				value < 0, 10, to);
}

NOLIBC_FN int utoa_r(unsigned long value, char *to)
{
	return u64toa_r(value, to);
}

NOLIBC_FN int utoh_r(unsigned long value, char *to)
{
	return u64toh_r(value, to);
}

NOLIBC_FN int ltoa_r(long value, char *to)
{
	return i64toa_r(value, to);
}

NOLIBC_FN char *itoa_r(long value, char *to)
{
	ltoa_r(value, to);
	return to;
}

NOLIBC_FN char *__nolibc_text_buffer(void)
{
	static char text[24];

	return text;
}

NOLIBC_FN char *u64toa(unsigned long long value)
{
	u64toa_r(value, __nolibc_text_buffer());
	return __nolibc_text_buffer();
}

NOLIBC_FN char *u64toh(unsigned long long value)
{
	u64toh_r(value, __nolibc_text_buffer());
	return __nolibc_text_buffer();
}

NOLIBC_FN char *i64toa(long long value)
{
	i64toa_r(value, __nolibc_text_buffer());
	return __nolibc_text_buffer();
}

NOLIBC_FN char *utoa(unsigned long value)
{
	return u64toa(value);
}

NOLIBC_FN char *utoh(unsigned long value)
{
	return u64toh(value);
}

NOLIBC_FN char *ltoa(long value)
{
	return i64toa(value);
}

NOLIBC_FN char *itoa(long value)
{
	return i64toa(value);
}

#endif
