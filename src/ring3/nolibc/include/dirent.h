#ifndef _NOLIBC_DIRENT_H
#define _NOLIBC_DIRENT_H

#include "nolibc/sys.h"
#include "nolibc/types.h"
#include "nolibc/memory.h"
#include "fcntl.h"
#include "limits.h"
#include "unistd.h"

enum {
	DT_UNKNOWN = 0,
	DT_FIFO = 1,
	DT_CHR = 2,
	DT_DIR = 4,
	DT_BLK = 6,
	DT_REG = 8,
	DT_LNK = 10,
	DT_SOCK = 12,
	DT_WHT = 14
};
#define DT_UNKNOWN DT_UNKNOWN
#define DT_FIFO DT_FIFO
#define DT_CHR DT_CHR
#define DT_DIR DT_DIR
#define DT_BLK DT_BLK
#define DT_REG DT_REG
#define DT_LNK DT_LNK
#define DT_SOCK DT_SOCK
#define DTTOIF(type) ((type) << 12)
#define IFTODT(mode) (((mode) & 0170000) >> 12)

/* What getdents64 writes. */
struct linux_dirent64 {
	ino_t d_ino;
	off_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

/* The same with room for the longest name. */
struct dirent {
	ino_t d_ino;
	off_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[NAME_MAX + 1];
};
#define d_fileno d_ino

/* A folder is its file descriptor's complement, as streams are: no memory, nothing to free. */
typedef struct __nolibc_dir DIR;

NOLIBC_INLINE int dirfd(DIR *dir)
{
	return (int)~(__INTPTR_TYPE__)dir;
}

NOLIBC_FN DIR *fdopendir(int fd)
{
	return (DIR *)(__INTPTR_TYPE__)~fd;
}

NOLIBC_FN DIR *opendir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? NULL : fdopendir(fd);
}

NOLIBC_FN int closedir(DIR *dir)
{
	return close(dirfd(dir));
}

NOLIBC_FN ssize_t getdents64(int fd, void *to, size_t size)
{
	return __nolibc_ret(__nolibc_call(__NR_getdents64, fd, NOLIBC_P(to), NOLIBC_P(size)));
}

/* The kernel gives as many entries as fit; all but the first are given back by seeking behind it. */
NOLIBC_FN int __nolibc_readdir(DIR *dir, struct dirent *to)
{
	long n = getdents64(dirfd(dir), to, sizeof(*to));

	if (n > 0 && to->d_reclen < n)
		lseek(dirfd(dir), to->d_off, SEEK_SET);
	return (int)n;
}

NOLIBC_FN int readdir_r(DIR *dir, struct dirent *to, struct dirent **result)
{
	int n = __nolibc_readdir(dir, to);

	*result = n > 0 ? to : NULL;
	return n < 0 ? errno : 0;
}

NOLIBC_FN struct dirent *readdir(DIR *dir)
{
	static struct dirent entry;

	return __nolibc_readdir(dir, &entry) > 0 ? &entry : NULL;
}

NOLIBC_FN void rewinddir(DIR *dir)
{
	lseek(dirfd(dir), 0, SEEK_SET);
}

NOLIBC_FN long telldir(DIR *dir)
{
	return (long)lseek(dirfd(dir), 0, SEEK_CUR);
}

NOLIBC_FN void seekdir(DIR *dir, long at)
{
	lseek(dirfd(dir), at, SEEK_SET);
}

NOLIBC_FN int alphasort(const struct dirent **a, const struct dirent **b)
{
	const char *x = (*a)->d_name, *y = (*b)->d_name;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	return (unsigned char)*x - (unsigned char)*y;
}

#endif
