#ifndef _NOLIBC_SYS_FSUID_H
#define _NOLIBC_SYS_FSUID_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"

/* The result is the id before, whether it was changed or not. */
#ifdef __NR_setfsuid32
#define NOLIBC_NR_setfsuid __NR_setfsuid32
#define NOLIBC_NR_setfsgid __NR_setfsgid32
#else
#define NOLIBC_NR_setfsuid __NR_setfsuid
#define NOLIBC_NR_setfsgid __NR_setfsgid
#endif

NOLIBC_FN int setfsuid(uid_t id)
{
	return (int)__nolibc_call(NOLIBC_NR_setfsuid, (int)id);
}

NOLIBC_FN int setfsgid(gid_t id)
{
	return (int)__nolibc_call(NOLIBC_NR_setfsgid, (int)id);
}

#endif
