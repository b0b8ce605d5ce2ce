/* What a format needs of printf's engine is known where printf is called, most often when compiling.
 *
 * A literal format is walked by the compiler; with its conversions the engine gets the code for them and
 * no more.  Real numbers are told by the classes of the arguments.  Formats that are no literals, or have
 * many conversions, and the v functions take everything but real numbers, or all.
 */
#ifndef NOLIBC_FORMAT_NEEDS_H
#define NOLIBC_FORMAT_NEEDS_H

#ifdef __clang__
/* With -fno-builtin Clang leaves the call below as it is. */
NOLIBC_BEGIN
size_t __nolibc_strcspn(const char *s, const char *set) __asm__("strcspn");
NOLIBC_SHARED(strcspn) size_t __nolibc_strcspn(const char *s, const char *set)
{
	size_t n = 0;

	while (s[n] && s[n] != *set)
		n++;
	return n;
}
NOLIBC_END
#endif

/* One conversion: n moves behind it.  By numbers and not by pointers: those GCC folds in one pass. */
#define NOLIBC_STEP                                                                              \
	n += __builtin_strcspn(f + n, "%");                                                      \
	if (!__builtin_constant_p(n))                                                            \
		goto unknown;                                                                    \
	if (!f[n])                                                                               \
		return;                                                                          \
	n++;                                                                                     \
	if (f[n] == 'l' || f[n] == 'j' || f[n] == 'z' || f[n] == 't') {                          \
		NOLIBC_WANT_NUMBERS();                                                           \
		n += f[n + 1] == 'l' ? 2 : 1;                                                    \
	}                                                                                        \
	if (f[n] == 'x' || f[n] == 'X' || f[n] == 'o')                                           \
		NOLIBC_WANT_NUMBERS();                                                           \
	else if (f[n] != 'd' && f[n] != 'i' && f[n] != 'u' && f[n] != 'c' && f[n] != 's' &&      \
		 f[n] != '%')                                                                    \
		goto unknown;                                                                    \
	n++

NOLIBC_INLINE void __nolibc_need(const char *f)
{
#ifdef __OPTIMIZE__
	size_t n = 0;

	if (!__builtin_constant_p(*f))
		goto unknown;
	NOLIBC_STEP;
	NOLIBC_STEP;
	NOLIBC_STEP;
	NOLIBC_STEP;
	NOLIBC_STEP;
	NOLIBC_STEP;
	NOLIBC_STEP;
	NOLIBC_STEP;
unknown:
#endif
	(void)f;
	NOLIBC_WANT_FIELDS();
}

NOLIBC_INLINE __attribute__((__format_arg__(1))) const char *NOLIBC_INTEGER_FORMAT(const char *format)
{
	__nolibc_need(format);
	return format;
}

#ifdef NOLIBC_NO_FLOAT
#define NOLIBC_NEEDS(f, args...) NOLIBC_INTEGER_FORMAT(f)
#else
/* 8 is the class of real types, in GCC and Clang alike; the argument is not evaluated. */
#define NOLIBC_R(x) || __builtin_classify_type(x) == 8
#define NOLIBC_R0()
#define NOLIBC_R1(a) NOLIBC_R(a)
#define NOLIBC_R2(a, ...) NOLIBC_R(a) NOLIBC_R1(__VA_ARGS__)
#define NOLIBC_R3(a, ...) NOLIBC_R(a) NOLIBC_R2(__VA_ARGS__)
#define NOLIBC_R4(a, ...) NOLIBC_R(a) NOLIBC_R3(__VA_ARGS__)
#define NOLIBC_R5(a, ...) NOLIBC_R(a) NOLIBC_R4(__VA_ARGS__)
#define NOLIBC_R6(a, ...) NOLIBC_R(a) NOLIBC_R5(__VA_ARGS__)
#define NOLIBC_R7(a, ...) NOLIBC_R(a) NOLIBC_R6(__VA_ARGS__)
#define NOLIBC_R8(a, ...) NOLIBC_R(a) NOLIBC_R7(__VA_ARGS__)
#define NOLIBC_R9(a, ...) NOLIBC_R(a) NOLIBC_R8(__VA_ARGS__)
#define NOLIBC_R10(a, ...) NOLIBC_R(a) NOLIBC_R9(__VA_ARGS__)
#define NOLIBC_R11(a, ...) NOLIBC_R(a) NOLIBC_R10(__VA_ARGS__)
#define NOLIBC_R12(a, ...) NOLIBC_R(a) NOLIBC_R11(__VA_ARGS__)
/* More arguments than these: as if one of them were. */
#define NOLIBC_RX(...) || 1
#define NOLIBC_R_(f, a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, v, w, x, y, n, ...) n
#define NOLIBC_ANY_REAL(f, args...)                                                              \
	NOLIBC_JOIN(NOLIBC_R, NOLIBC_R_(f, ##args, X, X, X, X, X, X, X, X, X, X, X, 12, 11, 10, \
					  9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0))(args)
#define NOLIBC_NEEDS(f, args...)                                                                 \
	(0 NOLIBC_ANY_REAL(f, ##args) ? NOLIBC_REAL_FORMAT(f) : NOLIBC_INTEGER_FORMAT(f))

NOLIBC_INLINE __attribute__((__format_arg__(1))) const char *NOLIBC_REAL_FORMAT(const char *format)
{
	NOLIBC_WANT_ALL();
	return format;
}
#endif

#define printf(f, args...) __nolibc_printf(NOLIBC_NEEDS(f, ##args), ##args)
#define dprintf(fd, f, args...) __nolibc_dprintf(fd, NOLIBC_NEEDS(f, ##args), ##args)
#define fprintf(to, f, args...) __nolibc_fprintf(to, NOLIBC_NEEDS(f, ##args), ##args)
#define sprintf(to, f, args...) __nolibc_sprintf(to, NOLIBC_NEEDS(f, ##args), ##args)
#define snprintf(to, size, f, args...) __nolibc_snprintf(to, size, NOLIBC_NEEDS(f, ##args), ##args)
#define asprintf(to, f, args...) __nolibc_asprintf(to, NOLIBC_NEEDS(f, ##args), ##args)

#endif
