#ifndef _NOLIBC_SYS_PRCTL_H
#define _NOLIBC_SYS_PRCTL_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../stdarg.h"
#include <linux/prctl.h>

NOLIBC_FN int prctl(int option, ...)
{
	unsigned long args[4];
	va_list ap;
	int n;

	va_start(ap, option);
	for (n = 0; n < 4; n++)
		args[n] = va_arg(ap, unsigned long);
	va_end(ap);
	return NOLIBC_INT(__NR_prctl, option, NOLIBC_P(args[0]), NOLIBC_P(args[1]), NOLIBC_P(args[2]),
			  NOLIBC_P(args[3]));
}

#endif
