#ifndef _NOLIBC_SYS_WAIT_H
#define _NOLIBC_SYS_WAIT_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../nolibc/siginfo.h"
#include "resource.h"
#include <linux/wait.h>

#define WTERMSIG(status) ((status) & 0x7f)
#define WEXITSTATUS(status) (((status) & 0xff00) >> 8)
#define WSTOPSIG(status) WEXITSTATUS(status)
#define WIFEXITED(status) (!WTERMSIG(status))
#define WIFSIGNALED(status) ((((status) & 0x7f) + 1) % 128 > 1)
#define WIFSTOPPED(status) (((status) & 0xff) == 0x7f)
#define WIFCONTINUED(status) ((status) == 0xffff)
#define WCOREDUMP(status) ((status) & 0x80)

typedef int idtype_t;

NOLIBC_FN pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	pid_t found;

#ifdef __NR_wait4
	found = (pid_t)__nolibc_ret(__nolibc_wait(__NR_wait4, pid, NOLIBC_P(status), options, NOLIBC_P(usage)));
#else
	/* riscv32 and newer: waitid alone, whose siginfo says what wait4's status says. */
	siginfo_t info;
	int kind = pid < -1 ? P_PGID : pid == -1 ? P_ALL : pid == 0 ? P_PGID : P_PID;
	int code;

	if (pid == (-__INT_MAX__ - 1)) {
		NOLIBC_SET_ERRNO(ESRCH);
		return -1;
	}
	info.si_pid = 0;
	code = (int)__nolibc_ret(__nolibc_wait(__NR_waitid, kind, pid < -1 ? -pid : pid == -1 ? 0 : pid,
					       NOLIBC_P(&info), options | WEXITED, NOLIBC_P(usage)));
	if (code)
		return -1;
	found = info.si_pid;
	if (found && status) {
		switch (info.si_code) {
		case CLD_EXITED:
			*status = (info.si_status & 0xff) << 8;
			break;
		case CLD_KILLED:
			*status = info.si_status & 0x7f;
			break;
		case CLD_DUMPED:
			*status = (info.si_status & 0x7f) | 0x80;
			break;
		case CLD_CONTINUED:
			*status = 0xffff;
			break;
		default:
			*status = (info.si_status & 0xff) << 8 | 0x7f;
		}
	}
#endif
	return found;
}

NOLIBC_FN pid_t waitpid(pid_t pid, int *status, int options)
{
	return wait4(pid, status, options, NULL);
}

NOLIBC_FN pid_t wait3(int *status, int options, struct rusage *usage)
{
	return wait4(-1, status, options, usage);
}

NOLIBC_FN pid_t wait(int *status)
{
	return wait4(-1, status, 0, NULL);
}

NOLIBC_FN int waitid(int kind, id_t id, siginfo_t *info, int options)
{
	return (int)__nolibc_ret(__nolibc_wait(__NR_waitid, kind, (int)id, NOLIBC_P(info), options, 0));
}

#endif
