/* What threads wait for: conditions, barriers, the first call of a function, locks of readers and writers. */
#ifndef NOLIBC_WAITING_H
#define NOLIBC_WAITING_H

#include "mutex.h"

typedef struct {
	int __shared;
	clockid_t __clock;
} pthread_condattr_t;

/* The word counts signals: who waits, waits for another number. */
typedef struct {
	int __word;
	pthread_condattr_t __attr;
} pthread_cond_t;
#define PTHREAD_COND_INITIALIZER { 0, { 0, 0 } }

NOLIBC_FN int pthread_condattr_init(pthread_condattr_t *attr)
{
	attr->__shared = 0;
	attr->__clock = CLOCK_REALTIME;
	return 0;
}

NOLIBC_FN int pthread_condattr_destroy(pthread_condattr_t *attr)
{
	(void)attr;
	return 0;
}

NOLIBC_FN int pthread_condattr_setpshared(pthread_condattr_t *attr, int shared)
{
	return __nolibc_set_int(&attr->__shared, shared, NULL);
}

NOLIBC_FN int pthread_condattr_getpshared(const pthread_condattr_t *attr, int *to)
{
	*to = attr->__shared;
	return 0;
}

NOLIBC_FN int pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock)
{
	return __nolibc_set_int(&attr->__clock, clock, NULL);
}

NOLIBC_FN int pthread_condattr_getclock(const pthread_condattr_t *attr, clockid_t *to)
{
	*to = attr->__clock;
	return 0;
}

NOLIBC_FN int pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
	memset(cond, 0, sizeof(*cond));
	if (attr)
		cond->__attr = *attr;
	return 0;
}

NOLIBC_FN int pthread_cond_destroy(pthread_cond_t *cond)
{
	(void)cond;
	return 0;
}

NOLIBC_FN void __nolibc_lock_again(void *mutex)
{
	pthread_mutex_lock((pthread_mutex_t *)mutex);
}

NOLIBC_FN int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
				     const struct timespec *until)
{
	int seen = __atomic_load_n(&cond->__word, __ATOMIC_ACQUIRE), code;

	code = pthread_mutex_unlock(mutex);
	if (code)
		return code;
	pthread_cleanup_push(__nolibc_lock_again, mutex);
	__nolibc_waits();
	code = __nolibc_futex_wait(&cond->__word, seen, cond->__attr.__shared, clock, until);
	__nolibc_waited(0);
	pthread_cleanup_pop(1);
	return code == ETIMEDOUT || code == EINVAL ? code : 0;
}

NOLIBC_FN int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
	return pthread_cond_clockwait(cond, mutex, cond->__attr.__clock, until);
}

NOLIBC_FN int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, NULL);
}

NOLIBC_FN int __nolibc_cond_wake(pthread_cond_t *cond, int count)
{
	__atomic_fetch_add(&cond->__word, 1, __ATOMIC_SEQ_CST);
	__nolibc_futex_wake(&cond->__word, count, cond->__attr.__shared);
	return 0;
}

NOLIBC_FN int pthread_cond_signal(pthread_cond_t *cond)
{
	return __nolibc_cond_wake(cond, 1);
}

NOLIBC_FN int pthread_cond_broadcast(pthread_cond_t *cond)
{
	return __nolibc_cond_wake(cond, INT_MAX);
}

#define PTHREAD_BARRIER_SERIAL_THREAD (-1)
typedef struct {
	int __shared;
} pthread_barrierattr_t;
/* The word: 16 bits of the round's number, 16 of how many have come to it. */
typedef struct {
	unsigned int __word, __count;
	int __shared;
} pthread_barrier_t;

NOLIBC_FN int pthread_barrierattr_init(pthread_barrierattr_t *attr)
{
	attr->__shared = 0;
	return 0;
}

NOLIBC_FN int pthread_barrierattr_destroy(pthread_barrierattr_t *attr)
{
	(void)attr;
	return 0;
}

NOLIBC_FN int pthread_barrierattr_setpshared(pthread_barrierattr_t *attr, int shared)
{
	return __nolibc_set_int(&attr->__shared, shared, NULL);
}

NOLIBC_FN int pthread_barrier_init(pthread_barrier_t *barrier, const pthread_barrierattr_t *attr, unsigned int count)
{
	if (!count || count > 0xffff)
		return EINVAL;
	barrier->__word = 0;
	barrier->__count = count;
	barrier->__shared = attr ? attr->__shared : 0;
	return 0;
}

NOLIBC_FN int pthread_barrier_destroy(pthread_barrier_t *barrier)
{
	(void)barrier;
	return 0;
}

/* The last to come begins the next round, and after that touches the barrier no more: it may be gone. */
NOLIBC_FN int pthread_barrier_wait(pthread_barrier_t *barrier)
{
	unsigned int was = __atomic_load_n(&barrier->__word, __ATOMIC_ACQUIRE), now;
	int shared = barrier->__shared, last;

	do {
		last = (was & 0xffff) + 1 == barrier->__count;
		now = last ? (was | 0xffff) + 1 : was + 1;
	} while (!__atomic_compare_exchange_n(&barrier->__word, &was, now, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	if (last) {
		__nolibc_futex_wake((int *)&barrier->__word, INT_MAX, shared);
		return PTHREAD_BARRIER_SERIAL_THREAD;
	}
	for (was = now; was >> 16 == now >> 16; was = __atomic_load_n(&barrier->__word, __ATOMIC_ACQUIRE))
		__nolibc_futex_wait((int *)&barrier->__word, (int)was, shared, CLOCK_MONOTONIC, NULL);
	return 0;
}

typedef int pthread_once_t; /* 1: running, 2: done */
#define PTHREAD_ONCE_INIT 0

NOLIBC_FN int pthread_once(pthread_once_t *once, void (*function)(void))
{
	int was = __nolibc_swap_if(once, 0, 1);

	if (!was) {
		function();
		__atomic_store_n(once, 2, __ATOMIC_RELEASE);
		__nolibc_futex_wake(once, INT_MAX, 0);
	}
	while (was == 1) {
		__nolibc_futex_wait(once, 1, 0, CLOCK_MONOTONIC, NULL);
		was = __atomic_load_n(once, __ATOMIC_ACQUIRE);
	}
	return 0;
}

/* A mutex for the counts, a condition for those who must wait; readers go first. */
typedef struct {
	pthread_mutex_t __mutex;
	pthread_cond_t __cond;
	int __holders; /* readers, or -1 for a writer */
} pthread_rwlock_t;
typedef struct {
	int __shared;
} pthread_rwlockattr_t;
#define PTHREAD_RWLOCK_INITIALIZER { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

NOLIBC_FN int pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attr)
{
	memset(lock, 0, sizeof(*lock));
	if (attr)
		lock->__mutex.__attr.__shared = lock->__cond.__attr.__shared = attr->__shared;
	return 0;
}

NOLIBC_FN int pthread_rwlock_destroy(pthread_rwlock_t *lock)
{
	return lock->__holders ? EBUSY : 0;
}

NOLIBC_FN int __nolibc_rwlock(pthread_rwlock_t *lock, int writes, int tries)
{
	int code = 0;

	pthread_mutex_lock(&lock->__mutex);
	while (writes ? lock->__holders : lock->__holders < 0) {
		if (tries) {
			code = EBUSY;
			break;
		}
		pthread_cond_wait(&lock->__cond, &lock->__mutex);
	}
	if (!code)
		lock->__holders += writes ? -1 : 1;
	pthread_mutex_unlock(&lock->__mutex);
	return code;
}

NOLIBC_FN int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	return __nolibc_rwlock(lock, 0, 0);
}

NOLIBC_FN int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	return __nolibc_rwlock(lock, 1, 0);
}

NOLIBC_FN int pthread_rwlock_tryrdlock(pthread_rwlock_t *lock)
{
	return __nolibc_rwlock(lock, 0, 1);
}

NOLIBC_FN int pthread_rwlock_trywrlock(pthread_rwlock_t *lock)
{
	return __nolibc_rwlock(lock, 1, 1);
}

NOLIBC_FN int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	pthread_mutex_lock(&lock->__mutex);
	lock->__holders += lock->__holders < 0 ? 1 : -1;
	if (!lock->__holders)
		pthread_cond_broadcast(&lock->__cond);
	pthread_mutex_unlock(&lock->__mutex);
	return 0;
}

#endif
