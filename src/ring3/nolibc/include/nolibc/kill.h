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

#endif
