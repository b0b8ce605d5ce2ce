/* From the kernel's entry to main and from there to exit.
 *
 * Each header includes this one, so that a program that includes any header has its entry.  What a
 * program does not ask for is not here: environ and the auxiliary vector are saved by an entry of
 * .init_array that the headers which offer them add (see saved.h), and atexit works through
 * .fini_array.
 */
#ifndef NOLIBC_START_H
#define NOLIBC_START_H

#include "compiler.h"
#include "arch.h"
#include <asm/unistd.h>
#include "stackprotector.h"

typedef void (*__nolibc_init)(int, char **, char **);
typedef void (*__nolibc_fini)(void);

NOLIBC_BEGIN
/* Another name for main, whose parameters are the program's own affair. */
extern int __nolibc_main(int, char **, char **) __asm__("main");
extern __nolibc_init const __init_array_start[] __attribute__((__visibility__("hidden")));
extern __nolibc_init const __init_array_end[] __attribute__((__visibility__("hidden")));
extern __nolibc_fini const __fini_array_start[] __attribute__((__visibility__("hidden")));
extern __nolibc_fini const __fini_array_end[] __attribute__((__visibility__("hidden")));
void __nolibc_start(long *stack);

NOLIBC_FN __attribute__((__noreturn__)) void _exit(int status)
{
	__nolibc_syscall1(__NR_exit_group, status);
	__builtin_unreachable();
}

NOLIBC_FN __attribute__((__noreturn__)) void exit(int status)
{
#ifndef NOLIBC_NO_CONSTRUCTORS
	__nolibc_fini const *at = __fini_array_end;

	while (at != __fini_array_start)
		(*--at)();
#endif
	_exit(status);
}

/* stack points at argc; argv, the environment and the auxiliary vector follow.  Computed at each call:
 * that is shorter than registers kept for them. */
#define NOLIBC_CALL(function)                                                                    \
	(function)((int)*stack, (char **)(stack + 1), (char **)(stack + *stack + 2))

NOLIBC_SHARED(start) NOLIBC_NO_STACK_PROTECTOR __attribute__((__used__, __noreturn__))
void __nolibc_start(long *stack)
{
#ifndef NOLIBC_NO_CONSTRUCTORS
	__nolibc_init const *at = __init_array_start;
#endif

	__nolibc_protect_stack();
#ifndef NOLIBC_NO_CONSTRUCTORS
	while (at != __init_array_end) {
		NOLIBC_CALL(*at++);
		NOLIBC_KEEP_LOOP();
	}
#endif
	exit(NOLIBC_CALL(__nolibc_main));
}
NOLIBC_END

#ifdef __cplusplus
#include "atexit.h"
#endif
#include "map.h"
/* By -pthread, which says so to headers and does nothing else here. */
#ifdef _REENTRANT
#define NOLIBC_THREADS 1
#include "tls.h"
#else
#define NOLIBC_THREADS 0
#endif

#endif
