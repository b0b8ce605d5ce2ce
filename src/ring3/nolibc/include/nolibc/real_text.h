#ifndef NOLIBC_REAL_TEXT_H
#define NOLIBC_REAL_TEXT_H
NOLIBC_FN void __nolibc_real_text(struct __nolibc_out *out, struct __nolibc_spec *spec, long double value)
{
	(void)out; (void)spec; (void)value;
}
#endif
