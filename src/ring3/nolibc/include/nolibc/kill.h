/* A signal to oneself, for abort and raise. */
#ifndef NOLIBC_KILL_H
#define NOLIBC_KILL_H

#include "sys.h"

NOLIBC_FN int __nolibc_getpid(void)
{
#ifdef __NR_getpid
	return (int)__nolibc_call(__NR_getpid);
#else
	return (int)__nolibc_call(__NR_getxpid);
#endif
}

NOLIBC_FN int __nolibc_kill_self(int signal)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_tgkill, __nolibc_getpid(),
					       __nolibc_call(__NR_gettid), signal));
}

NOLIBC_BEGIN
int raise(int signal);

/* Of all translation units: libgcc's division on arm calls it, too. */
NOLIBC_SHARED(raise) int raise(int signal)
{
	return __nolibc_kill_self(signal);
}
NOLIBC_END

#endif
