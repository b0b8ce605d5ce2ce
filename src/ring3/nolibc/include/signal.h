#ifndef _NOLIBC_SIGNAL_H
#define _NOLIBC_SIGNAL_H

#include "nolibc/restorer.h"
#include "nolibc/sys.h"
#include "nolibc/siginfo.h"
#include "nolibc/timespec.h"
#include "nolibc/memory.h"
#include "nolibc/kill.h"
#include "nolibc/ucontext.h"

typedef int sig_atomic_t;
typedef void (*sighandler_t)(int);
typedef sighandler_t sig_t;
struct sigaction {
	union {
		void (*sa_handler)(int);
		void (*sa_sigaction)(int, siginfo_t *, void *);
	};
	unsigned long sa_flags;
	sigset_t sa_mask;
};

NOLIBC_FN int sigaction(int signal, const struct sigaction *set, struct sigaction *old)
{
	struct __nolibc_sigaction from, to;
	int result;

	if (set) {
		memset(&from, 0, sizeof(from));
		from.handler = set->sa_handler;
		from.flags = set->sa_flags;
		memcpy(from.mask, &set->sa_mask, sizeof(from.mask));
		from.flags |= NOLIBC_RESTORER_FLAG;
#if NOLIBC_RESTORER && NOLIBC_RESTORER_FIELD && !NOLIBC_RESTORER_ARGUMENT
		from.restorer = NOLIBC_RESTORER_ADDRESS;
#endif
	}
#if NOLIBC_RESTORER_ARGUMENT == 4
	result = NOLIBC_INT(__NR_rt_sigaction, signal, set ? NOLIBC_P(&from) : 0, NOLIBC_P(&to),
			    NOLIBC_P(NOLIBC_RESTORER_ADDRESS), NOLIBC_SIGSET_BYTES);
#elif NOLIBC_RESTORER_ARGUMENT == 5
	result = NOLIBC_INT(__NR_rt_sigaction, signal, set ? NOLIBC_P(&from) : 0, NOLIBC_P(&to),
			    NOLIBC_SIGSET_BYTES, NOLIBC_P(NOLIBC_RESTORER_ADDRESS));
#else
	result = NOLIBC_INT(__NR_rt_sigaction, signal, set ? NOLIBC_P(&from) : 0, NOLIBC_P(&to),
			    NOLIBC_SIGSET_BYTES);
#endif
	if (!result && old) {
		old->sa_handler = to.handler;
		old->sa_flags = to.flags & ~(unsigned long)NOLIBC_RESTORER_FLAG;
		memcpy(&old->sa_mask, to.mask, sizeof(to.mask));
	}
	return result;
}

/* BSD's signal: calls restart, the handler stays. */
NOLIBC_FN sighandler_t signal(int number, sighandler_t handler)
{
	struct sigaction set, old;

	memset(&set, 0, sizeof(set));
	set.sa_handler = handler;
	set.sa_flags = SA_RESTART;
	return sigaction(number, &set, &old) ? SIG_ERR : old.sa_handler;
}

NOLIBC_FN int siginterrupt(int number, int interrupts)
{
	struct sigaction set;

	if (sigaction(number, 0, &set))
		return -1;
	if (interrupts)
		set.sa_flags &= ~(unsigned long)SA_RESTART;
	else
		set.sa_flags |= SA_RESTART;
	return sigaction(number, &set, 0);
}

NOLIBC_FN int kill(pid_t pid, int signal)
{
	return NOLIBC_INT(__NR_kill, pid, signal);
}

NOLIBC_FN int killpg(pid_t group, int signal)
{
	return kill(-group, signal);
}

NOLIBC_FN int tgkill(pid_t group, pid_t thread, int signal)
{
	return NOLIBC_INT(__NR_tgkill, group, thread, signal);
}

NOLIBC_FN int sigemptyset(sigset_t *set)
{
	memset(set, 0, sizeof(*set));
	return 0;
}

NOLIBC_FN int sigfillset(sigset_t *set)
{
	memset(set, 0xff, sizeof(*set));
	return 0;
}

#define NOLIBC_SIG_WORD(signal) (((unsigned int)(signal) - 1) / (8 * sizeof(long)))
#define NOLIBC_SIG_BIT(signal) (1UL << (((unsigned int)(signal) - 1) % (8 * sizeof(long))))

NOLIBC_FN int __nolibc_sig_bad(int signal)
{
	if (signal >= 1 && signal < _NSIG)
		return 0;
	NOLIBC_SET_ERRNO(EINVAL);
	return 1;
}

NOLIBC_FN int sigaddset(sigset_t *set, int signal)
{
	if (__nolibc_sig_bad(signal))
		return -1;
	set->__bits[NOLIBC_SIG_WORD(signal)] |= NOLIBC_SIG_BIT(signal);
	return 0;
}

NOLIBC_FN int sigdelset(sigset_t *set, int signal)
{
	if (__nolibc_sig_bad(signal))
		return -1;
	set->__bits[NOLIBC_SIG_WORD(signal)] &= ~NOLIBC_SIG_BIT(signal);
	return 0;
}

NOLIBC_FN int sigismember(const sigset_t *set, int signal)
{
	if (__nolibc_sig_bad(signal))
		return -1;
	return !!(set->__bits[NOLIBC_SIG_WORD(signal)] & NOLIBC_SIG_BIT(signal));
}

NOLIBC_FN int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return NOLIBC_INT(__NR_rt_sigprocmask, how, NOLIBC_P(set), NOLIBC_P(old), NOLIBC_SIGSET_BYTES);
}

NOLIBC_FN int sigpending(sigset_t *to)
{
	return NOLIBC_INT(__NR_rt_sigpending, NOLIBC_P(to), NOLIBC_SIGSET_BYTES);
}

NOLIBC_FN int sigsuspend(const sigset_t *mask)
{
	return (int)__nolibc_ret(__nolibc_wait(__NR_rt_sigsuspend, NOLIBC_P(mask), NOLIBC_SIGSET_BYTES));
}

NOLIBC_FN int sigtimedwait(const sigset_t *set, siginfo_t *to, const struct timespec *limit)
{
	return (int)__nolibc_ret(__nolibc_wait(NOLIBC_NR_rt_sigtimedwait, NOLIBC_P(set), NOLIBC_P(to),
					       NOLIBC_P(limit), NOLIBC_SIGSET_BYTES));
}

NOLIBC_FN int sigwaitinfo(const sigset_t *set, siginfo_t *to)
{
	return sigtimedwait(set, to, 0);
}

NOLIBC_FN int sigwait(const sigset_t *set, int *signal)
{
	int found = sigwaitinfo(set, 0);

	if (found < 0)
		return errno;
	*signal = found;
	return 0;
}

NOLIBC_FN int sigqueue(pid_t pid, int signal, const union sigval value)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = signal;
	info.si_code = SI_QUEUE;
	info.si_pid = __nolibc_getpid();
	info.si_value = value;
	return NOLIBC_INT(__NR_rt_sigqueueinfo, pid, signal, NOLIBC_P(&info));
}

NOLIBC_FN int sigaltstack(const stack_t *set, stack_t *old)
{
	return NOLIBC_INT(__NR_sigaltstack, NOLIBC_P(set), NOLIBC_P(old));
}

#define SIG_HOLD ((sighandler_t)2)

/* System V's: one signal more or less in the mask. */
NOLIBC_FN int __nolibc_mask_one(int how, int signal, sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	return sigaddset(&set, signal) ? -1 : sigprocmask(how, &set, old);
}

NOLIBC_FN int sighold(int signal)
{
	return __nolibc_mask_one(SIG_BLOCK, signal, NULL);
}

NOLIBC_FN int sigrelse(int signal)
{
	return __nolibc_mask_one(SIG_UNBLOCK, signal, NULL);
}

NOLIBC_FN int sigignore(int number)
{
	return signal(number, SIG_IGN) == SIG_ERR ? -1 : 0;
}

NOLIBC_FN int sigpause(int signal)
{
	sigset_t mask;

	if (sigprocmask(SIG_BLOCK, NULL, &mask) || sigdelset(&mask, signal))
		return -1;
	return sigsuspend(&mask);
}

/* The handler and, but for SIG_HOLD, the signal let through; what was there before. */
NOLIBC_FN sighandler_t sigset(int number, sighandler_t handler)
{
	struct sigaction set, old;
	sigset_t mask;

	memset(&set, 0, sizeof(set));
	set.sa_handler = handler;
	if (sigaction(number, handler == SIG_HOLD ? NULL : &set, &old) ||
	    __nolibc_mask_one(handler == SIG_HOLD ? SIG_BLOCK : SIG_UNBLOCK, number, &mask))
		return SIG_ERR;
	return sigismember(&mask, number) ? SIG_HOLD : old.sa_handler;
}

#endif
