/* A child on a stack of its own, which code that is no C function must enter. */
#ifndef NOLIBC_CLONE_H
#define NOLIBC_CLONE_H

#include "sys.h"
#include NOLIBC_CLONE_FILE

typedef void (*__nolibc_child_function)(void *, void *);

NOLIBC_BEGIN
void __nolibc_begin(long *stack);

/* Where the architecture's code leads; what __nolibc_clone has put on the stack is called. */
NOLIBC_SHARED(begin) NOLIBC_NO_STACK_PROTECTOR __attribute__((__used__, __noreturn__))
void __nolibc_begin(long *stack)
{
	((__nolibc_child_function)stack[0])((void *)stack[1], (void *)stack[2]);
	for (;;)
		__nolibc_syscall1(__NR_exit, 0);
}
NOLIBC_END

/* SPARC's kernel moves the child's stack, which finds it in the argument for the thread pointer. */
#ifdef NOLIBC_FORK2
#define NOLIBC_CHILD_BY_TLS 1
#else
#define NOLIBC_CHILD_BY_TLS 0
#endif

/* stack: where the child's begins, aligned or not.  The result is the kernel's. */
NOLIBC_FN __nolibc_word __nolibc_clone(int flags, void *stack, __nolibc_word parent_tid, __nolibc_word child_tid,
				       __nolibc_word tls, __nolibc_child_function function, void *a, void *b)
{
#if NOLIBC_STACK_GROWS_UP
	long *top = (long *)(((unsigned long)stack + 63) & ~63UL);
#else
	long *top = (long *)((unsigned long)stack & ~63UL) - 64 / sizeof(long);
#endif

	top[0] = (long)function;
	top[1] = (long)a;
	top[2] = (long)b;
	if (NOLIBC_CHILD_BY_TLS)
		tls = NOLIBC_P(top);
#if NOLIBC_CLONE_STACK_FIRST
	return __nolibc_clone5(__NR_clone, NOLIBC_P(top), flags, parent_tid, child_tid, tls);
#elif NOLIBC_CLONE_TLS_LAST
	return __nolibc_clone5(__NR_clone, flags, NOLIBC_P(top), parent_tid, child_tid, tls);
#else
	return __nolibc_clone5(__NR_clone, flags, NOLIBC_P(top), parent_tid, tls, child_tid);
#endif
}

#endif
