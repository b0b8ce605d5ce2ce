/* Mutexes, also those that inherit priorities, and spin locks. */
#ifndef NOLIBC_MUTEX_H
#define NOLIBC_MUTEX_H

#include "thread.h"

#if defined(__sparc__) && !defined(__sparc_v9__) && !defined(__leon__)
#error "SPARC V8 has no compare-and-swap, which threads need: -mcpu=leon3 or -mcpu=v9"
#endif

#define PTHREAD_PROCESS_PRIVATE 0
#define PTHREAD_PROCESS_SHARED 1
#define PTHREAD_MUTEX_NORMAL 0
#define PTHREAD_MUTEX_DEFAULT 0
#define PTHREAD_MUTEX_RECURSIVE 1
#define PTHREAD_MUTEX_ERRORCHECK 2
#define PTHREAD_MUTEX_RECURSIVE_NP PTHREAD_MUTEX_RECURSIVE
#define PTHREAD_MUTEX_ERRORCHECK_NP PTHREAD_MUTEX_ERRORCHECK
#define PTHREAD_PRIO_NONE 0
#define PTHREAD_PRIO_INHERIT 1
#define PTHREAD_PRIO_PROTECT 2

typedef struct {
	int __type, __shared, __protocol;
} pthread_mutexattr_t;

/* The word is a lock as in lock.h, or the owner's number with the kernel's bits where priorities are inherited. */
typedef struct {
	int __word, __owner, __count;
	pthread_mutexattr_t __attr;
} pthread_mutex_t;
#define PTHREAD_MUTEX_INITIALIZER { 0, 0, 0, { 0, 0, 0 } }
#define PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP { 0, 0, 0, { PTHREAD_MUTEX_RECURSIVE, 0, 0 } }
#define PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP { 0, 0, 0, { PTHREAD_MUTEX_ERRORCHECK, 0, 0 } }

/* What *at was; it is what now if that was was. */
NOLIBC_FN int __nolibc_swap_if(int *at, int was, int what)
{
	__atomic_compare_exchange_n(at, &was, what, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return was;
}

NOLIBC_FN int pthread_mutexattr_init(pthread_mutexattr_t *attr)
{
	attr->__type = attr->__shared = attr->__protocol = 0;
	return 0;
}

NOLIBC_FN int pthread_mutexattr_destroy(pthread_mutexattr_t *attr)
{
	(void)attr;
	return 0;
}

NOLIBC_FN int pthread_mutexattr_settype(pthread_mutexattr_t *attr, int type)
{
	if (type < PTHREAD_MUTEX_NORMAL || type > PTHREAD_MUTEX_ERRORCHECK)
		return EINVAL;
	attr->__type = type;
	return 0;
}

NOLIBC_FN int pthread_mutexattr_gettype(const pthread_mutexattr_t *attr, int *to)
{
	*to = attr->__type;
	return 0;
}

NOLIBC_FN int pthread_mutexattr_setpshared(pthread_mutexattr_t *attr, int shared)
{
	return __nolibc_set_int(&attr->__shared, shared, NULL);
}

NOLIBC_FN int pthread_mutexattr_getpshared(const pthread_mutexattr_t *attr, int *to)
{
	*to = attr->__shared;
	return 0;
}

NOLIBC_FN int pthread_mutexattr_setprotocol(pthread_mutexattr_t *attr, int protocol)
{
	if (protocol == PTHREAD_PRIO_PROTECT)
		return ENOTSUP;
	return __nolibc_set_int(&attr->__protocol, protocol, NULL);
}

NOLIBC_FN int pthread_mutexattr_getprotocol(const pthread_mutexattr_t *attr, int *to)
{
	*to = attr->__protocol;
	return 0;
}

NOLIBC_FN int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
	memset(mutex, 0, sizeof(*mutex));
	if (attr)
		mutex->__attr = *attr;
	return 0;
}

NOLIBC_FN int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
	return mutex->__word ? EBUSY : 0;
}

NOLIBC_FN int __nolibc_pi(pthread_mutex_t *mutex, int operation, const struct timespec *until)
{
	__nolibc_word code;

	operation |= mutex->__attr.__shared ? 0 : FUTEX_PRIVATE_FLAG;
	do
		code = __nolibc_call(NOLIBC_NR_futex, NOLIBC_P(&mutex->__word), operation, 0, NOLIBC_P(until));
	while (code == -EINTR);
	return (int)-code;
}

/* How the word is taken: tries 1 is once; else until a time. */
NOLIBC_FN int __nolibc_take_word(pthread_mutex_t *mutex, int self, int tries, clockid_t clock,
				 const struct timespec *until)
{
	int *word = &mutex->__word, was, code = 0;

	was = __nolibc_swap_if(word, 0, mutex->__attr.__protocol ? self : 1);
	if (!was || tries)
		return was ? EBUSY : 0;
	if (mutex->__attr.__protocol)
		return __nolibc_pi(mutex, FUTEX_LOCK_PI, until);
	while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE)) {
		if (code == ETIMEDOUT || code == EINVAL)
			return code;
		code = __nolibc_futex_wait(word, 2, mutex->__attr.__shared, clock, until);
	}
	return 0;
}

NOLIBC_FN int __nolibc_mutex_lock(pthread_mutex_t *mutex, int tries, clockid_t clock, const struct timespec *until)
{
	int type = mutex->__attr.__type, code, self = 0;

	if (type || mutex->__attr.__protocol)
		self = (int)__nolibc_call(__NR_gettid);
	if (type && mutex->__owner == self) {
		if (type == PTHREAD_MUTEX_ERRORCHECK)
			return tries ? EBUSY : EDEADLK;
		mutex->__count++;
		return 0;
	}
	code = __nolibc_take_word(mutex, self, tries, clock, until);
	if (!code)
		mutex->__owner = self;
	return code;
}

NOLIBC_FN int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	return __nolibc_mutex_lock(mutex, 0, CLOCK_MONOTONIC, NULL);
}

NOLIBC_FN int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	return __nolibc_mutex_lock(mutex, 1, CLOCK_MONOTONIC, NULL);
}

NOLIBC_FN int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
	return __nolibc_mutex_lock(mutex, 0, CLOCK_REALTIME, until);
}

NOLIBC_FN int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
	return __nolibc_mutex_lock(mutex, 0, clock, until);
}

NOLIBC_FN int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int self;

	if (mutex->__attr.__type || mutex->__attr.__protocol) {
		self = (int)__nolibc_call(__NR_gettid);
		if (mutex->__owner != self)
			return EPERM;
		if (mutex->__count) {
			mutex->__count--;
			return 0;
		}
		mutex->__owner = 0;
		if (mutex->__attr.__protocol)
			return __nolibc_swap_if(&mutex->__word, self, 0) == self ?
				       0 : __nolibc_pi(mutex, FUTEX_UNLOCK_PI, NULL);
	}
	if (__atomic_exchange_n(&mutex->__word, 0, __ATOMIC_RELEASE) == 2)
		__nolibc_futex_wake(&mutex->__word, 1, mutex->__attr.__shared);
	return 0;
}

typedef int pthread_spinlock_t;

NOLIBC_FN int pthread_spin_init(pthread_spinlock_t *lock, int shared)
{
	(void)shared;
	*lock = 0;
	return 0;
}

NOLIBC_FN int pthread_spin_destroy(pthread_spinlock_t *lock)
{
	(void)lock;
	return 0;
}

NOLIBC_FN int pthread_spin_trylock(pthread_spinlock_t *lock)
{
	return __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) ? EBUSY : 0;
}

NOLIBC_FN int pthread_spin_lock(pthread_spinlock_t *lock)
{
	while (pthread_spin_trylock(lock))
		sched_yield();
	return 0;
}

NOLIBC_FN int pthread_spin_unlock(pthread_spinlock_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
	return 0;
}

#endif
