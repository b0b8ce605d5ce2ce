/* Signal numbers, masks and siginfo: the kernel's headers, without the structs that are ours. */
#ifndef NOLIBC_SIGINFO_H
#define NOLIBC_SIGINFO_H

#include "types.h"
#include "timespec.h"

/* User space's names are also those of kernel structs with another layout (m68k's sigaction, 32-bit masks). */
#define sigaction __nolibc_uapi_sigaction
#define sigset_t __nolibc_uapi_sigset_t
#define old_sigset_t __nolibc_uapi_old_sigset_t
#include <asm/signal.h>
#undef sigaction
#undef sigset_t
#undef old_sigset_t
#undef sa_handler
#undef sa_sigaction
#undef sa_flags
#undef sa_mask
#undef sa_restorer
#undef _NSIG
#undef NSIG
#include <asm/siginfo.h>

#if defined(__mips__)
#define _NSIG 129
#else
#define _NSIG 65
#endif
#define NSIG _NSIG
#undef SIGRTMIN
#undef SIGRTMAX
#define SIGRTMIN 32
#define SIGRTMAX (_NSIG - 1)

typedef struct {
	unsigned long __bits[NOLIBC_SIGSET_BYTES / sizeof(long)];
} sigset_t;

#endif
