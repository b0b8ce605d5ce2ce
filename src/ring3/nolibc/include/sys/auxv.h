#ifndef _NOLIBC_SYS_AUXV_H
#define _NOLIBC_SYS_AUXV_H

#include "../nolibc/saved.h"
#include "../errno.h"
#include <linux/auxvec.h>

#define _auxv __nolibc_auxv()

NOLIBC_FN unsigned long getauxval(unsigned long type)
{
	const unsigned long *at;

	for (at = __nolibc_auxv(); at[0]; at += 2)
		if (at[0] == type)
			return at[1];
	NOLIBC_SET_ERRNO(ENOENT);
	return 0;
}

#endif
