#ifndef _NOLIBC_SYS_PERSONALITY_H
#define _NOLIBC_SYS_PERSONALITY_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include <linux/personality.h>

NOLIBC_FN int personality(unsigned long what)
{
	return NOLIBC_INT(__NR_personality, NOLIBC_P(what));
}

#endif
