/* POSIX threads.  Not here: robust mutexes, ceilings of priorities, atfork. */
#ifndef _NOLIBC_PTHREAD_H
#define _NOLIBC_PTHREAD_H

#include "nolibc/thread.h"
#include "nolibc/mutex.h"
#include "nolibc/waiting.h"
#include "time.h"
#include "sys/prctl.h"

NOLIBC_FN int pthread_attr_init(pthread_attr_t *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->__size = NOLIBC_STACK;
	return 0;
}

NOLIBC_FN int pthread_attr_destroy(pthread_attr_t *attr)
{
	(void)attr;
	return 0;
}

NOLIBC_FN int pthread_attr_setdetachstate(pthread_attr_t *attr, int state)
{
	return __nolibc_set_int(&attr->__detached, state, NULL);
}

NOLIBC_FN int pthread_attr_getdetachstate(const pthread_attr_t *attr, int *to)
{
	*to = attr->__detached;
	return 0;
}

NOLIBC_FN int pthread_attr_setstacksize(pthread_attr_t *attr, size_t size)
{
	if (size < PTHREAD_STACK_MIN)
		return EINVAL;
	attr->__size = size;
	return 0;
}

NOLIBC_FN int pthread_attr_getstacksize(const pthread_attr_t *attr, size_t *to)
{
	*to = attr->__size;
	return 0;
}

NOLIBC_FN int pthread_attr_setstack(pthread_attr_t *attr, void *stack, size_t size)
{
	int code = pthread_attr_setstacksize(attr, size);

	if (!code)
		attr->__stack = stack;
	return code;
}

NOLIBC_FN int pthread_attr_getstack(const pthread_attr_t *attr, void **stack, size_t *size)
{
	*stack = attr->__stack;
	*size = attr->__size;
	return 0;
}

/* A guard is always there, of one page or more. */
NOLIBC_FN int pthread_attr_setguardsize(pthread_attr_t *attr, size_t size)
{
	(void)attr;
	(void)size;
	return 0;
}

NOLIBC_FN int pthread_attr_setscope(pthread_attr_t *attr, int scope)
{
	(void)attr;
	return scope == PTHREAD_SCOPE_SYSTEM ? 0 : scope == PTHREAD_SCOPE_PROCESS ? ENOTSUP : EINVAL;
}

NOLIBC_FN int pthread_attr_setinheritsched(pthread_attr_t *attr, int explicit_)
{
	return __nolibc_set_int(&attr->__explicit, explicit_, NULL);
}

NOLIBC_FN int pthread_attr_getinheritsched(const pthread_attr_t *attr, int *to)
{
	*to = attr->__explicit;
	return 0;
}

NOLIBC_FN int pthread_attr_setschedpolicy(pthread_attr_t *attr, int policy)
{
	if (policy != SCHED_OTHER && policy != SCHED_FIFO && policy != SCHED_RR)
		return EINVAL;
	attr->__policy = policy;
	return 0;
}

NOLIBC_FN int pthread_attr_getschedpolicy(const pthread_attr_t *attr, int *to)
{
	*to = attr->__policy;
	return 0;
}

NOLIBC_FN int pthread_attr_setschedparam(pthread_attr_t *attr, const struct sched_param *param)
{
	attr->__param = *param;
	return 0;
}

NOLIBC_FN int pthread_attr_getschedparam(const pthread_attr_t *attr, struct sched_param *to)
{
	*to = attr->__param;
	return 0;
}

NOLIBC_FN int pthread_attr_setaffinity_np(pthread_attr_t *attr, size_t size, const cpu_set_t *set)
{
	CPU_ZERO(&attr->__affinity);
	memcpy(&attr->__affinity, set, size < sizeof(*set) ? size : sizeof(*set));
	attr->__has_affinity = 1;
	return 0;
}

NOLIBC_FN int pthread_setaffinity_np(pthread_t thread, size_t size, const cpu_set_t *set)
{
	return (int)-__nolibc_call(__NR_sched_setaffinity, __nolibc_tid(thread), NOLIBC_P(size), NOLIBC_P(set));
}

NOLIBC_FN int pthread_getaffinity_np(pthread_t thread, size_t size, cpu_set_t *set)
{
	return sched_getaffinity(__nolibc_tid(thread), size, set) ? errno : 0;
}

NOLIBC_FN int pthread_setschedparam(pthread_t thread, int policy, const struct sched_param *param)
{
	return (int)-__nolibc_call(__NR_sched_setscheduler, __nolibc_tid(thread), policy, NOLIBC_P(param));
}

NOLIBC_FN int pthread_getschedparam(pthread_t thread, int *policy, struct sched_param *to)
{
	int tid = __nolibc_tid(thread);
	__nolibc_word found = __nolibc_call(__NR_sched_getscheduler, tid);

	if (found < 0)
		return (int)-found;
	*policy = (int)found;
	return (int)-__nolibc_call(__NR_sched_getparam, tid, NOLIBC_P(to));
}

NOLIBC_FN int pthread_setschedprio(pthread_t thread, int priority)
{
	struct sched_param param;

	param.sched_priority = priority;
	return (int)-__nolibc_call(__NR_sched_setparam, __nolibc_tid(thread), NOLIBC_P(&param));
}

/* The kernel's number of the clock: all bits of the thread's but three, which say "a thread's, scheduled time". */
NOLIBC_FN int pthread_getcpuclockid(pthread_t thread, clockid_t *to)
{
	int tid = __nolibc_tid(thread);

	if (!tid)
		return ESRCH;
	*to = (clockid_t)(~(unsigned int)tid << 3 | 6);
	return 0;
}

NOLIBC_FN int __nolibc_comm(pthread_t thread, char *path)
{
	int n = 15, tid = __nolibc_tid(thread);

	memcpy(path, "/proc/self/task/", 16);
	n = 16 + utoa_r((unsigned long)tid, path + 16);
	memcpy(path + n, "/comm", 6);
	return 0;
}

NOLIBC_FN int pthread_setname_np(pthread_t thread, const char *name)
{
	char path[48];
	int fd, code;

	if (strlen(name) > 15)
		return ERANGE;
	__nolibc_comm(thread, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	code = write(fd, name, strlen(name)) < 0 ? errno : 0;
	close(fd);
	return code;
}

NOLIBC_FN int pthread_getname_np(pthread_t thread, char *to, size_t size)
{
	char path[48];
	ssize_t n;
	int fd;

	if (size < 16)
		return ERANGE;
	__nolibc_comm(thread, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	n = read(fd, to, size);
	close(fd);
	if (n < 1)
		return errno;
	to[n - 1] = 0;
	return 0;
}

NOLIBC_FN int pthread_key_create(pthread_key_t *to, void (*destructor)(void *))
{
	unsigned int n;

	for (n = 0; n < PTHREAD_KEYS_MAX; n++)
		if (!__nolibc_swap_if(&__nolibc_keys[n].used, 0, 1)) {
			__nolibc_keys[n].destructor = destructor;
			*to = n;
			return 0;
		}
	return EAGAIN;
}

/* Values that threads still have are nobody's: a new key with the number must not find them. */
NOLIBC_FN int pthread_key_delete(pthread_key_t key)
{
	struct __nolibc_thread *at;

	if (key >= PTHREAD_KEYS_MAX || !__nolibc_keys[key].used)
		return EINVAL;
	__nolibc_lock(&__nolibc_threads_lock);
	for (at = __nolibc_threads; at; at = at->next)
		at->values[key] = NULL;
	__nolibc_first_thread.values[key] = NULL;
	__nolibc_unlock(&__nolibc_threads_lock);
	__nolibc_keys[key].destructor = NULL;
	__atomic_store_n(&__nolibc_keys[key].used, 0, __ATOMIC_RELEASE);
	return 0;
}

NOLIBC_FN int pthread_setspecific(pthread_key_t key, const void *value)
{
	if (key >= PTHREAD_KEYS_MAX || !__nolibc_keys[key].used)
		return EINVAL;
	__nolibc_this_thread()->values[key] = value;
	return 0;
}

NOLIBC_FN void *pthread_getspecific(pthread_key_t key)
{
	return key < PTHREAD_KEYS_MAX ? (void *)(size_t)__nolibc_this_thread()->values[key] : NULL;
}

NOLIBC_FN int pthread_yield(void)
{
	return sched_yield();
}

#endif
