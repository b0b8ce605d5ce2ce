/* Doubles in printf, paid for by those who print them.
 *
 * Whether an argument is a floating-point number is known where printf is called, so that is where the
 * engine gets the code for them.  The v functions cannot know and take it always.
 */
#ifndef NOLIBC_FORMAT_REAL_H
#define NOLIBC_FORMAT_REAL_H

#ifndef NOLIBC_NO_FLOAT
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
#define NOLIBC_REAL_IN(f, args...) (0 NOLIBC_ANY_REAL(f, ##args) ? NOLIBC_REAL_FORMAT(f) : (f))

NOLIBC_INLINE __attribute__((__format_arg__(1))) const char *NOLIBC_REAL_FORMAT(const char *format)
{
	NOLIBC_WANT_REAL();
	return format;
}

#define printf(f, args...) printf(NOLIBC_REAL_IN(f, ##args), ##args)
#define dprintf(fd, f, args...) dprintf(fd, NOLIBC_REAL_IN(f, ##args), ##args)
#define fprintf(to, f, args...) fprintf(to, NOLIBC_REAL_IN(f, ##args), ##args)
#define sprintf(to, f, args...) sprintf(to, NOLIBC_REAL_IN(f, ##args), ##args)
#define snprintf(to, size, f, args...) snprintf(to, size, NOLIBC_REAL_IN(f, ##args), ##args)
#define asprintf(to, f, args...) asprintf(to, NOLIBC_REAL_IN(f, ##args), ##args)
#endif

#endif
