#ifndef _NOLIBC_SYS_MMAN_H
#define _NOLIBC_SYS_MMAN_H

#include "../nolibc/map.h"
#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../fcntl.h"
#include "../stdarg.h"
#include <linux/mman.h>
#include <linux/memfd.h>

#define MAP_FAILED ((void *)-1)
#ifndef MAP_ANON
#define MAP_ANON MAP_ANONYMOUS
#endif
#ifndef MADV_NORMAL
#include <asm/mman.h>
#endif
#define POSIX_MADV_NORMAL 0
#define POSIX_MADV_RANDOM 1
#define POSIX_MADV_SEQUENTIAL 2
#define POSIX_MADV_WILLNEED 3
#define POSIX_MADV_DONTNEED 4

NOLIBC_FN void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
#ifdef __NR_mmap2
	if (offset & ((1 << NOLIBC_MMAP2_SHIFT) - 1) || offset >> (32 + NOLIBC_MMAP2_SHIFT)) {
		NOLIBC_SET_ERRNO(EINVAL);
		return MAP_FAILED;
	}
	offset >>= NOLIBC_MMAP2_SHIFT;
#endif
	return (void *)__nolibc_ret(__nolibc_map(at, size, protection, flags, fd, (__nolibc_word)offset));
}

NOLIBC_FN int munmap(void *at, size_t size)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_munmap, NOLIBC_P(at), NOLIBC_P(size)));
}

NOLIBC_FN void *mremap(void *at, size_t old, size_t size, int flags, ...)
{
	va_list ap;
	void *to;

	va_start(ap, flags);
	to = flags & MREMAP_FIXED ? va_arg(ap, void *) : NULL;
	va_end(ap);
	return (void *)__nolibc_ret(__nolibc_call(__NR_mremap, NOLIBC_P(at), NOLIBC_P(old),
						  NOLIBC_P(size), flags, NOLIBC_P(to)));
}

NOLIBC_FN int mprotect(void *at, size_t size, int protection)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_mprotect, NOLIBC_P(at), NOLIBC_P(size), protection));
}

NOLIBC_FN int madvise(void *at, size_t size, int advice)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_madvise, NOLIBC_P(at), NOLIBC_P(size), advice));
}

/* The error itself and not -1; what would throw pages away is only advice here. */
NOLIBC_FN int posix_madvise(void *at, size_t size, int advice)
{
	if (advice == POSIX_MADV_DONTNEED)
		return 0;
	return (int)-__nolibc_call(__NR_madvise, NOLIBC_P(at), NOLIBC_P(size), advice);
}

NOLIBC_FN int msync(void *at, size_t size, int flags)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_msync, NOLIBC_P(at), NOLIBC_P(size), flags));
}

NOLIBC_FN int mincore(void *at, size_t size, unsigned char *pages)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_mincore, NOLIBC_P(at), NOLIBC_P(size), NOLIBC_P(pages)));
}

NOLIBC_FN int mlock(const void *at, size_t size)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_mlock, NOLIBC_P(at), NOLIBC_P(size)));
}

NOLIBC_FN int mlock2(const void *at, size_t size, unsigned int flags)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_mlock2, NOLIBC_P(at), NOLIBC_P(size), flags));
}

NOLIBC_FN int munlock(const void *at, size_t size)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_munlock, NOLIBC_P(at), NOLIBC_P(size)));
}

NOLIBC_FN int mlockall(int flags)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_mlockall, flags));
}

NOLIBC_FN int munlockall(void)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_munlockall));
}

/* POSIX's shared memory objects are files of /dev/shm; NULL with EINVAL for a name that would lead elsewhere. */
NOLIBC_FN char *__nolibc_shm_path(const char *name, char *to)
{
	const char *folder = "/dev/shm/";
	size_t n, at = 0;

	while (*name == '/')
		name++;
	while (*folder)
		to[at++] = *folder++;
	for (n = 0; name[n] && name[n] != '/' && n < 255; n++)
		to[at++] = name[n];
	to[at] = 0;
	if (!n || name[n] || (name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.')))) {
		NOLIBC_SET_ERRNO(n < 255 ? EINVAL : ENAMETOOLONG);
		return NULL;
	}
	return to;
}

NOLIBC_FN int shm_open(const char *name, int flags, mode_t mode)
{
	char path[266];

	if (!__nolibc_shm_path(name, path))
		return -1;
	return NOLIBC_INT(__NR_openat, AT_FDCWD, NOLIBC_P(path),
			  flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | NOLIBC_LARGEFILE, mode);
}

NOLIBC_FN int shm_unlink(const char *name)
{
	char path[266];

	return __nolibc_shm_path(name, path) ? NOLIBC_INT(__NR_unlinkat, AT_FDCWD, NOLIBC_P(path), 0) : -1;
}

NOLIBC_FN int memfd_create(const char *name, unsigned int flags)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_memfd_create, NOLIBC_P(name), flags));
}

#endif
