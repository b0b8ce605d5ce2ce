/* printf's engine: a format and its arguments to characters. */
#ifndef NOLIBC_FORMAT_H
#define NOLIBC_FORMAT_H

#include "file.h"
#include "../stdarg.h"
#include "../string.h"
#include "integers.h"

#ifndef NOLIBC_OUT_SIZE
#define NOLIBC_OUT_SIZE 128
#endif

/* Where characters go: memory up to end, or, with a file descriptor, that memory again and again. */
struct __nolibc_out {
	char *at, *end, *buf;
	int fd;
	int total;
	int failed;
};

enum {
	NOLIBC_LEFT = 1,
	NOLIBC_PLUS = 2,
	NOLIBC_SPACE = 4,
	NOLIBC_ALT = 8,
	NOLIBC_ZERO = 16
};

/* One conversion, as printf's %[flags][width][.precision][length]kind. */
struct __nolibc_spec {
	int flags;
	int width;
	int precision; /* -1 where none is given */
	char length;   /* of hh (H), h, l, ll (q), j, z, t, L or 0 */
	char kind;
};

/* Writes what a floating-point conversion gives; set only where doubles are printed. */
union __nolibc_real_value {
	double plain;
	long double wide; /* where the length is L */
};
typedef void (*__nolibc_real_format)(struct __nolibc_out *, struct __nolibc_spec *, union __nolibc_real_value *);
static __nolibc_real_format __nolibc_format_real __attribute__((__unused__));

NOLIBC_FN void __nolibc_flush(struct __nolibc_out *out)
{
	if (__nolibc_write_all(out->fd, out->buf, out->at - out->buf))
		out->failed = 1;
	out->at = out->buf;
}

NOLIBC_FN void __nolibc_put(struct __nolibc_out *out, int c)
{
	out->total++;
	if (out->at == out->end) {
		if (out->fd < 0)
			return;
		__nolibc_flush(out);
	}
	*out->at++ = (char)c;
}

NOLIBC_FN void __nolibc_repeat(struct __nolibc_out *out, int c, int n)
{
	while (n-- > 0)
		__nolibc_put(out, c);
}

NOLIBC_FN int __nolibc_format(struct __nolibc_out *out, const char *f, va_list ap)
{
	int saved_errno = errno;

	for (; *f; f++) {
		struct __nolibc_spec spec;
		const char *start = f, *body, *flag;
		static const char flags[] = "-+ #0";
		char digits[24], prefix[2];
		int size, prefixed = 0, zeros = 0, pad;

		if (*f != '%') {
			__nolibc_put(out, *f);
			continue;
		}
		spec.flags = 0;
		while (*++f && (flag = strchr(flags, *f)))
			spec.flags |= 1 << (flag - flags);
		spec.width = 0;
		spec.precision = -1;
		for (;;) {
			int number = 0;

			if (*f == '*') {
				number = va_arg(ap, int);
				f++;
			} else {
				while (*f >= '0' && *f <= '9')
					number = number * 10 + *f++ - '0';
			}
			if (spec.precision != -1) {
				spec.precision = number < 0 ? -1 : number;
				break;
			}
			spec.width = number;
			if (*f != '.')
				break;
			f++;
			spec.precision = 0;
		}
		if (spec.width < 0) {
			spec.flags |= NOLIBC_LEFT;
			spec.width = -spec.width;
		}
		spec.length = 0;
		while (*f && strchr("hljztLq", *f)) {
			/* Twice the same letter is another length. */
			spec.length = spec.length == *f ? (*f == 'h' ? 'H' : 'q') : *f;
			f++;
		}
		spec.kind = *f;

		body = digits + sizeof(digits);
		size = 0;
		if (*f == '%') {
			__nolibc_put(out, '%');
			continue;
		} else if (*f == 'c') {
			digits[0] = (char)va_arg(ap, int);
			body = digits;
			size = 1;
		} else if (*f == 'm') {
			strcpy(digits, "errno=");
			size = 6 + (int)i64toa_r(saved_errno, digits + 6);
			body = digits;
		} else if (*f == 's') {
			body = va_arg(ap, const char *);
			if (!NOLIBC_TRACED(body)) {
				body = "(null)";
				if ((unsigned int)spec.precision < 6)
					spec.precision = 0;
			}
			size = (int)strnlen(body, spec.precision < 0 ? (size_t)-1 >> 1 : (size_t)spec.precision);
		} else if (__nolibc_format_real && *f && strchr("aAeEfFgG", *f)) {
			union __nolibc_real_value value;

			if (spec.length == 'L')
				value.wide = va_arg(ap, long double);
			else
				value.plain = va_arg(ap, double);
			__nolibc_format_real(out, &spec, &value);
			continue;
		} else if (*f && strchr("diouxXp", *f)) {
			unsigned long long value;
			int base = *f == 'o' ? 8 : *f == 'x' || *f == 'X' || *f == 'p' ? 16 : 10;
			int is_signed = *f == 'd' || *f == 'i';
			const char *alphabet = "0123456789abcdef";

			if (*f == 'p' || spec.length == 'z' || spec.length == 't' || spec.length == 'l') {
				unsigned long word = va_arg(ap, unsigned long);

				value = is_signed ? (unsigned long long)(long)word : word;
			} else if (spec.length == 'j' || spec.length == 'q' || spec.length == 'L') {
				value = va_arg(ap, unsigned long long);
			} else {
				int word = va_arg(ap, int);

				if (spec.length == 'H')
					word = is_signed ? (signed char)word : (unsigned char)word;
				else if (spec.length == 'h')
					word = is_signed ? (short)word : (unsigned short)word;
				value = is_signed ? (unsigned long long)word : (unsigned int)word;
			}
			if (*f == 'p') {
				spec.flags |= NOLIBC_ALT;
				if (!value) {
					body = "(nil)";
					size = 5;
				}
			}
#ifndef NOLIBC
			if (*f == 'X')
				alphabet = "0123456789ABCDEF";
#endif
			if (is_signed) {
				prefix[0] = spec.flags & NOLIBC_PLUS ? '+' : ' ';
				if ((long long)value < 0) {
					prefix[0] = '-';
					value = -value;
					prefixed = 1;
				} else {
					prefixed = !!(spec.flags & (NOLIBC_PLUS | NOLIBC_SPACE));
				}
			} else if (base == 16 && value && NOLIBC_TRACED(spec.flags) & NOLIBC_ALT) {
				prefix[0] = '0';
				prefix[1] = *f == 'p' ? 'x' : *f;
				prefixed = 2;
			}
			if (!size) {
				body = __nolibc_digits(digits + sizeof(digits), value, base, alphabet);
				size = (int)(digits + sizeof(digits) - body);
				zeros = spec.precision < 0 ? 1 : spec.precision;
				if (base == 8 && spec.flags & NOLIBC_ALT && zeros <= size)
					zeros = size + 1;
				if (spec.precision < 0 && (spec.flags & (NOLIBC_ZERO | NOLIBC_LEFT)) == NOLIBC_ZERO
				    && spec.width - prefixed > zeros)
					zeros = spec.width - prefixed;
#ifdef NOLIBC
				/* The dialect of upstream's nolibc ends here, and its tests say so. */
				if (zeros > 31)
					zeros = 31;
#endif
				zeros -= size;
				if (zeros < 0)
					zeros = 0;
			}
		} else {
			/* Unknown: the text as it stands. */
			for (; start < f; start++)
				__nolibc_put(out, *start);
			if (!*f)
				break;
			__nolibc_put(out, *f);
			continue;
		}

		pad = spec.width - size - prefixed - zeros;
		if (!(NOLIBC_TRACED(spec.flags) & NOLIBC_LEFT))
			__nolibc_repeat(out, ' ', pad);
		for (start = prefix; prefixed--; start++)
			__nolibc_put(out, *start);
		__nolibc_repeat(out, '0', zeros);
		while (size--)
			__nolibc_put(out, *body++);
		if (NOLIBC_TRACED(spec.flags) & NOLIBC_LEFT)
			__nolibc_repeat(out, ' ', pad);
	}
	return out->total;
}

/* As many bytes as there are from to to the end of memory. */
#define NOLIBC_NO_LIMIT(to) ((size_t)-1 - (size_t)(to))

#ifdef NOLIBC_NO_FLOAT
#define NOLIBC_WANT_REAL() ((void)0)
#else
#include "real_text.h"
#define NOLIBC_WANT_REAL() ((void)(__nolibc_format_real = __nolibc_real_text))
#endif

/* To a file descriptor: the number of characters, or -1 with errno. */
NOLIBC_FN int __nolibc_vdprintf(int fd, const char *format, va_list ap)
{
	char buf[NOLIBC_OUT_SIZE];
	struct __nolibc_out out;

	out.at = out.buf = buf;
	out.end = buf + sizeof(buf);
	out.fd = fd;
	out.total = out.failed = 0;
	__nolibc_format(&out, format, ap);
	__nolibc_flush(&out);
	return NOLIBC_TRACED(out.failed) ? -1 : out.total;
}

NOLIBC_FN int __nolibc_dprintf(int fd, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = __nolibc_vdprintf(fd, format, ap);
	va_end(ap);
	return n;
}

NOLIBC_FN int __nolibc_vsnprintf(char *to, size_t size, const char *format, va_list ap)
{
	struct __nolibc_out out;

	out.at = out.buf = to;
	out.end = size ? to + size - 1 : to;
	out.fd = -1;
	out.total = out.failed = 0;
	__nolibc_format(&out, format, ap);
	if (size)
		*out.at = 0;
	return out.total;
}

#endif
