/* Memory from the kernel, as the rest of mmap and the first thread's variables want it: an error is the result. */
#ifndef NOLIBC_MAP_H
#define NOLIBC_MAP_H

#include "start.h"

/* offset: in units of the architecture's mmap2 where that is the call. */
NOLIBC_FN __nolibc_word __nolibc_map(void *at, __SIZE_TYPE__ size, int protection, int flags, int fd,
				     __nolibc_word offset)
{
#if NOLIBC_MMAP_BY_POINTER
	unsigned long args[6];

	args[0] = (unsigned long)at;
	args[1] = size;
	args[2] = (unsigned long)protection;
	args[3] = (unsigned long)flags;
	args[4] = (unsigned long)fd;
	args[5] = (unsigned long)offset;
	/* The compiler must not drop what only the kernel reads. */
	__asm__ volatile("" : : "r" (args) : "memory");
	return __nolibc_syscall1(__NR_mmap, (__nolibc_word)args);
#else
#ifdef __NR_mmap2
	const __nolibc_word number = __NR_mmap2;
#else
	const __nolibc_word number = __NR_mmap;
#endif
	return __nolibc_syscall6(number, (__nolibc_word)(unsigned long)at, (__nolibc_word)(unsigned long)size,
				 protection, flags, fd, offset);
#endif
}

#endif
