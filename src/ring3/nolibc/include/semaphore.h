#ifndef _NOLIBC_SEMAPHORE_H
#define _NOLIBC_SEMAPHORE_H

#include "pthread.h"

#define SEM_VALUE_MAX 0x7fffffff
#define SEM_FAILED ((sem_t *)0)

typedef struct {
	int __value, __shared;
} sem_t;

NOLIBC_FN int sem_init(sem_t *sem, int shared, unsigned int value)
{
	if (value > SEM_VALUE_MAX) {
		NOLIBC_SET_ERRNO(EINVAL);
		return -1;
	}
	sem->__value = (int)value;
	sem->__shared = !!shared;
	return 0;
}

NOLIBC_FN int sem_destroy(sem_t *sem)
{
	(void)sem;
	return 0;
}

NOLIBC_FN int sem_getvalue(sem_t *sem, int *to)
{
	*to = __atomic_load_n(&sem->__value, __ATOMIC_ACQUIRE);
	return 0;
}

/* Also for handlers of signals: no lock is taken. */
NOLIBC_FN int sem_post(sem_t *sem)
{
	int shared = sem->__shared, value, was = __atomic_load_n(&sem->__value, __ATOMIC_ACQUIRE);

	do {
		value = was;
		if (value == SEM_VALUE_MAX) {
			NOLIBC_SET_ERRNO(EOVERFLOW);
			return -1;
		}
		was = __nolibc_swap_if(&sem->__value, value, value + 1);
	} while (was != value);
	__nolibc_futex_wake(&sem->__value, 1, shared);
	return 0;
}

NOLIBC_FN int __nolibc_sem_take(sem_t *sem)
{
	int value, was = __atomic_load_n(&sem->__value, __ATOMIC_ACQUIRE);

	while ((value = was) > 0) {
		was = __nolibc_swap_if(&sem->__value, value, value - 1);
		if (was == value)
			return 0;
	}
	return EAGAIN;
}

NOLIBC_FN int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
	int code;

	__nolibc_waits();
	while ((code = __nolibc_sem_take(sem)) != 0) {
		code = __nolibc_futex_wait(&sem->__value, 0, sem->__shared, clock, until);
		if (code == EINTR || code == ETIMEDOUT || code == EINVAL)
			break;
	}
	__nolibc_waited(0);
	if (!code)
		return 0;
	NOLIBC_SET_ERRNO(code);
	return -1;
}

NOLIBC_FN int sem_timedwait(sem_t *sem, const struct timespec *until)
{
	return sem_clockwait(sem, CLOCK_REALTIME, until);
}

NOLIBC_FN int sem_wait(sem_t *sem)
{
	return sem_clockwait(sem, CLOCK_MONOTONIC, NULL);
}

NOLIBC_FN int sem_trywait(sem_t *sem)
{
	int code = __nolibc_sem_take(sem);

	if (!code)
		return 0;
	NOLIBC_SET_ERRNO(code);
	return -1;
}

#endif
