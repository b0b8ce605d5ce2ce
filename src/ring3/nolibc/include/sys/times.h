#ifndef _NOLIBC_SYS_TIMES_H
#define _NOLIBC_SYS_TIMES_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include <linux/times.h>

/* Ticks of 1/100 s; those since some start may look like an error, which only EFAULT is. */
NOLIBC_FN clock_t times(struct tms *to)
{
	__nolibc_word ticks = __nolibc_call(__NR_times, NOLIBC_P(to));

	return ticks == -EFAULT ? (clock_t)__nolibc_ret(ticks) : (clock_t)ticks;
}

#endif
