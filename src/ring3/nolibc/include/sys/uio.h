#ifndef _NOLIBC_SYS_UIO_H
#define _NOLIBC_SYS_UIO_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include <linux/uio.h>

NOLIBC_FN ssize_t readv(int fd, const struct iovec *parts, int n)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_readv, fd, NOLIBC_P(parts), n));
}

NOLIBC_FN ssize_t writev(int fd, const struct iovec *parts, int n)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_writev, fd, NOLIBC_P(parts), n));
}

NOLIBC_FN ssize_t preadv(int fd, const struct iovec *parts, int n, off_t at)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_preadv, fd, NOLIBC_P(parts), n, (__nolibc_word)at, (__nolibc_word)((unsigned long long)at >> 32)));
}

NOLIBC_FN ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_pwritev, fd, NOLIBC_P(parts), n, (__nolibc_word)at, (__nolibc_word)((unsigned long long)at >> 32)));
}

NOLIBC_FN ssize_t process_vm_readv(pid_t pid, const struct iovec *to, unsigned long n, const struct iovec *from, unsigned long m, unsigned long flags)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_process_vm_readv, pid, NOLIBC_P(to), NOLIBC_P(n), NOLIBC_P(from), NOLIBC_P(m), NOLIBC_P(flags)));
}

NOLIBC_FN ssize_t process_vm_writev(pid_t pid, const struct iovec *from, unsigned long n, const struct iovec *to, unsigned long m, unsigned long flags)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_process_vm_writev, pid, NOLIBC_P(from), NOLIBC_P(n), NOLIBC_P(to), NOLIBC_P(m), NOLIBC_P(flags)));
}

#endif
