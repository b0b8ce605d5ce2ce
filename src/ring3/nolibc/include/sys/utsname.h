#ifndef _NOLIBC_SYS_UTSNAME_H
#define _NOLIBC_SYS_UTSNAME_H

#include "../nolibc/sys.h"

struct utsname {
	char sysname[65];
	char nodename[65];
	char release[65];
	char version[65];
	char machine[65];
	char domainname[65];
};

NOLIBC_FN int uname(struct utsname *to)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_uname, NOLIBC_P(to)));
}

#endif
