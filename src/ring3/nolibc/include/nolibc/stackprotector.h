/* The guard of -fstack-protector: random before main runs; a global, and where compilers look for it in the
 * thread's block (which here serves nothing else) there, too: -mstack-protector-guard leaves no trace. */
#ifndef NOLIBC_STACKPROTECTOR_H
#define NOLIBC_STACKPROTECTOR_H

#include "compiler.h"

#if defined(__SSP__) || defined(__SSP_STRONG__) || defined(__SSP_ALL__) || defined(__SSP_EXPLICIT__)
#define _NOLIBC_STACKPROTECTOR 1

NOLIBC_BEGIN
NOLIBC_VAR __UINTPTR_TYPE__ __stack_chk_guard;
#ifdef NOLIBC_GUARD_OFFSET
NOLIBC_VAR char __nolibc_thread[64] __attribute__((__aligned__(16)));
#endif
void __stack_chk_fail(void);
void __stack_chk_fail_local(void);

/* SIGABRT to ourselves, whatever a handler might want; no C below may trust the stack. */
NOLIBC_SHARED(stack_chk_fail) NOLIBC_NO_STACK_PROTECTOR __attribute__((__noreturn__))
void __stack_chk_fail(void)
{
	static const char text[] = "stack smashing detected\n";

	__nolibc_syscall3(__NR_write, 2, (__nolibc_word)(unsigned long)text, sizeof(text) - 1);
#ifdef __alpha__
	__nolibc_syscall2(__NR_kill, __nolibc_syscall0(__NR_getxpid), 6);
#else
	__nolibc_syscall2(__NR_kill, __nolibc_syscall0(__NR_getpid), 6);
#endif
	for (;;)
		__nolibc_syscall1(__NR_exit_group, 127);
}

NOLIBC_SHARED(stack_chk_fail_local) NOLIBC_NO_STACK_PROTECTOR __attribute__((__noreturn__))
void __stack_chk_fail_local(void)
{
	__stack_chk_fail();
}
NOLIBC_END

NOLIBC_INLINE NOLIBC_NO_STACK_PROTECTOR void __nolibc_protect_stack(void)
{
#ifdef NOLIBC_GUARD_OFFSET
	char *p;

#endif
	/* 1 is GRND_NONBLOCK: the first program after boot must not wait for randomness. */
	__nolibc_syscall3(__NR_getrandom, (__nolibc_word)(unsigned long)&__stack_chk_guard,
			  sizeof(__stack_chk_guard), 1);
	/* Without an answer there is the address of the stack, which is random, too. */
	__stack_chk_guard ^= (__UINTPTR_TYPE__)__builtin_frame_address(0);
	/* A zero byte stops strings from writing over the guard. */
	__stack_chk_guard &= ~(__UINTPTR_TYPE__)0xff;
#ifdef NOLIBC_GUARD_OFFSET
	p = __nolibc_thread - (NOLIBC_GUARD_OFFSET < 0 ? NOLIBC_GUARD_OFFSET : 0);
	__builtin_memcpy(p + NOLIBC_GUARD_OFFSET, &__stack_chk_guard, sizeof(__stack_chk_guard));
	NOLIBC_SET_THREAD(p);
#endif
}
#else
NOLIBC_INLINE void __nolibc_protect_stack(void)
{
}
#endif

#endif
