#ifndef _NOLIBC_SYS_SHM_H
#define _NOLIBC_SYS_SHM_H

#include "ipc.h"
#include "../nolibc/memory.h"
#include "../unistd.h"
#define ipc_perm __nolibc_uapi_ipc_perm
#define shmid_ds __nolibc_uapi_shmid_ds
#include <linux/shm.h>
#undef shmid_ds
#undef ipc_perm

/* Where attached memory may lie: caches that are found by virtual addresses want more than a page. */
#if defined(__mips__)
#define SHMLBA 0x40000
#elif defined(__sh__)
#define SHMLBA 0x4000
#elif defined(__arm__)
#define SHMLBA (4 * getpagesize())
#else
#define SHMLBA getpagesize()
#endif
typedef unsigned long shmatt_t;

struct shmid_ds {
	struct ipc_perm shm_perm;
	size_t shm_segsz;
	time_t shm_atime, shm_dtime, shm_ctime;
	pid_t shm_cpid, shm_lpid;
	shmatt_t shm_nattch;
};

NOLIBC_FN int shmget(key_t key, size_t size, int flags)
{
	return NOLIBC_INT(__NR_shmget, key, NOLIBC_P(size), flags);
}

NOLIBC_FN void *shmat(int id, const void *at, int flags)
{
	return (void *)__nolibc_ret(__nolibc_call(__NR_shmat, id, NOLIBC_P(at), flags));
}

NOLIBC_FN int shmdt(const void *at)
{
	return NOLIBC_INT(__NR_shmdt, NOLIBC_P(at));
}

/* Where long has 32 bits the seconds are those until 2106. */
NOLIBC_FN int shmctl(int id, int command, struct shmid_ds *about)
{
	struct shmid64_ds info;
	int result;

	memset(&info, 0, sizeof(info));
	if (command == IPC_SET) {
		info.shm_perm.uid = about->shm_perm.uid;
		info.shm_perm.gid = about->shm_perm.gid;
		info.shm_perm.mode = about->shm_perm.mode;
	}
	if (command != IPC_STAT && command != IPC_SET && command != SHM_STAT)
		return NOLIBC_INT(__NR_shmctl, id, command | NOLIBC_IPC_64, NOLIBC_P(about));
	result = NOLIBC_INT(__NR_shmctl, id, command | NOLIBC_IPC_64, NOLIBC_P(&info));
	if (result >= 0 && command != IPC_SET) {
		NOLIBC_IPC_PERM(&about->shm_perm, &info.shm_perm);
		about->shm_segsz = info.shm_segsz;
		about->shm_atime = (time_t)(unsigned long)info.shm_atime;
		about->shm_dtime = (time_t)(unsigned long)info.shm_dtime;
		about->shm_ctime = (time_t)(unsigned long)info.shm_ctime;
		about->shm_cpid = info.shm_cpid;
		about->shm_lpid = info.shm_lpid;
		about->shm_nattch = info.shm_nattch;
	}
	return result;
}

#endif
