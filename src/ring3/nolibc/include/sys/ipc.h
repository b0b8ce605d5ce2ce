#ifndef _NOLIBC_SYS_IPC_H
#define _NOLIBC_SYS_IPC_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "stat.h"
#define ipc_perm __nolibc_uapi_ipc_perm
#include <linux/ipc.h>
#undef ipc_perm

/* Calls as old as the multiplexer (alpha, arm, mips but for o32) tell two layouts apart by a flag; those that
 * were added in 5.1 for the others take the newer one alone, and refuse the flag. */
#if defined(__alpha__) || defined(__arm__) || (defined(__mips__) && _MIPS_SIM != _ABIO32)
#define NOLIBC_IPC_64 IPC_64
#else
#define NOLIBC_IPC_64 0
#endif

struct ipc_perm {
	key_t __key;
	uid_t uid;
	gid_t gid;
	uid_t cuid;
	gid_t cgid;
	mode_t mode;
	unsigned short __seq;
};

#define NOLIBC_IPC_PERM(to, from)                                                                \
	((to)->__key = (from)->key, (to)->uid = (from)->uid, (to)->gid = (from)->gid,            \
	 (to)->cuid = (from)->cuid, (to)->cgid = (from)->cgid, (to)->mode = (from)->mode,        \
	 (to)->__seq = (from)->seq)

NOLIBC_FN key_t ftok(const char *path, int id)
{
	struct stat status;

	if (stat(path, &status))
		return -1;
	return (key_t)((unsigned int)(id & 0xff) << 24 | (unsigned int)(status.st_dev & 0xff) << 16 |
		       (unsigned int)(status.st_ino & 0xffff));
}

#endif
