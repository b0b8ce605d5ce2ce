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

/* Where characters go: memory up to end, or, with a file descriptor, "buf" again and again. */
struct __nolibc_out {
	char *at, *end;
	int fd;
	int total; /* characters so far; negative once a write has failed */
	char buf[NOLIBC_OUT_SIZE];
};

/* Flags and lengths as bits, each at the place of its character's lowest five bits: they are distinct. */
#define NOLIBC_BIT(c) (1U << ((c) & 31))
#define NOLIBC_SPACE NOLIBC_BIT(' ')
#define NOLIBC_ALT NOLIBC_BIT('#')
#define NOLIBC_PLUS NOLIBC_BIT('+')
#define NOLIBC_LEFT NOLIBC_BIT('-')
#define NOLIBC_ZERO NOLIBC_BIT('0')
#define NOLIBC_FLAGS (NOLIBC_SPACE | NOLIBC_ALT | NOLIBC_PLUS | NOLIBC_LEFT | NOLIBC_ZERO)
#define NOLIBC_LENGTHS                                                                           \
	(NOLIBC_BIT('h') | NOLIBC_BIT('l') | NOLIBC_BIT('j') | NOLIBC_BIT('z') | NOLIBC_BIT('t') | \
	 NOLIBC_BIT('q'))
/* hh or ll; L has the bit of l and this one. */
#define NOLIBC_TWICE (1U << 31)

/* One conversion, as printf's %[flags][width][.precision][length]kind. */
struct __nolibc_spec {
	unsigned int flags;
	int width;
	int precision; /* negative where none is given */
	int kind;
};

/* Writes what a floating-point conversion gives; set only where doubles are printed. */
union __nolibc_real_value {
	double plain;
	long double wide; /* where the length is L */
};
typedef void (*__nolibc_real_format)(struct __nolibc_out *, struct __nolibc_spec *,
				     union __nolibc_real_value *);
static __nolibc_real_format __nolibc_format_real __attribute__((__unused__));

/* What the formats of a translation unit need beyond %s %c %d %i %u %%: format_needs.h sets these where
 * printf is called.  One that is never set is a constant to the compiler, which leaves out what it rules. */
static unsigned char __nolibc_wants_numbers __attribute__((__unused__)); /* l, ll, j, z, t, q; x, X, o */
static unsigned char __nolibc_wants_fields __attribute__((__unused__));  /* all but real numbers */
#define NOLIBC_NUMBERS (__nolibc_wants_numbers || __nolibc_wants_fields)

NOLIBC_FN void __nolibc_put(struct __nolibc_out *out, int c)
{
	out->total++;
	if (out->at == out->end) {
		if (out->fd < 0)
			return;
		if (__nolibc_write_all(out->fd, out->buf, out->at - out->buf))
			out->total = -__INT_MAX__;
		out->at = out->buf;
	}
	*out->at++ = (char)c;
}

NOLIBC_FN void __nolibc_repeat(struct __nolibc_out *out, int c, int n)
{
	while (n-- > 0)
		__nolibc_put(out, c);
}

/* %n: the count, as wide as the length says. */
NOLIBC_FN void __nolibc_count(void *to, unsigned int flags, int count)
{
	int twice = !!(flags & NOLIBC_TWICE);

	if (flags & (NOLIBC_BIT('j') | NOLIBC_BIT('q')) || (flags & NOLIBC_BIT('l') && twice))
		*(long long *)to = count;
	else if (flags & (NOLIBC_BIT('l') | NOLIBC_BIT('z') | NOLIBC_BIT('t')))
		*(long *)to = count;
	else if (!(flags & NOLIBC_BIT('h')))
		*(int *)to = count;
	else if (twice)
		*(signed char *)to = (signed char)count;
	else
		*(short *)to = (short)count;
}

NOLIBC_FN void __nolibc_format(struct __nolibc_out *out, const char *f, va_list ap)
{
	for (;;) {
		struct __nolibc_spec spec;
		const char *start = f, *body = f;
		int *number = &spec.width;
		char digits[24];
		int size, zeros = 0, c, base = 10;
		unsigned int prefix = 0;
		unsigned long long value;

		spec.flags = 0;
		spec.width = 0;
		spec.precision = -1;
		c = *f++;
		if (!c)
			return;
		if (c != '%') {
			while (*f && *f != '%')
				f++;
			size = (int)(f - body);
			goto emit;
		}
		for (;;) {
			unsigned int bit;

			c = *f++;
			bit = NOLIBC_BIT(c);
			if (__nolibc_wants_fields && c == '*') {
				*number = va_arg(ap, int);
			} else if (__nolibc_wants_fields && c == '.') {
				number = &spec.precision;
				*number = 0;
			} else if (__nolibc_wants_fields && (unsigned int)c - '0' < 10 &&
				   (c != '0' || *number || number != &spec.width)) {
				*number = *number * 10 + c - '0';
			} else if (NOLIBC_NUMBERS && c < 128 &&
				   (c & 64 ? NOLIBC_LENGTHS : __nolibc_wants_fields ? NOLIBC_FLAGS : 0) & bit) {
				if (c == 'L' || (c & 64 && spec.flags & bit))
					spec.flags |= NOLIBC_TWICE;
				spec.flags |= bit;
			} else {
				break;
			}
		}
		if (__nolibc_wants_fields && spec.width < 0) {
			spec.flags |= NOLIBC_LEFT;
			spec.width = -spec.width;
		}
		spec.kind = c;

		body = digits;
		size = 1;
		if (c == '%') {
			body = "%";
			spec.width = 0;
			goto emit;
		}
		if (c == 'c') {
			digits[0] = (char)va_arg(ap, int);
			goto emit;
		}
		if (c == 's') {
			body = va_arg(ap, const char *);
			if (!body) {
				body = "(null)";
				if ((unsigned int)spec.precision < 6)
					spec.precision = 0;
			}
			for (size = 0; size != spec.precision && body[size]; size++)
				NOLIBC_KEEP_LOOP();
			goto emit;
		}
		if (__nolibc_wants_fields && c == 'n') {
			__nolibc_count(va_arg(ap, void *), spec.flags, out->total);
			continue;
		}
		if (__nolibc_wants_fields && c == 'm') {
			value = (unsigned int)NOLIBC_ERRNO;
			if ((int)value < 0)
				value = -value & 0xffffffffU;
			goto digits;
		}
		if (__nolibc_format_real && (NOLIBC_BIT(c) & (NOLIBC_BIT('a') | NOLIBC_BIT('e') | NOLIBC_BIT('f') |
							      NOLIBC_BIT('g'))) && c & 64) {
			union __nolibc_real_value real;

			if (spec.flags & NOLIBC_TWICE)
				real.wide = va_arg(ap, long double);
			else
				real.plain = va_arg(ap, double);
			__nolibc_format_real(out, &spec, &real);
			continue;
		}

		if (__nolibc_wants_fields && c == 'p') {
			spec.flags |= NOLIBC_ALT | NOLIBC_BIT('l');
			c = 'x';
		}
		if (NOLIBC_NUMBERS && (c | 32) == 'x')
			base = 16;
		else if (NOLIBC_NUMBERS && c == 'o')
			base = 8;
		else if (__nolibc_wants_fields && c != 'd' && c != 'i' && c != 'u') {
			/* Unknown: the text as it stands. */
			if (!c)
				f--;
			body = start;
			size = (int)(f - start);
			spec.width = 0;
			goto emit;
		}
#if __SIZEOF_LONG__ == 8
		if (spec.flags & (NOLIBC_LENGTHS & ~NOLIBC_BIT('h'))) {
			value = va_arg(ap, unsigned long);
#else
		if (spec.flags & (NOLIBC_BIT('j') | NOLIBC_BIT('q')) ||
		    (spec.flags & (NOLIBC_BIT('l') | NOLIBC_TWICE)) == (NOLIBC_BIT('l') | NOLIBC_TWICE)) {
			value = va_arg(ap, unsigned long long);
#endif
		} else {
			unsigned int word = va_arg(ap, unsigned int), shift = 0;

			if (__nolibc_wants_fields && spec.flags & NOLIBC_BIT('h'))
				shift = spec.flags & NOLIBC_TWICE ? 24 : 16;
			word <<= shift;
			value = word >> shift;
			if (c == 'd' || c == 'i')
				value = (unsigned long long)(long long)((int)word >> shift);
		}
		if (c == 'd' || c == 'i') {
			if ((long long)value < 0) {
				prefix = '-';
				value = -value;
			} else if (__nolibc_wants_fields && spec.flags & NOLIBC_PLUS) {
				prefix = '+';
			} else if (__nolibc_wants_fields && spec.flags & NOLIBC_SPACE) {
				prefix = ' ';
			}
		} else if (__nolibc_wants_fields && base == 16 && value && spec.flags & NOLIBC_ALT) {
			prefix = (unsigned int)('0' | c << 8);
		}
		if (__nolibc_wants_fields && !value && spec.kind == 'p') {
			body = "(nil)";
			size = 5;
			goto emit;
		}
digits:
		if (NOLIBC_NEVER(NOLIBC_NUMBERS))
			body = __nolibc_decimal_word(digits + sizeof(digits), (unsigned int)value);
		else
			body = __nolibc_digits(digits + sizeof(digits), value, base,
#ifdef NOLIBC
					       "0123456789abcdef");
#else
					       c == 'X' ? "0123456789ABCDEF" : "0123456789abcdef");
#endif
		size = (int)(digits + sizeof(digits) - body);
		if (__nolibc_wants_fields && c == 'm') {
			char *at = (char *)body;

			if (NOLIBC_ERRNO < 0)
				*--at = '-';
			for (start = "=onrre"; *start; start++)
				*--at = *start;
			body = at;
			size = (int)(digits + sizeof(digits) - body);
			goto emit;
		}
		if (__nolibc_wants_fields) {
			int alt_octal = base == 8 && spec.flags & NOLIBC_ALT;

			zeros = spec.precision;
			if (zeros < 0 && (spec.flags & (NOLIBC_ZERO | NOLIBC_LEFT)) == NOLIBC_ZERO)
				zeros = spec.width - (prefix > 0) - (prefix > 255);
			if (alt_octal && value && zeros <= size)
				zeros = size + 1;
#ifdef NOLIBC
			/* The dialect of upstream's nolibc ends here, and its tests say so. */
			if (zeros > 31)
				zeros = 31;
#endif
			zeros -= size;
			if (zeros < 0)
				zeros = 0;
			if (!value && !spec.precision && !alt_octal)
				size = 0;
		}
emit:
		spec.width -= size + zeros + (prefix > 0) + (prefix > 255);
		if (__nolibc_wants_fields && !(spec.flags & NOLIBC_LEFT))
			__nolibc_repeat(out, ' ', spec.width);
		for (; prefix; prefix >>= 8)
			__nolibc_put(out, (int)prefix & 255);
		if (__nolibc_wants_fields)
			__nolibc_repeat(out, '0', zeros);
		while (size--)
			__nolibc_put(out, *body++);
		if (__nolibc_wants_fields && spec.flags & NOLIBC_LEFT)
			__nolibc_repeat(out, ' ', spec.width);
	}
}

/* As many bytes as there are from to to the end of memory. */
#define NOLIBC_NO_LIMIT(to) ((size_t)-1 - (size_t)(to))

#define NOLIBC_WANT_NUMBERS() ((void)(__nolibc_wants_numbers = 1))
#ifndef NOLIBC_NO_FLOAT
#include "real_text.h"
#endif

NOLIBC_INLINE void NOLIBC_WANT_FIELDS(void)
{
	__nolibc_wants_fields = 1;
	NOLIBC_WANT_ERRNO(); /* %m */
}

NOLIBC_INLINE void NOLIBC_WANT_ALL(void)
{
	NOLIBC_WANT_FIELDS();
#ifndef NOLIBC_NO_FLOAT
	__nolibc_format_real = __nolibc_real_text;
#endif
}

/* To a file descriptor: the number of characters, or -1 with errno. */
NOLIBC_FN int __nolibc_vdprintf(int fd, const char *format, va_list ap)
{
	struct __nolibc_out out;

	out.at = out.buf;
	out.end = out.buf + sizeof(out.buf);
	out.fd = fd;
	out.total = 0;
	__nolibc_format(&out, format, ap);
	if (__nolibc_write_all(fd, out.buf, out.at - out.buf) || out.total < 0)
		return -1;
	return out.total;
}

NOLIBC_FN NOLIBC_PRINTF(2, 3) int __nolibc_dprintf(int fd, const char *format, ...)
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

	out.at = to;
	out.end = size ? to + size - 1 : to;
	out.fd = -1;
	out.total = 0;
	__nolibc_format(&out, format, ap);
	if (size)
		*out.at = 0;
	return out.total;
}

#endif
