#ifndef _NOLIBC_ERRNO_H
#define _NOLIBC_ERRNO_H

#include "nolibc/start.h"
#include <asm/errno.h>

#ifndef ENOTSUP
#define ENOTSUP EOPNOTSUPP
#endif

#ifdef NOLIBC_IGNORE_ERRNO
#define NOLIBC_SET_ERRNO(value) ((void)(value))
#else
NOLIBC_BEGIN
NOLIBC_VAR int __nolibc_errno;
NOLIBC_END

/* The only place that knows where errno lives: one variable now, one for each thread later. */
NOLIBC_INLINE int *__errno_location(void)
{
	return &__nolibc_errno;
}

#define errno (*__errno_location())
#define NOLIBC_SET_ERRNO(value) ((void)(*__errno_location() = (value)))
#endif
#define SET_ERRNO(value) NOLIBC_SET_ERRNO(value)

#include "nolibc/saved.h"
#define program_invocation_name (*__nolibc_program_name())
#define program_invocation_short_name (__nolibc_short_name())

#endif
