/* What runs at exit: functions of atexit and, in C++, destructors of static objects, last in first out.
 *
 * They run from .fini_array, whose entry exists only where atexit is used, and in C++ always: there the
 * compiler makes calls that no header sees.
 */
#ifndef NOLIBC_ATEXIT_H
#define NOLIBC_ATEXIT_H

#include "start.h"

enum { NOLIBC_ATEXIT_MAX = 64 };
struct __nolibc_at_exit {
	void (*function)(void *);
	void *argument;
};
NOLIBC_BEGIN
NOLIBC_VAR struct __nolibc_at_exit __nolibc_atexit_list[NOLIBC_ATEXIT_MAX];
NOLIBC_VAR int __nolibc_atexit_count;
NOLIBC_END

NOLIBC_FN void __nolibc_atexit_run(void)
{
	while (__nolibc_atexit_count) {
		struct __nolibc_at_exit *last = &__nolibc_atexit_list[--__nolibc_atexit_count];

		last->function(last->argument);
	}
}

static __nolibc_fini __nolibc_atexit_entry
	__attribute__((__unused__, __section__(".fini_array"))) = __nolibc_atexit_run;

NOLIBC_FN int __nolibc_at_exit(void (*function)(void *), void *argument)
{
	__asm__ volatile("" : : "m" (__nolibc_atexit_entry));
	if (__nolibc_atexit_count == NOLIBC_ATEXIT_MAX)
		return -1;
	__nolibc_atexit_list[__nolibc_atexit_count].function = function;
	__nolibc_atexit_list[__nolibc_atexit_count++].argument = argument;
	return 0;
}

NOLIBC_FN void __nolibc_call_plain(void *function)
{
	((void (*)(void))(__UINTPTR_TYPE__)function)();
}

NOLIBC_FN int atexit(void (*function)(void))
{
	return __nolibc_at_exit(__nolibc_call_plain, (void *)(__UINTPTR_TYPE__)function);
}

#ifdef __cplusplus
/* Itanium C++ ABI, 3.3.6.3; of the three only the handle is the library's own affair. */
NOLIBC_BEGIN
NOLIBC_VAR __attribute__((__visibility__("hidden"))) void *__dso_handle;
NOLIBC_SHARED(cxa_atexit) int __cxa_atexit(void (*function)(void *), void *argument, void *handle)
{
	(void)handle;
	return __nolibc_at_exit(function, argument);
}
NOLIBC_END
#endif

#endif
