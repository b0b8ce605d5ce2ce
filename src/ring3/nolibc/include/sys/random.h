#ifndef _NOLIBC_SYS_RANDOM_H
#define _NOLIBC_SYS_RANDOM_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include <linux/random.h>

NOLIBC_FN ssize_t getrandom(void *to, size_t size, unsigned int flags)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_getrandom, NOLIBC_P(to), NOLIBC_P(size), (int)flags));
}


NOLIBC_FN int getentropy(void *to, size_t size)
{
	return getrandom(to, size, 0) == (ssize_t)size ? 0 : -1;
}

#endif
