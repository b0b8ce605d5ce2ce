/* sleep and kin, alarm, pause. */
#ifndef NOLIBC_SLEEP_H
#define NOLIBC_SLEEP_H

#include "sys.h"
#include "timespec.h"

/* What is left goes to left where that is given; the error itself, not -1. */
NOLIBC_FN int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
	return (int)-__nolibc_call(NOLIBC_NR_clock_nanosleep, clock, flags, NOLIBC_P(time), NOLIBC_P(left));
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

NOLIBC_FN int setitimer(int which, const struct itimerval *set, struct itimerval *old)
{
	/* The only call has words as wide as long: two seconds-microseconds pairs. */
	long from[4], to[4] = { 0, 0, 0, 0 };
	int result;

	if (set) {
		from[0] = (long)set->it_interval.tv_sec;
		from[1] = (long)set->it_interval.tv_usec;
		from[2] = (long)set->it_value.tv_sec;
		from[3] = (long)set->it_value.tv_usec;
	}
	result = (int)__nolibc_ret(__nolibc_call(__NR_setitimer, which, set ? NOLIBC_P(from) : 0, NOLIBC_P(to)));
	if (!result && old) {
		old->it_interval.tv_sec = to[0];
		old->it_interval.tv_usec = to[1];
		old->it_value.tv_sec = to[2];
		old->it_value.tv_usec = to[3];
	}
	return result;
}

NOLIBC_FN int getitimer(int which, struct itimerval *to)
{
	long from[4] = { 0, 0, 0, 0 };
	int result = (int)__nolibc_ret(__nolibc_call(__NR_getitimer, which, NOLIBC_P(from)));

	to->it_interval.tv_sec = from[0];
	to->it_interval.tv_usec = from[1];
	to->it_value.tv_sec = from[2];
	to->it_value.tv_usec = from[3];
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
	return (int)__nolibc_ret(__nolibc_call(NOLIBC_NR_ppoll, 0, 0, 0, 0, 0));
}

#endif
