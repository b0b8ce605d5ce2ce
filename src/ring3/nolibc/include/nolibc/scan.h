/* scanf's engine and its functions, from strings and from streams. */
#ifndef NOLIBC_SCAN_H
#define NOLIBC_SCAN_H

#include "stream.h"
#include "real_scan.h"

/* Where characters come from: a string, or a stream of which one is read ahead. */
struct __nolibc_in {
	const char *at; /* NULL: the stream */
	FILE *stream;
	int count;      /* characters taken so far */
};

NOLIBC_FN int __nolibc_get(struct __nolibc_in *in)
{
	int c;

	if (in->at)
		c = *in->at ? (unsigned char)*in->at++ : EOF;
	else
		c = fgetc(in->stream);
	if (c != EOF)
		in->count++;
	return c;
}

NOLIBC_FN void __nolibc_unget(struct __nolibc_in *in, int c)
{
	if (c == EOF)
		return;
	in->count--;
	if (in->at)
		in->at--;
	else
		ungetc(c, in->stream);
}

/* Whether c continues the number in text: a sign first, a prefix, digits of the base. */
NOLIBC_FN int __nolibc_number_goes_on(const char *text, int n, int c, int base)
{
	int first = n > 0 && (*text == '+' || *text == '-');
	int digits = n - first;

	if (c == '+' || c == '-')
		return !n;
	if ((c | 32) == 'x')
		return digits == 1 && text[first] == '0' && (base == 0 || base == 16);
	if (base == 0)
		base = digits > 1 && (text[first + 1] | 32) == 'x' ? 16 : digits && text[first] == '0' ? 8 : 10;
	if (c >= '0' && c <= '9')
		return c - '0' < base;
	return isalpha(c) && (c | 32) - 'a' + 10 < base;
}

/* The set of %[...]: bits of characters.  f is behind the bracket; behind the closing one afterwards. */
NOLIBC_FN const char *__nolibc_set(const char *f, unsigned char set[32])
{
	int inverted = *f == '^', c;
	const char *first;

	memset(set, inverted ? 0xff : 0, 32);
	f += inverted;
	for (first = f; *f && (*f != ']' || f == first); f++) {
		int last = (unsigned char)*f;

		c = last;
		if (f[1] == '-' && f[2] && f[2] != ']') {
			last = (unsigned char)f[2];
			f += 2;
		}
		for (; c <= last; c++) {
			if (inverted)
				set[c / 8] &= (unsigned char)~(1 << c % 8);
			else
				set[c / 8] |= (unsigned char)(1 << c % 8);
		}
	}
	return *f ? f + 1 : f;
}

NOLIBC_FN void __nolibc_store(void *to, char length, unsigned long long value)
{
	if (length == 'H')
		*(char *)to = (char)value;
	else if (length == 'h')
		*(short *)to = (short)value;
	else if (length == 'l' || length == 'z' || length == 't')
		*(long *)to = (long)value;
	else if (length == 'q' || length == 'j' || length == 'L')
		*(long long *)to = (long long)value;
	else
		*(int *)to = (int)value;
}

NOLIBC_FN int __nolibc_scan(struct __nolibc_in *in, const char *f, va_list ap)
{
	int filled = 0, c = 0, read = 0;

	while (*f) {
		int width = 0, skip = 0, base, n = 0, keeps = 0, is_set;
		char length = 0, kind, text[512], *to = NULL;
		unsigned char set[32];

		if (isspace((unsigned char)*f)) {
			while (isspace((unsigned char)*f))
				f++;
			while (isspace(c = __nolibc_get(in)))
				;
			__nolibc_unget(in, c);
			continue;
		}
		if (*f != '%' || f[1] == '%') {
			if (*f == '%') {
				f++;
				while (isspace(c = __nolibc_get(in)))
					;
			} else {
				c = __nolibc_get(in);
			}
			if (c != (unsigned char)*f) {
				__nolibc_unget(in, c);
				goto end;
			}
			f++;
			continue;
		}
		f++;
		if (*f == '*') {
			skip = 1;
			f++;
		}
		while (*f >= '0' && *f <= '9')
			width = width * 10 + *f++ - '0';
		if (*f == 'm') {
			keeps = 1;
			f++;
		}
		while (*f && __nolibc_strchr("hljztLq", *f)) {
			length = length == *f ? (*f == 'h' ? 'H' : 'q') : *f;
			f++;
		}
		kind = *f;
		if (kind)
			f++;

		if (kind == 'n') {
			if (!skip)
				__nolibc_store(va_arg(ap, void *), length, (unsigned long long)in->count);
			continue;
		}
		if (kind != 'c' && kind != '[') {
			while (isspace(c = __nolibc_get(in)))
				;
			__nolibc_unget(in, c);
		}
		if (kind == 'c' || kind == 's' || kind == '[') {
			size_t room = 0;
			char **made = NULL;

			is_set = kind == '[';
			if (is_set)
				f = __nolibc_set(f, set);
			if (!width)
				width = kind == 'c' ? 1 : 0x7fffffff;
			if (!skip && keeps) {
				made = va_arg(ap, char **);
				*made = NULL;
			} else if (!skip) {
				to = va_arg(ap, char *);
			}
			for (; n < width; n++) {
				c = __nolibc_get(in);
				if (c == EOF || (kind == 's' && isspace(c)) ||
				    (is_set && !(set[c / 8] & 1 << c % 8))) {
					__nolibc_unget(in, c);
					break;
				}
				if (made && (size_t)n + 2 > room) {
					char *more = (char *)realloc(to, room = room ? room * 2 : 32);

					if (!more) {
						free(to);
						return filled ? filled : EOF;
					}
					*made = to = more;
				}
				if (to)
					to[n] = (char)c;
			}
			if (!n || (kind == 'c' && n < width))
				goto end;
			if (to && kind != 'c')
				to[n] = 0;
			else if (made)
				to[n] = 0;
		} else if (kind && __nolibc_strchr("aAeEfFgG", kind)) {
			if (!width || width > (int)sizeof(text) - 1)
				width = sizeof(text) - 1;
			while (n < width && (c = __nolibc_get(in)) != EOF) {
				if (!__nolibc_real_goes_on(text, n, c)) {
					__nolibc_unget(in, c);
					break;
				}
				text[n++] = (char)c;
			}
			text[n] = 0;
			read = n;
			if (!n || !__nolibc_real_store(text, skip ? NULL : va_arg(ap, void *), length))
				goto end;
		} else if (kind && __nolibc_strchr("diouxXp", kind)) {
			unsigned long long value;

			base = kind == 'i' ? 0 : kind == 'o' ? 8 : kind == 'd' || kind == 'u' ? 10 : 16;
			if (kind == 'p')
				length = 'l';
			if (!width || width > (int)sizeof(text) - 1)
				width = sizeof(text) - 1;
			while (n < width && (c = __nolibc_get(in)) != EOF) {
				if (!__nolibc_number_goes_on(text, n, c, base)) {
					__nolibc_unget(in, c);
					break;
				}
				text[n++] = (char)c;
			}
			text[n] = 0;
			read = n;
			if (!n || ((text[n - 1] == '+' || text[n - 1] == '-')))
				goto end;
			/* A prefix without digits is one character too many, too late to give back. */
			if (kind == 'd' || (kind == 'i' && length != 'j'))
				value = (unsigned long long)__nolibc_strtox(
					text, NULL, base, length == 'l' || length == 'z' || length == 't' ?
					LONG_MAX : LLONG_MAX, 1);
			else
				value = __nolibc_strtox(text, NULL, base, ULLONG_MAX, 0);
			if (!skip)
				__nolibc_store(va_arg(ap, void *), length, value);
		} else {
			return filled;
		}
		if (!skip)
			filled++;
	}
	return filled;
end:
	/* The end of input before anything was converted, or was read for it. */
	return !filled && c == EOF && !read ? EOF : filled;
}

NOLIBC_FN __attribute__((__format__(__scanf__, 2, 0)))
int vsscanf(const char *s, const char *format, va_list ap)
{
	struct __nolibc_in in;

	in.at = s;
	in.stream = NULL;
	in.count = 0;
	return __nolibc_scan(&in, format, ap);
}

NOLIBC_FN __attribute__((__format__(__scanf__, 2, 0)))
int vfscanf(FILE *stream, const char *format, va_list ap)
{
	struct __nolibc_in in;

	in.at = NULL;
	in.stream = stream;
	in.count = 0;
	return __nolibc_scan(&in, format, ap);
}

NOLIBC_FN __attribute__((__format__(__scanf__, 2, 3))) int sscanf(const char *s, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsscanf(s, format, ap);
	va_end(ap);
	return n;
}

NOLIBC_FN __attribute__((__format__(__scanf__, 2, 3))) int fscanf(FILE *stream, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vfscanf(stream, format, ap);
	va_end(ap);
	return n;
}

NOLIBC_FN __attribute__((__format__(__scanf__, 1, 2))) int scanf(const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vfscanf(NOLIBC_STREAM(0), format, ap);
	va_end(ap);
	return n;
}

#endif
