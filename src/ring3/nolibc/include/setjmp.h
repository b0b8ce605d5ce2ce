#ifndef _NOLIBC_SETJMP_H
#define _NOLIBC_SETJMP_H

#include "nolibc/sys.h"

/* The two functions are assembler of the architecture, in sections that the linker keeps when used. */
#include "nolibc/jumps.h"

typedef struct {
	unsigned long long __registers[NOLIBC_JMP_WORDS] __attribute__((__aligned__(16)));
	unsigned long __mask[NOLIBC_SIGSET_BYTES / sizeof(long)];
	int __has_mask;
} jmp_buf[1];
typedef jmp_buf sigjmp_buf;

NOLIBC_BEGIN
extern int setjmp(jmp_buf) __attribute__((__returns_twice__));
extern void longjmp(jmp_buf, int) __attribute__((__noreturn__));
NOLIBC_END

#define setjmp(env) setjmp(env)
#define _setjmp(env) setjmp(env)
#define _longjmp(env, value) longjmp(env, value)

NOLIBC_FN void __nolibc_save_mask(jmp_buf env, int saves)
{
	env->__has_mask = saves;
	if (saves)
		__nolibc_call(__NR_rt_sigprocmask, 0, 0, NOLIBC_P(env->__mask), NOLIBC_SIGSET_BYTES);
}

/* A macro: what returns twice must be called where it returns to. */
#define sigsetjmp(env, saves) (__nolibc_save_mask(env, saves), setjmp(env))

NOLIBC_FN __attribute__((__noreturn__)) void siglongjmp(sigjmp_buf env, int value)
{
	if (env->__has_mask)
		__nolibc_call(__NR_rt_sigprocmask, NOLIBC_SIG_SETMASK, NOLIBC_P(env->__mask), 0,
			      NOLIBC_SIGSET_BYTES);
	longjmp(env, value);
}

#endif
