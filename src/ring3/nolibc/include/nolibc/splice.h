/* Bytes from descriptor to descriptor without a copy, and files named by handles. */
#ifndef NOLIBC_SPLICE_H
#define NOLIBC_SPLICE_H

#include "sys.h"
#include "types.h"
#include "../sys/uio.h"

#define SPLICE_F_MOVE 1
#define SPLICE_F_NONBLOCK 2
#define SPLICE_F_MORE 4
#define SPLICE_F_GIFT 8

NOLIBC_FN ssize_t splice(int from, off_t *at, int to, off_t *to_at, size_t size, unsigned int flags)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_splice, from, NOLIBC_P(at), to, NOLIBC_P(to_at), NOLIBC_P(size), (int)flags));
}

NOLIBC_FN ssize_t tee(int from, int to, size_t size, unsigned int flags)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_tee, from, to, NOLIBC_P(size), (int)flags));
}

NOLIBC_FN ssize_t vmsplice(int fd, const struct iovec *from, size_t count, unsigned int flags)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(__NR_vmsplice, fd, NOLIBC_P(from), NOLIBC_P(count), (int)flags));
}

#define MAX_HANDLE_SZ 128
struct file_handle {
	unsigned int handle_bytes;
	int handle_type;
	__extension__ unsigned char f_handle[];
};

NOLIBC_FN int name_to_handle_at(int folder, const char *path, struct file_handle *to, int *mount, int flags)
{
	return NOLIBC_INT(__NR_name_to_handle_at, folder, NOLIBC_P(path), NOLIBC_P(to), NOLIBC_P(mount), flags);
}

NOLIBC_FN int open_by_handle_at(int mount, struct file_handle *from, int flags)
{
	return NOLIBC_INT(__NR_open_by_handle_at, mount, NOLIBC_P(from), flags);
}

#endif
