/* sleep and kin, alarm, pause. */
#ifndef NOLIBC_SLEEP_H
#define NOLIBC_SLEEP_H

#include "sys.h"
#include "timespec.h"

/* What is left goes to left where that is given; the error itself, not -1. */
NOLIBC_FN int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
	return (int)-__nolibc_wait(NOLIBC_NR_clock_nanosleep, clock, flags, NOLIBC_P(time), NOLIBC_P(left));
}

NOLIBC_FN int nanosleep(const struct timespec *time, struct timespec *left)
{
	return (int)__nolibc_ret(-(__nolibc_word)clock_nanosleep(CLOCK_REALTIME, 0, time, left));
}

NOLIBC_FN unsigned int sleep(unsigned int seconds)
{
	struct timespec time;

	time.tv_sec = seconds;
	time.tv_nsec = 0;
	return nanosleep(&time, &time) ? (unsigned int)time.tv_sec + !!time.tv_nsec : 0;
}

NOLIBC_FN int usleep(unsigned int microseconds)
{
	struct timespec time;

	time.tv_sec = microseconds / 1000000;
	time.tv_nsec = microseconds % 1000000 * 1000;
	return nanosleep(&time, 0);
}

/* What is left of the milliseconds after a signal. */
NOLIBC_FN int msleep(unsigned int milliseconds)
{
	struct timespec time;

	time.tv_sec = milliseconds / 1000;
	time.tv_nsec = milliseconds % 1000 * 1000000;
	if (!nanosleep(&time, &time))
		return 0;
	return (int)time.tv_sec * 1000 + (int)((unsigned int)time.tv_nsec / 1000000) + 1;
}

/* The only call has the kernel's old struct, whose seconds are words. */
NOLIBC_FN void __nolibc_itimer(const struct __kernel_old_itimerval *from, struct itimerval *to)
{
	to->it_interval.tv_sec = from->it_interval.tv_sec;
	to->it_interval.tv_usec = from->it_interval.tv_usec;
	to->it_value.tv_sec = from->it_value.tv_sec;
	to->it_value.tv_usec = from->it_value.tv_usec;
}

NOLIBC_FN int setitimer(int which, const struct itimerval *set, struct itimerval *old)
{
	struct __kernel_old_itimerval from, to;
	int result;

	if (set) {
		from.it_interval.tv_sec = (__kernel_long_t)set->it_interval.tv_sec;
		from.it_interval.tv_usec = (__kernel_suseconds_t)set->it_interval.tv_usec;
		from.it_value.tv_sec = (__kernel_long_t)set->it_value.tv_sec;
		from.it_value.tv_usec = (__kernel_suseconds_t)set->it_value.tv_usec;
	}
	result = NOLIBC_INT(__NR_setitimer, which, set ? NOLIBC_P(&from) : 0, NOLIBC_P(&to));
	if (!result && old)
		__nolibc_itimer(&to, old);
	return result;
}

NOLIBC_FN int getitimer(int which, struct itimerval *to)
{
	struct __kernel_old_itimerval from;
	int result = NOLIBC_INT(__NR_getitimer, which, NOLIBC_P(&from));

	if (!result)
		__nolibc_itimer(&from, to);
	return result;
}

NOLIBC_FN unsigned int alarm(unsigned int seconds)
{
	struct itimerval set = { { 0, 0 }, { 0, 0 } }, old = { { 0, 0 }, { 0, 0 } };

	set.it_value.tv_sec = seconds;
	setitimer(ITIMER_REAL, &set, &old);
	return (unsigned int)old.it_value.tv_sec + !!old.it_value.tv_usec;
}

NOLIBC_FN int pause(void)
{
	return (int)__nolibc_ret(__nolibc_wait(NOLIBC_NR_ppoll, 0, 0, 0, 0, 0));
}

#endif
