/* printf's %a %e %f %g. */
#ifndef NOLIBC_REAL_TEXT_H
#define NOLIBC_REAL_TEXT_H

#include "decimal.h"

/* Sign, prefix, zeros and spaces around size characters that "body" will write. */
struct __nolibc_frame {
	char prefix[3];
	int prefixed;
	int pad;
};

NOLIBC_FN void __nolibc_frame_begin(struct __nolibc_out *out, struct __nolibc_spec *spec,
				    struct __nolibc_frame *frame, int size, int zeros)
{
	int n;

	frame->pad = spec->width - size - frame->prefixed;
	if (!(spec->flags & NOLIBC_LEFT) && !(zeros && spec->flags & NOLIBC_ZERO))
		__nolibc_repeat(out, ' ', frame->pad);
	for (n = 0; n < frame->prefixed; n++)
		__nolibc_put(out, frame->prefix[n]);
	if (!(spec->flags & NOLIBC_LEFT) && zeros && spec->flags & NOLIBC_ZERO)
		__nolibc_repeat(out, '0', frame->pad);
}

NOLIBC_FN void __nolibc_frame_end(struct __nolibc_out *out, struct __nolibc_spec *spec,
				  struct __nolibc_frame *frame)
{
	if (spec->flags & NOLIBC_LEFT)
		__nolibc_repeat(out, ' ', frame->pad);
}

/* An exponent: its sign and at least "least" digits, into text; the number of characters. */
NOLIBC_FN int __nolibc_exponent_text(char *text, int value, int least)
{
	char digits[12], *at = digits + sizeof(digits);
	int n = 0;

	text[n++] = value < 0 ? '-' : '+';
	at = __nolibc_digits(at, (unsigned long long)(value < 0 ? -value : value), 10, "0123456789");
	while (digits + sizeof(digits) - at < least)
		*--at = '0';
	while (at < digits + sizeof(digits))
		text[n++] = *at++;
	return n;
}

NOLIBC_FN void __nolibc_hex_real(struct __nolibc_out *out, struct __nolibc_spec *spec,
				 struct __nolibc_frame *frame, struct __nolibc_real *from)
{
	const char *alphabet = spec->kind == 'a' ? "0123456789abcdef" : "0123456789ABCDEF";
	unsigned char digit[33];
	char exponent[14];
	int n, width, last, size, bits, places;

	frame->prefix[frame->prefixed++] = '0';
	frame->prefix[frame->prefixed++] = spec->kind == 'a' ? 'x' : 'X';
	for (n = 0; n < 32; n++)
		digit[n] = (unsigned char)(from->mantissa[n / 8] >> n % 8 * 4 & 15);
	/* The first digit holds one bit (double), four (64 bits of mantissa) or one (113). */
	bits = spec->flags & NOLIBC_TWICE ? NOLIBC_LONG_BITS : 53;
	width = (bits - 1) / 4;
	/* Two doubles: as many digits as both have. */
	if (spec->flags & NOLIBC_TWICE && __LDBL_MANT_DIG__ == 106)
		width = 29;
	for (n = 31; n >= 0 && !digit[n]; n--)
		;
	if (n < 0) {
		from->exponent = 0;
		width = 0;
	} else {
		from->exponent += 4 * width;
	}
	places = spec->precision;
	if (places < 0 || places > width) {
		for (last = 0; last < width && !digit[last]; last++)
			;
		size = places < 0 ? width - last : places;
	} else {
		/* Round the digits below the cut, a tie to even. */
		int below = width - places, sticky = 0, half;

		for (n = 0; n < below - 1; n++)
			sticky |= digit[n];
		half = below ? digit[below - 1] : 0;
		if (half > 8 || (half == 8 && (sticky || digit[below] & 1)))
			for (n = below; ++digit[n] > 15 && n < width; n++)
				digit[n] = 0;
		last = below;
		size = places;
	}
	n = 1;
	exponent[0] = spec->kind == 'a' ? 'p' : 'P';
	n += __nolibc_exponent_text(exponent + 1, from->exponent, 1);
	__nolibc_frame_begin(out, spec, frame, 1 + (size || spec->flags & NOLIBC_ALT) + size + n, 1);
	__nolibc_put(out, alphabet[digit[width] & 15]);
	if (size || spec->flags & NOLIBC_ALT)
		__nolibc_put(out, '.');
	for (places = 0; places < size; places++)
		__nolibc_put(out, places < width ? alphabet[digit[width - 1 - places]] : '0');
	for (places = 0; places < n; places++)
		__nolibc_put(out, exponent[places]);
	__nolibc_frame_end(out, spec, frame);
}

NOLIBC_FN void __nolibc_real_parts(struct __nolibc_out *out, struct __nolibc_spec *spec, struct __nolibc_real *from)
{
	struct __nolibc_decimal a;
	struct __nolibc_frame frame;
	int kind = spec->kind | 32, upper = !(spec->kind & 32);
	int precision = spec->precision < 0 ? 6 : spec->precision;
	int whole, places, exponent, n, size, strips = 0, dot;
	char tail[14];

	frame.prefixed = 0;
	if (from->negative)
		frame.prefix[frame.prefixed++] = '-';
	else if (spec->flags & NOLIBC_PLUS)
		frame.prefix[frame.prefixed++] = '+';
	else if (spec->flags & NOLIBC_SPACE)
		frame.prefix[frame.prefixed++] = ' ';
	if (from->kind) {
		const char *text = from->kind == 1 ? (upper ? "INF" : "inf") : (upper ? "NAN" : "nan");

		__nolibc_frame_begin(out, spec, &frame, 3, 0);
		while (*text)
			__nolibc_put(out, *text++);
		__nolibc_frame_end(out, spec, &frame);
		return;
	}
	if (kind == 'a') {
		__nolibc_hex_real(out, spec, &frame, from);
		return;
	}
	__nolibc_to_decimal(from, &a);
	if (kind == 'g') {
		if (!precision)
			precision = 1;
		__nolibc_round(&a, precision);
		exponent = a.n ? a.point - 1 : 0;
		kind = exponent < -4 || exponent >= precision ? 'e' : 'f';
		precision -= kind == 'e' ? 1 : exponent + 1;
		strips = !(spec->flags & NOLIBC_ALT);
	} else {
		__nolibc_round(&a, kind == 'e' ? precision + 1 : a.point + precision);
		exponent = a.n ? a.point - 1 : 0;
	}
	/* whole digits before the dot; places behind it. */
	whole = kind == 'e' ? 1 : a.n && a.point > 0 ? a.point : 0;
	places = precision;
	if (strips) {
		n = kind == 'e' ? a.n - 1 : a.n - a.point;
		if (!a.n || n < 0)
			n = 0;
		if (places > n)
			places = n;
	}
	dot = places > 0 || spec->flags & NOLIBC_ALT;
	n = 0;
	if (kind == 'e') {
		tail[n++] = upper ? 'E' : 'e';
		n += __nolibc_exponent_text(tail + n, exponent, 2);
	}
	size = (whole ? whole : 1) + !!dot + places + n;
	__nolibc_frame_begin(out, spec, &frame, size, 1);
	if (kind == 'e') {
		/* One digit is before the dot, whatever the point. */
		a.point = 1;
	}
	for (size = 0; size < whole; size++)
		__nolibc_put(out, size < a.n ? '0' + a.d[size] : '0');
	if (!whole)
		__nolibc_put(out, '0');
	if (dot)
		__nolibc_put(out, '.');
	for (size = 0; size < places; size++) {
		int at = a.point + size;

		__nolibc_put(out, at >= 0 && at < a.n ? '0' + a.d[at] : '0');
	}
	for (size = 0; size < n; size++)
		__nolibc_put(out, tail[size]);
	__nolibc_frame_end(out, spec, &frame);
}

NOLIBC_FN void __nolibc_real_text(struct __nolibc_out *out, struct __nolibc_spec *spec,
				  union __nolibc_real_value *value)
{
	struct __nolibc_real parts;

	if (spec->flags & NOLIBC_TWICE)
		__nolibc_take_long(&value->wide, &parts);
	else
		__nolibc_take_double(value->plain, &parts);
	__nolibc_real_parts(out, spec, &parts);
}

#endif
