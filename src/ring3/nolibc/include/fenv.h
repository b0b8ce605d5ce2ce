/* The floating-point environment of x86, in the x87 unit and in SSE; elsewhere as C allows it to be
 * without exceptions: none can be raised, and rounding is to nearest. */
#ifndef _NOLIBC_FENV_H
#define _NOLIBC_FENV_H

#include "nolibc/compiler.h"

#if defined(__x86_64__) || defined(__i386__)
#define FE_INVALID 1
#define __FE_DENORM 2
#define FE_DIVBYZERO 4
#define FE_OVERFLOW 8
#define FE_UNDERFLOW 16
#define FE_INEXACT 32
#define FE_ALL_EXCEPT (FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW | FE_INEXACT)
#define FE_TONEAREST 0
#define FE_DOWNWARD 0x400
#define FE_UPWARD 0x800
#define FE_TOWARDZERO 0xc00

typedef unsigned short fexcept_t;
/* FSTENV's 28 bytes, then MXCSR. */
typedef struct {
	unsigned short __control, __pad0, __status, __pad1, __tags, __pad2;
	unsigned int __rest[4];
	unsigned int __mxcsr;
} fenv_t;
#define FE_DFL_ENV ((const fenv_t *)-1)

#if defined(__x86_64__) || defined(__SSE__)
NOLIBC_INLINE unsigned int __nolibc_mxcsr(void)
{
	unsigned int value;

	__asm__ volatile("stmxcsr %0" : "=m" (value));
	return value;
}

NOLIBC_INLINE void __nolibc_set_mxcsr(unsigned int value)
{
	__asm__ volatile("ldmxcsr %0" : : "m" (value));
}
#else
NOLIBC_INLINE unsigned int __nolibc_mxcsr(void)
{
	return 0;
}

NOLIBC_INLINE void __nolibc_set_mxcsr(unsigned int value)
{
	(void)value;
}
#endif

NOLIBC_INLINE unsigned short __nolibc_x87_control(void)
{
	unsigned short value;

	__asm__ volatile("fnstcw %0" : "=m" (value));
	return value;
}

NOLIBC_INLINE void __nolibc_set_x87_control(unsigned short value)
{
	__asm__ volatile("fldcw %0" : : "m" (value));
}

NOLIBC_FN int fegetenv(fenv_t *to)
{
	/* FNSTENV masks all exceptions, so that what it stored is loaded again. */
	__asm__ volatile("fnstenv %0\n\tfldenv %0" : "=m" (*to));
	to->__mxcsr = __nolibc_mxcsr();
	return 0;
}

NOLIBC_FN int fesetenv(const fenv_t *from)
{
	if (from == FE_DFL_ENV) {
		__asm__ volatile("fninit");
		__nolibc_set_mxcsr(0x1f80);
		return 0;
	}
	__asm__ volatile("fldenv %0" : : "m" (*from));
	__nolibc_set_mxcsr(from->__mxcsr);
	return 0;
}

NOLIBC_FN int fetestexcept(int which)
{
	unsigned short status;

	__asm__ volatile("fnstsw %0" : "=am" (status));
	return (int)(status | __nolibc_mxcsr()) & which & FE_ALL_EXCEPT;
}

NOLIBC_FN int feclearexcept(int which)
{
	fenv_t now;

	fegetenv(&now);
	now.__status = (unsigned short)(now.__status & ~(which & FE_ALL_EXCEPT));
	now.__mxcsr &= ~(unsigned int)(which & FE_ALL_EXCEPT);
	return fesetenv(&now);
}

NOLIBC_FN int feraiseexcept(int which)
{
	fenv_t now;

	fegetenv(&now);
	now.__status = (unsigned short)(now.__status | (which & FE_ALL_EXCEPT));
	now.__mxcsr |= (unsigned int)(which & FE_ALL_EXCEPT);
	fesetenv(&now);
	/* The x87 unit traps at the next instruction of its own, if at all. */
	__asm__ volatile("fwait");
	return 0;
}

NOLIBC_FN int fegetround(void)
{
	return __nolibc_x87_control() & 0xc00;
}

NOLIBC_FN int fesetround(int mode)
{
	if (mode & ~0xc00)
		return 1;
	__nolibc_set_x87_control((unsigned short)((__nolibc_x87_control() & ~0xc00) | mode));
	__nolibc_set_mxcsr((__nolibc_mxcsr() & ~0x6000u) | (unsigned int)mode << 3);
	return 0;
}

/* GNU's: a trap instead of a flag.  A set bit of either control word masks the trap. */
NOLIBC_FN int fegetexcept(void)
{
	return ~__nolibc_x87_control() & FE_ALL_EXCEPT;
}

NOLIBC_FN int feenableexcept(int which)
{
	int old = fegetexcept();

	which &= FE_ALL_EXCEPT;
	__nolibc_set_x87_control((unsigned short)(__nolibc_x87_control() & ~which));
	__nolibc_set_mxcsr(__nolibc_mxcsr() & ~((unsigned int)which << 7));
	return old;
}

NOLIBC_FN int fedisableexcept(int which)
{
	int old = fegetexcept();

	which &= FE_ALL_EXCEPT;
	__nolibc_set_x87_control((unsigned short)(__nolibc_x87_control() | which));
	__nolibc_set_mxcsr(__nolibc_mxcsr() | (unsigned int)which << 7);
	return old;
}

#else
#define FE_ALL_EXCEPT 0
#define FE_TONEAREST 0

NOLIBC_FN int fetestexcept(int which)
{
	(void)which;
	return 0;
}

NOLIBC_FN int feclearexcept(int which)
{
	(void)which;
	return 0;
}

NOLIBC_FN int fegetround(void)
{
	return FE_TONEAREST;
}

NOLIBC_FN int fesetround(int mode)
{
	return mode != FE_TONEAREST;
}
#endif

#endif
