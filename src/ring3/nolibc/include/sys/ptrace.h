#ifndef _NOLIBC_SYS_PTRACE_H
#define _NOLIBC_SYS_PTRACE_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../stdarg.h"
#include <linux/ptrace.h>

#ifndef PTRACE_ATTACH
#define PTRACE_ATTACH 16
#endif
#define PTRACE_PEEKUSER 3
#define PTRACE_POKEUSER 6

NOLIBC_FN long ptrace(int request, ...)
{
	/* What a peek reads is the result, which the call itself stores where its last argument says. */
	long data = 0;
	va_list ap;
	long pid, address;
	void *last;
	int peeks = request >= 1 && request <= 3;
	long result;

	va_start(ap, request);
	pid = va_arg(ap, int);
	address = (long)va_arg(ap, void *);
	last = peeks ? (void *)&data : va_arg(ap, void *);
	va_end(ap);
	result = __nolibc_ret(__nolibc_call(__NR_ptrace, request, (int)pid, NOLIBC_P(address), NOLIBC_P(last)));
	return peeks && result >= 0 ? data : result;
}

#endif
