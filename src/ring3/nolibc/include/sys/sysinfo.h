#ifndef _NOLIBC_SYS_SYSINFO_H
#define _NOLIBC_SYS_SYSINFO_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../unistd.h"
#include <linux/sysinfo.h>

NOLIBC_FN int sysinfo(struct sysinfo *to)
{
	return NOLIBC_INT(__NR_sysinfo, NOLIBC_P(to));
}

#endif
