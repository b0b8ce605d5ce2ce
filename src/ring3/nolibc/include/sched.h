#ifndef _NOLIBC_SCHED_H
#define _NOLIBC_SCHED_H

#include "nolibc/clone.h"
#include "nolibc/sys.h"
#include "nolibc/types.h"
#include "nolibc/timespec.h"
#include "nolibc/memory.h"
#include "nolibc/malloc.h"
#include "stdarg.h"
#include "unistd.h"
#include <linux/sched.h>

#define SCHED_OTHER SCHED_NORMAL

struct sched_param {
	int sched_priority;
};

#define CPU_SETSIZE 1024
typedef struct {
	unsigned long __bits[CPU_SETSIZE / (8 * sizeof(long))];
} cpu_set_t;
#define NOLIBC_CPU(n, set) ((set)->__bits[(unsigned int)(n) / (8 * sizeof(long))])
#define NOLIBC_CPU_BIT(n) (1UL << ((unsigned int)(n) % (8 * sizeof(long))))
#define CPU_SET(n, set) ((void)(NOLIBC_CPU(n, set) |= NOLIBC_CPU_BIT(n)))
#define CPU_CLR(n, set) ((void)(NOLIBC_CPU(n, set) &= ~NOLIBC_CPU_BIT(n)))
#define CPU_ISSET(n, set) (!!(NOLIBC_CPU(n, set) & NOLIBC_CPU_BIT(n)))
#define CPU_ZERO(set) ((void)memset(set, 0, sizeof(cpu_set_t)))
#define CPU_COUNT(set) __nolibc_cpu_count(set)

NOLIBC_FN int __nolibc_cpu_count(const cpu_set_t *set)
{
	int n, count = 0;

	for (n = 0; n < CPU_SETSIZE; n++)
		count += CPU_ISSET(n, set);
	return count;
}

NOLIBC_FN int sched_yield(void)
{
	return NOLIBC_INT(__NR_sched_yield);
}

NOLIBC_FN int setns(int fd, int kind)
{
	return NOLIBC_INT(__NR_setns, fd, kind);
}

NOLIBC_FN int unshare(int flags)
{
	return NOLIBC_INT(__NR_unshare, flags);
}

NOLIBC_FN int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	return NOLIBC_INT(__NR_sched_setaffinity, pid, NOLIBC_P(size), NOLIBC_P(set));
}

NOLIBC_FN int sched_getscheduler(pid_t pid)
{
	return NOLIBC_INT(__NR_sched_getscheduler, pid);
}

NOLIBC_FN int sched_setscheduler(pid_t pid, int policy, const struct sched_param *param)
{
	return NOLIBC_INT(__NR_sched_setscheduler, pid, policy, NOLIBC_P(param));
}

NOLIBC_FN int sched_getparam(pid_t pid, struct sched_param *param)
{
	return NOLIBC_INT(__NR_sched_getparam, pid, NOLIBC_P(param));
}

NOLIBC_FN int sched_setparam(pid_t pid, const struct sched_param *param)
{
	return NOLIBC_INT(__NR_sched_setparam, pid, NOLIBC_P(param));
}

NOLIBC_FN int sched_get_priority_max(int policy)
{
	return NOLIBC_INT(__NR_sched_get_priority_max, policy);
}

NOLIBC_FN int sched_get_priority_min(int policy)
{
	return NOLIBC_INT(__NR_sched_get_priority_min, policy);
}

NOLIBC_FN int sched_rr_get_interval(pid_t pid, struct timespec *to)
{
	return NOLIBC_INT(NOLIBC_NR_sched_rr_get_interval, pid, NOLIBC_P(to));
}


/* The call says how many bytes it wrote; the rest of the set is ours to clear. */
NOLIBC_FN int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	long n = __nolibc_ret(__nolibc_call(__NR_sched_getaffinity, pid, NOLIBC_P(size), NOLIBC_P(set)));

	if (n < 0)
		return -1;
	memset((char *)set + n, 0, size - (size_t)n);
	return 0;
}

NOLIBC_FN int sched_getcpu(void)
{
	unsigned int cpu = 0;

	return NOLIBC_INT(__NR_getcpu, NOLIBC_P(&cpu), 0, 0) ? -1 : (int)cpu;
}

#define CPU_ALLOC_SIZE(n) ((((size_t)(n) + 8 * sizeof(long) - 1) / (8 * sizeof(long))) * sizeof(long))
#define CPU_ALLOC(n) ((cpu_set_t *)calloc(1, CPU_ALLOC_SIZE(n)))
#define CPU_FREE(set) free(set)
#define CPU_ZERO_S(size, set) memset(set, 0, size)
#define CPU_SET_S(cpu, size, set) \
	((size_t)(cpu) < 8 * (size) ? ((unsigned long *)(set))[(cpu) / (8 * sizeof(long))] |= 1UL << (cpu) % (8 * sizeof(long)) : 0)
#define CPU_CLR_S(cpu, size, set) \
	((size_t)(cpu) < 8 * (size) ? ((unsigned long *)(set))[(cpu) / (8 * sizeof(long))] &= ~(1UL << (cpu) % (8 * sizeof(long))) : 0)
#define CPU_ISSET_S(cpu, size, set) \
	((size_t)(cpu) < 8 * (size) && ((const unsigned long *)(set))[(cpu) / (8 * sizeof(long))] >> (cpu) % (8 * sizeof(long)) & 1)

/* In the child, which ends alone as a thread does. */
NOLIBC_FN void __nolibc_cloned(void *function, void *argument)
{
	__nolibc_syscall1(__NR_exit, ((int (*)(void *))(__UINTPTR_TYPE__)function)(argument));
}

NOLIBC_FN int clone(int (*function)(void *), void *stack, int flags, void *arg, ...)
{
	const int child = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
	__nolibc_word parent_tid = 0, tls = 0, child_tid = 0;
	va_list ap;

	va_start(ap, arg);
	/* Whoever gives one gives those before it. */
	if (flags & (CLONE_PARENT_SETTID | CLONE_PIDFD | CLONE_SETTLS | child))
		parent_tid = NOLIBC_P(va_arg(ap, int *));
	if (flags & (CLONE_SETTLS | child))
		tls = NOLIBC_P(va_arg(ap, void *));
	if (flags & child)
		child_tid = NOLIBC_P(va_arg(ap, int *));
	va_end(ap);
	if (!function || !stack || (NOLIBC_CHILD_BY_TLS && flags & CLONE_SETTLS)) {
		NOLIBC_SET_ERRNO(EINVAL);
		return -1;
	}
	return (int)__nolibc_ret(__nolibc_clone(flags, stack, parent_tid, child_tid, tls, __nolibc_cloned,
						(void *)(__UINTPTR_TYPE__)function, arg));
}

#endif
