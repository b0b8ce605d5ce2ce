/* What ptrace reads of a process: registers, and the layout of the old core dumps. */
#ifndef _NOLIBC_SYS_USER_H
#define _NOLIBC_SYS_USER_H

#include "../stddef.h"
#include <asm/ptrace.h>

#if defined(__x86_64__)
/* The order in which PTRACE_GETREGS stores them. */
struct user_regs_struct {
	__extension__ unsigned long long r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi,
		orig_rax, rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};

/* FXSAVE's, as PTRACE_GETFPREGS stores it. */
struct user_fpregs_struct {
	unsigned short cwd, swd, ftw, fop;
	__extension__ unsigned long long rip, rdp;
	unsigned int mxcsr, mxcr_mask;
	unsigned int st_space[32], xmm_space[64], padding[24];
};

struct user {
	struct user_regs_struct regs;
	int u_fpvalid;
	struct user_fpregs_struct i387;
	__extension__ unsigned long long u_tsize, u_dsize, u_ssize, start_code, start_stack;
	__extension__ long long signal;
	int reserved;
	__extension__ union {
		struct user_regs_struct *u_ar0;
		__extension__ unsigned long long __u_ar0_word;
	};
	__extension__ union {
		struct user_fpregs_struct *u_fpstate;
		__extension__ unsigned long long __u_fpstate_word;
	};
	__extension__ unsigned long long magic;
	char u_comm[32];
	__extension__ unsigned long long u_debugreg[8];
};
#elif defined(__i386__)
struct user_regs_struct {
	long ebx, ecx, edx, esi, edi, ebp, eax, xds, xes, xfs, xgs, orig_eax, eip, xcs, eflags, esp, xss;
};

struct user_fpregs_struct {
	long cwd, swd, twd, fip, fcs, foo, fos, st_space[20];
};

struct user_fpxregs_struct {
	unsigned short cwd, swd, twd, fop;
	long fip, fcs, foo, fos, mxcsr, reserved, st_space[32], xmm_space[32], padding[56];
};

struct user {
	struct user_regs_struct regs;
	int u_fpvalid;
	struct user_fpregs_struct i387;
	unsigned long u_tsize, u_dsize, u_ssize, start_code, start_stack;
	long signal;
	int reserved;
	struct user_regs_struct *u_ar0;
	struct user_fpregs_struct *u_fpstate;
	unsigned long magic;
	char u_comm[32];
	int u_debugreg[8];
};
#elif defined(__aarch64__)
#define user_regs_struct user_pt_regs
#define user_fpsimd_struct user_fpsimd_state
#endif

#endif
