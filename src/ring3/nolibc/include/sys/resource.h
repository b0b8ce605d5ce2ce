#ifndef _NOLIBC_SYS_RESOURCE_H
#define _NOLIBC_SYS_RESOURCE_H

#include "../nolibc/sys.h"
#include "../nolibc/timespec.h"
/* The kernel's rlimit and rusage have words as wide as long; ours have 64 bits. */
#define rlimit __nolibc_uapi_rlimit
#define rusage __nolibc_uapi_rusage
#define timeval __kernel_old_timeval
#include <linux/resource.h>
#undef rlimit
#undef rusage
#undef timeval

#undef RLIM_INFINITY
#define RLIM_INFINITY (~0ULL)
typedef unsigned long long rlim_t;

struct rlimit {
	rlim_t rlim_cur;
	rlim_t rlim_max;
};

/* The kernel's layout: two old timevals, then words, which are not long on x32. */
struct rusage {
	struct __kernel_old_timeval ru_utime, ru_stime;
	__kernel_long_t ru_maxrss, ru_ixrss, ru_idrss, ru_isrss;
	__kernel_long_t ru_minflt, ru_majflt, ru_nswap;
	__kernel_long_t ru_inblock, ru_oublock;
	__kernel_long_t ru_msgsnd, ru_msgrcv, ru_nsignals;
	__kernel_long_t ru_nvcsw, ru_nivcsw;
};

NOLIBC_FN int prlimit(pid_t pid, int which, const struct rlimit *set, struct rlimit *old)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_prlimit64, pid, which, NOLIBC_P(set), NOLIBC_P(old)));
}

NOLIBC_FN int getrlimit(int which, struct rlimit *to)
{
	return prlimit(0, which, NULL, to);
}

NOLIBC_FN int setrlimit(int which, const struct rlimit *set)
{
	return prlimit(0, which, set, NULL);
}

NOLIBC_FN int getrusage(int who, struct rusage *to)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_getrusage, who, NOLIBC_P(to)));
}

/* The call's result is 20 minus the nice value, so that none of it looks like an error. */
NOLIBC_FN int getpriority(int which, id_t who)
{
#ifdef __alpha__
	/* OSF/1's call: the number itself, which may be negative; EINVAL and ESRCH are all it fails with. */
	__nolibc_word n = __nolibc_call(__NR_getpriority, which, (int)who);

	return n == -EINVAL || n == -ESRCH ? (int)__nolibc_ret(n) : (int)n;
#else
	long n = __nolibc_ret(__nolibc_call(__NR_getpriority, which, (int)who));

	return n < 0 ? -1 : (int)(20 - n);
#endif
}

NOLIBC_FN int setpriority(int which, id_t who, int value)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_setpriority, which, (int)who, value));
}

#endif
