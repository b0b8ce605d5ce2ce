#ifndef _NOLIBC_SYS_TIMEB_H
#define _NOLIBC_SYS_TIMEB_H

#include "../time.h"

struct timeb {
	time_t time;
	unsigned short millitm;
	short timezone, dstflag;
};

NOLIBC_FN int ftime(struct timeb *to)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now))
		return -1;
	to->time = now.tv_sec;
	to->millitm = (unsigned short)((unsigned int)now.tv_nsec / 1000000);
	to->timezone = to->dstflag = 0;
	return 0;
}

#endif
