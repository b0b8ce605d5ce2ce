#ifndef _NOLIBC_SYS_SEM_H
#define _NOLIBC_SYS_SEM_H

#include "ipc.h"
#include "../nolibc/memory.h"
#include "../nolibc/timespec.h"
#include "../stdarg.h"
/* The struct of the oldest call; programs define union semun themselves. */
#define ipc_perm __nolibc_uapi_ipc_perm
#define semid_ds __nolibc_uapi_semid_ds
#define semun __nolibc_uapi_semun
#include <linux/sem.h>
#undef semun
#undef semid_ds
#undef ipc_perm

struct semid_ds {
	struct ipc_perm sem_perm;
	time_t sem_otime, sem_ctime;
	unsigned long sem_nsems;
};

NOLIBC_FN int semget(key_t key, int n, int flags)
{
	return NOLIBC_INT(__NR_semget, key, n, flags);
}

NOLIBC_FN int semtimedop(int id, struct sembuf *what, size_t n, const struct timespec *limit)
{
	return NOLIBC_INT(NOLIBC_NR_semtimedop, id, NOLIBC_P(what), NOLIBC_P(n), NOLIBC_P(limit));
}

NOLIBC_FN int semop(int id, struct sembuf *what, size_t n)
{
	return semtimedop(id, what, n, NULL);
}

/* As the program's own union semun, which some ABIs pass by reference. */
union __nolibc_semun {
	int value;
	struct semid_ds *about;
	unsigned long word;
};

/* Where long has 32 bits the seconds are those until 2106. */
NOLIBC_FN int semctl(int id, int n, int command, ...)
{
	union __nolibc_semun argument;
	struct semid_ds *about;
	struct semid64_ds info;
	va_list ap;
	int result;

	argument.word = 0;
	va_start(ap, command);
	if (command != IPC_RMID && command != GETVAL && command != GETPID && command != GETNCNT && command != GETZCNT)
		argument = va_arg(ap, union __nolibc_semun);
	va_end(ap);
	about = argument.about;
	if (command != IPC_STAT && command != IPC_SET && command != SEM_STAT)
		return NOLIBC_INT(__NR_semctl, id, n, command | NOLIBC_IPC_64, NOLIBC_P(argument.word));
	memset(&info, 0, sizeof(info));
	if (command == IPC_SET) {
		info.sem_perm.uid = about->sem_perm.uid;
		info.sem_perm.gid = about->sem_perm.gid;
		info.sem_perm.mode = about->sem_perm.mode;
	}
	result = NOLIBC_INT(__NR_semctl, id, n, command | NOLIBC_IPC_64, NOLIBC_P(&info));
	if (result >= 0 && command != IPC_SET) {
		NOLIBC_IPC_PERM(&about->sem_perm, &info.sem_perm);
		about->sem_otime = (time_t)(unsigned long)info.sem_otime;
		about->sem_ctime = (time_t)(unsigned long)info.sem_ctime;
		about->sem_nsems = info.sem_nsems;
	}
	return result;
}

#endif
