#ifndef _NOLIBC_ERRNO_H
#define _NOLIBC_ERRNO_H

#include "nolibc/start.h"
#include <asm/errno.h>

#define MAX_ERRNO 4095
#ifndef ENOTSUP
#define ENOTSUP EOPNOTSUPP
#endif

#ifdef NOLIBC_IGNORE_ERRNO
#define NOLIBC_SET_ERRNO(value) ((void)(value))
#define NOLIBC_ERRNO 0
#define NOLIBC_WANT_ERRNO() ((void)0)
#else
NOLIBC_BEGIN
#if NOLIBC_THREADS /* tls.h has it */
#define NOLIBC_HAS_ERRNO 1
#define NOLIBC_DEFINE_ERRNO() ((void)0)
#elif NOLIBC_WEAK_BY_GOT || (defined(__PIC__) && !defined(__mips__))
NOLIBC_VAR int __nolibc_errno;
#define NOLIBC_HAS_ERRNO 1
#define NOLIBC_DEFINE_ERRNO() ((void)0)
#else
/* Exists in programs that read it somewhere; in others its address is zero, and no error is stored. */
extern int __nolibc_errno __attribute__((__weak__));
#define NOLIBC_HAS_ERRNO (&__nolibc_errno != 0)
#define NOLIBC_DEFINE_ERRNO()                                                                    \
	__asm__ volatile(".ifndef __nolibc_errno_is_here\n"                                      \
			 ".set __nolibc_errno_is_here, 1\n"                                      \
			 ".pushsection .bss.nolibc.errno,\"awG\",%nobits,__nolibc_errno,comdat\n" \
			 ".balign 4\n"                                                           \
			 ".weak __nolibc_errno\n"                                                \
			 ".type __nolibc_errno, STT_OBJECT\n"                                    \
			 ".size __nolibc_errno, 4\n"                                             \
			 "__nolibc_errno:\n"                                                     \
			 ".space 4\n"                                                            \
			 ".popsection\n"                                                         \
			 ".endif")
#endif
NOLIBC_END

/* With -pthread each thread has its own. */
NOLIBC_NOINLINE int *__errno_location(void)
{
	NOLIBC_DEFINE_ERRNO();
	return &__nolibc_errno;
}

#define errno (*__errno_location())
/* Its value for code that is there in any case; NOLIBC_WANT_ERRNO where that code is asked for. */
#define NOLIBC_ERRNO (NOLIBC_HAS_ERRNO ? __nolibc_errno : 0)
#define NOLIBC_WANT_ERRNO() __asm__ volatile("" : : "X" (__errno_location))
#define NOLIBC_SET_ERRNO(value)                                                                  \
	((void)(NOLIBC_HAS_ERRNO ? __nolibc_errno = (value) : 0))
#endif
#define SET_ERRNO(value) NOLIBC_SET_ERRNO(value)

#include "nolibc/saved.h"
#define program_invocation_name (*__nolibc_program_name())
#define program_invocation_short_name (__nolibc_short_name())

#endif
