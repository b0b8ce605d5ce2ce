#ifndef _NOLIBC_SYS_TIMEX_H
#define _NOLIBC_SYS_TIMEX_H

#include "time.h"
/* The kernel's older struct has the name that is the user's for the newer one, whose time is 64 bits. */
#define timex __nolibc_uapi_timex
#include <linux/timex.h>
#undef timex

struct timex {
	unsigned int modes;
	int : 32;
	long long offset, freq, maxerror, esterror;
	int status;
	int : 32;
	long long constant, precision, tolerance;
	struct timeval time;
	long long tick, ppsfreq, jitter;
	int shift;
	int : 32;
	long long stabil, jitcnt, calcnt, errcnt, stbcnt;
	int tai;
	int : 32; int : 32; int : 32; int : 32; int : 32; int : 32;
	int : 32; int : 32; int : 32; int : 32; int : 32;
};

struct ntptimeval {
	struct timeval time;
	long maxerror, esterror, tai;
};

NOLIBC_FN int clock_adjtime(clockid_t clock, struct timex *change)
{
#ifdef __NR_clock_adjtime64
	return NOLIBC_INT(__NR_clock_adjtime64, clock, NOLIBC_P(change));
#else
	return NOLIBC_INT(__NR_clock_adjtime, clock, NOLIBC_P(change));
#endif
}

NOLIBC_FN int adjtimex(struct timex *change)
{
	return clock_adjtime(CLOCK_REALTIME, change);
}

NOLIBC_FN int ntp_adjtime(struct timex *change)
{
	return adjtimex(change);
}

NOLIBC_FN int ntp_gettime(struct ntptimeval *to)
{
	struct timex now;
	int state;

	now.modes = 0;
	state = adjtimex(&now);
	to->time = now.time;
	to->maxerror = (long)now.maxerror;
	to->esterror = (long)now.esterror;
	to->tai = now.tai;
	return state;
}

#endif
