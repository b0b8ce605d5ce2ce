/* Ports of x86; other architectures have none that a program could use. */
#ifndef _NOLIBC_SYS_IO_H
#define _NOLIBC_SYS_IO_H

#if defined(__x86_64__) || defined(__i386__)
#include "../nolibc/sys.h"

NOLIBC_FN int iopl(int level)
{
	return NOLIBC_INT(__NR_iopl, level);
}

NOLIBC_FN int ioperm(unsigned long from, unsigned long count, int on)
{
	return NOLIBC_INT(__NR_ioperm, NOLIBC_P(from), NOLIBC_P(count), on);
}

#define NOLIBC_PORT(suffix, type, reg)                                                           \
	NOLIBC_INLINE type in##suffix(unsigned short port)                                       \
	{                                                                                        \
		type value;                                                                      \
		__asm__ volatile("in" #suffix " %w1, %" reg "0" : "=a" (value) : "Nd" (port));   \
		return value;                                                                    \
	}                                                                                        \
	NOLIBC_INLINE void out##suffix(type value, unsigned short port)                          \
	{                                                                                        \
		__asm__ volatile("out" #suffix " %" reg "0, %w1" : : "a" (value), "Nd" (port));  \
	}

NOLIBC_PORT(b, unsigned char, "b")
NOLIBC_PORT(w, unsigned short, "w")
NOLIBC_PORT(l, unsigned int, "")

#endif
#endif
