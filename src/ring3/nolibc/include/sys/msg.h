#ifndef _NOLIBC_SYS_MSG_H
#define _NOLIBC_SYS_MSG_H

#include "ipc.h"
#include "../nolibc/memory.h"
#define ipc_perm __nolibc_uapi_ipc_perm
#define msqid_ds __nolibc_uapi_msqid_ds
#include <linux/msg.h>
#undef msqid_ds
#undef ipc_perm

#if defined(__mips__) && _MIPS_SIM == _ABIN32
/* The kernel's own for n32 is o32's, which asm/msgbuf.h has not: a shorter one, that it would write past. */
#define msqid64_ds __nolibc_msqid64_ds
struct msqid64_ds {
	struct ipc64_perm msg_perm;
#ifdef __MIPSEB__
	unsigned long msg_stime_high, msg_stime, msg_rtime_high, msg_rtime, msg_ctime_high, msg_ctime;
#else
	unsigned long msg_stime, msg_stime_high, msg_rtime, msg_rtime_high, msg_ctime, msg_ctime_high;
#endif
	unsigned long msg_cbytes, msg_qnum, msg_qbytes;
	__kernel_pid_t msg_lspid, msg_lrpid;
	unsigned long __unused4, __unused5;
};
#endif

typedef unsigned long msgqnum_t;
typedef unsigned long msglen_t;

struct msqid_ds {
	struct ipc_perm msg_perm;
	time_t msg_stime, msg_rtime, msg_ctime;
	unsigned long __msg_cbytes;
	msgqnum_t msg_qnum;
	msglen_t msg_qbytes;
	pid_t msg_lspid, msg_lrpid;
};

NOLIBC_FN int msgget(key_t key, int flags)
{
	return NOLIBC_INT(__NR_msgget, key, flags);
}

NOLIBC_FN int msgsnd(int id, const void *message, size_t size, int flags)
{
	return NOLIBC_INT(__NR_msgsnd, id, NOLIBC_P(message), NOLIBC_P(size), flags);
}

NOLIBC_FN ssize_t msgrcv(int id, void *message, size_t size, long type, int flags)
{
	return (ssize_t)__nolibc_ret(
		__nolibc_call(__NR_msgrcv, id, NOLIBC_P(message), NOLIBC_P(size), type, flags));
}

/* Where long has 32 bits the seconds are those until 2106. */
NOLIBC_FN int msgctl(int id, int command, struct msqid_ds *about)
{
	struct msqid64_ds info;
	int result;

	memset(&info, 0, sizeof(info));
	if (command == IPC_SET) {
		info.msg_perm.uid = about->msg_perm.uid;
		info.msg_perm.gid = about->msg_perm.gid;
		info.msg_perm.mode = about->msg_perm.mode;
		info.msg_qbytes = about->msg_qbytes;
	}
	if (command != IPC_STAT && command != IPC_SET && command != MSG_STAT)
		return NOLIBC_INT(__NR_msgctl, id, command | NOLIBC_IPC_64, NOLIBC_P(about));
	result = NOLIBC_INT(__NR_msgctl, id, command | NOLIBC_IPC_64, NOLIBC_P(&info));
	if (result >= 0 && command != IPC_SET) {
		NOLIBC_IPC_PERM(&about->msg_perm, &info.msg_perm);
		about->msg_stime = (time_t)(unsigned long)info.msg_stime;
		about->msg_rtime = (time_t)(unsigned long)info.msg_rtime;
		about->msg_ctime = (time_t)(unsigned long)info.msg_ctime;
		about->__msg_cbytes = info.msg_cbytes;
		about->msg_qnum = info.msg_qnum;
		about->msg_qbytes = info.msg_qbytes;
		about->msg_lspid = info.msg_lspid;
		about->msg_lrpid = info.msg_lrpid;
	}
	return result;
}

#endif
