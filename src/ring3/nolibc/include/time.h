#ifndef _NOLIBC_TIME_H
#define _NOLIBC_TIME_H

#include "nolibc/sys.h"
#include "nolibc/types.h"
#include "nolibc/timespec.h"
#include "nolibc/sleep.h"
#include "nolibc/siginfo.h"

#define CLOCKS_PER_SEC 1000000L

struct sigevent;

NOLIBC_FN int clock_gettime(clockid_t clock, struct timespec *to)
{
	return NOLIBC_INT(NOLIBC_NR_clock_gettime, clock, NOLIBC_P(to));
}

NOLIBC_FN int clock_settime(clockid_t clock, const struct timespec *from)
{
	return NOLIBC_INT(NOLIBC_NR_clock_settime, clock, NOLIBC_P(from));
}

NOLIBC_FN int clock_getres(clockid_t clock, struct timespec *to)
{
	return NOLIBC_INT(NOLIBC_NR_clock_getres, clock, NOLIBC_P(to));
}

NOLIBC_FN int timer_create(clockid_t clock, struct sigevent *event, timer_t *to)
{
	return NOLIBC_INT(__NR_timer_create, clock, NOLIBC_P(event), NOLIBC_P(to));
}

NOLIBC_FN int timer_delete(timer_t timer)
{
	return NOLIBC_INT(__NR_timer_delete, timer);
}

NOLIBC_FN int timer_settime(timer_t timer, int flags, const struct itimerspec *set, struct itimerspec *old)
{
	return NOLIBC_INT(NOLIBC_NR_timer_settime, timer, flags, NOLIBC_P(set), NOLIBC_P(old));
}

NOLIBC_FN int timer_gettime(timer_t timer, struct itimerspec *to)
{
	return NOLIBC_INT(NOLIBC_NR_timer_gettime, timer, NOLIBC_P(to));
}

NOLIBC_FN int timer_getoverrun(timer_t timer)
{
	return NOLIBC_INT(__NR_timer_getoverrun, timer);
}


NOLIBC_FN time_t time(time_t *to)
{
	struct timespec now;

	now.tv_sec = -1;
	clock_gettime(CLOCK_REALTIME, &now);
	if (to)
		*to = now.tv_sec;
	return now.tv_sec;
}

NOLIBC_FN clock_t clock(void)
{
	struct timespec used;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used))
		return -1;
	return (clock_t)((unsigned long)used.tv_sec * 1000000UL + (unsigned int)used.tv_nsec / 1000);
}

#define difftime(later, earlier) ((double)((later) - (earlier)))
#include "nolibc/calendar.h"

#endif
