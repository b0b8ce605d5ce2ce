/* Any system call by its number. */
#ifndef NOLIBC_SYSCALL_H
#define NOLIBC_SYSCALL_H

#include "sys.h"

/* The result itself, errors negative. */
#define _syscall(...) __nolibc_call(NOLIBC_ARGUMENTS(__VA_ARGS__))
#define syscall(...) __nolibc_ret(__nolibc_call(NOLIBC_ARGUMENTS(__VA_ARGS__)))

#define NOLIBC_ARGUMENTS(...) NOLIBC_JOIN(NOLIBC_ARGUMENTS, NOLIBC_COUNT(__VA_ARGS__))(__VA_ARGS__)
#define NOLIBC_ARGUMENTS0(n) n
#define NOLIBC_ARGUMENTS1(n, a) n, NOLIBC_W(a)
#define NOLIBC_ARGUMENTS2(n, a, b) n, NOLIBC_W(a), NOLIBC_W(b)
#define NOLIBC_ARGUMENTS3(n, a, b, c) n, NOLIBC_W(a), NOLIBC_W(b), NOLIBC_W(c)
#define NOLIBC_ARGUMENTS4(n, a, b, c, d) n, NOLIBC_W(a), NOLIBC_W(b), NOLIBC_W(c), NOLIBC_W(d)
#define NOLIBC_ARGUMENTS5(n, a, b, c, d, e) \
	n, NOLIBC_W(a), NOLIBC_W(b), NOLIBC_W(c), NOLIBC_W(d), NOLIBC_W(e)
#define NOLIBC_ARGUMENTS6(n, a, b, c, d, e, f) \
	n, NOLIBC_W(a), NOLIBC_W(b), NOLIBC_W(c), NOLIBC_W(d), NOLIBC_W(e), NOLIBC_W(f)
#if __SIZEOF_LONG__ != 4 || NOLIBC_PAIRS || defined(__cplusplus)
#define NOLIBC_W(x) ((__nolibc_word)(x))
#else
/* x32, mips n32: a 64-bit integer stays one, and a pointer is not extended by its sign. */
#define NOLIBC_IF(condition, x) __builtin_choose_expr(condition, (x), 0)
#define NOLIBC_IS_POINTER(x) (__builtin_classify_type(x) == 5)
#define NOLIBC_W(x)                                                                              \
	(sizeof(x) == 8	      ? (__nolibc_word)NOLIBC_IF(sizeof(x) == 8, x) :                    \
	 NOLIBC_IS_POINTER(x) ? (__nolibc_word)(unsigned long)NOLIBC_IF(NOLIBC_IS_POINTER(x), x) : \
				(__nolibc_word)NOLIBC_IF(sizeof(x) < 8 && !NOLIBC_IS_POINTER(x), x))
#endif

#endif
