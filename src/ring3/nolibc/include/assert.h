/* Included again, it follows what NDEBUG says then. */
#ifndef NOLIBC_ASSERT_FAIL
#define NOLIBC_ASSERT_FAIL

#include "nolibc/format.h"
#include "stdlib.h"

NOLIBC_COLD __attribute__((__noreturn__))
void __nolibc_assert(const char *what, const char *file, int line, const char *function)
{
	__nolibc_dprintf(2, "%s:%d: %s: Assertion `%s' failed.\n", file, line, function, what);
	abort();
}
#endif

#undef assert
#ifdef NDEBUG
#define assert(expression) ((void)0)
#else
#define assert(expression)                                                                       \
	((expression) ? (void)0 : __nolibc_assert(#expression, __FILE__, __LINE__, __func__))
#endif
#if !defined(static_assert) && !defined(__cplusplus)
#define static_assert _Static_assert
#endif
