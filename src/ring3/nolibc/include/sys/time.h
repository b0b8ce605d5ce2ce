#ifndef _NOLIBC_SYS_TIME_H
#define _NOLIBC_SYS_TIME_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../nolibc/sleep.h"
#include "../time.h"
#include "select.h"

NOLIBC_FN int gettimeofday(struct timeval *to, struct timezone *zone)
{
	struct timespec now;

	if (zone)
		zone->tz_minuteswest = zone->tz_dsttime = 0;
	if (!to)
		return 0;
	if (clock_gettime(CLOCK_REALTIME, &now))
		return -1;
	to->tv_sec = now.tv_sec;
	to->tv_usec = (suseconds_t)((unsigned int)now.tv_nsec / 1000);
	return 0;
}

NOLIBC_FN int settimeofday(const struct timeval *from, const struct timezone *zone)
{
	struct timespec now;

	(void)zone;
	now.tv_sec = from->tv_sec;
	now.tv_nsec = from->tv_usec * 1000;
	return clock_settime(CLOCK_REALTIME, &now);
}

#define timerisset(t) ((t)->tv_sec || (t)->tv_usec)
#define timerclear(t) ((t)->tv_sec = (t)->tv_usec = 0)
#define timercmp(a, b, op) ((a)->tv_sec == (b)->tv_sec ? (a)->tv_usec op (b)->tv_usec : (a)->tv_sec op (b)->tv_sec)
#define timeradd(a, b, to)                                                                       \
	do {                                                                                     \
		(to)->tv_sec = (a)->tv_sec + (b)->tv_sec;                                        \
		if (((to)->tv_usec = (a)->tv_usec + (b)->tv_usec) >= 1000000) {                  \
			(to)->tv_usec -= 1000000;                                                \
			(to)->tv_sec++;                                                          \
		}                                                                                \
	} while (0)
#define timersub(a, b, to)                                                                       \
	do {                                                                                     \
		(to)->tv_sec = (a)->tv_sec - (b)->tv_sec;                                        \
		if (((to)->tv_usec = (a)->tv_usec - (b)->tv_usec) < 0) {                         \
			(to)->tv_usec += 1000000;                                                \
			(to)->tv_sec--;                                                          \
		}                                                                                \
	} while (0)

#endif
