/* What lies on the stack of a signal handler, with glibc's names where programs know them: x86. */
#ifndef NOLIBC_UCONTEXT_H
#define NOLIBC_UCONTEXT_H

#include "siginfo.h"
#include <linux/signal.h>
#include <asm/sigcontext.h>

#if (defined(__x86_64__) && !defined(__ILP32__)) || defined(__i386__)
#define ucontext __nolibc_uapi_ucontext
#include <asm/ucontext.h>
#undef ucontext

/* Registers in the order of the kernel's struct sigcontext. */
#ifdef __x86_64__
enum {
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RDI, REG_RSI, REG_RBP,
	REG_RBX, REG_RDX, REG_RAX, REG_RCX, REG_RSP, REG_RIP, REG_EFL, REG_CSGSFS, REG_ERR, REG_TRAPNO,
	REG_OLDMASK, REG_CR2, NGREG
};
typedef long long greg_t;
#else
enum {
	REG_GS, REG_FS, REG_ES, REG_DS, REG_EDI, REG_ESI, REG_EBP, REG_ESP, REG_EBX, REG_EDX, REG_ECX,
	REG_EAX, REG_TRAPNO, REG_ERR, REG_EIP, REG_CS, REG_EFL, REG_UESP, REG_SS, NGREG
};
typedef int greg_t;
#endif
typedef greg_t gregset_t[NGREG];
typedef struct _fpstate *fpregset_t;

typedef struct {
	gregset_t gregs;
	fpregset_t fpregs;
#ifdef __x86_64__
	__extension__ unsigned long long __reserved[8];
#else
	unsigned long oldmask, cr2;
#endif
} mcontext_t;

typedef struct ucontext {
	unsigned long uc_flags;
	struct ucontext *uc_link;
	stack_t uc_stack;
	mcontext_t uc_mcontext;
	sigset_t uc_sigmask;
} ucontext_t;

#elif __has_include(<asm/ucontext.h>)
#include <asm/ucontext.h>
typedef struct ucontext ucontext_t;
#elif defined(__sparc__)
/* Headers older than 7.2 say nothing of it. */
typedef struct ucontext ucontext_t;
#else
/* Where the kernel does not export it. */
struct ucontext {
	unsigned long uc_flags;
	struct ucontext *uc_link;
#ifdef __alpha__
	unsigned long uc_osf_sigmask;
#endif
	stack_t uc_stack;
	struct sigcontext uc_mcontext;
	sigset_t uc_sigmask;
};
typedef struct ucontext ucontext_t;
#endif

#endif
