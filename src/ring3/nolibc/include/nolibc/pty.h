/* Pseudo-terminals: the master from /dev/ptmx, the slave's name by its number. */
#ifndef NOLIBC_PTY_H
#define NOLIBC_PTY_H

#include "memory.h"
#include "../fcntl.h"
#include "../sys/ioctl.h"

NOLIBC_FN int posix_openpt(int flags)
{
	return open("/dev/ptmx", flags);
}

NOLIBC_FN int getpt(void)
{
	return posix_openpt(O_RDWR);
}

/* The kernel gives the slave its owner. */
NOLIBC_FN int grantpt(int fd)
{
	int number;

	return ioctl(fd, TIOCGPTN, &number);
}

NOLIBC_FN int unlockpt(int fd)
{
	int locked = 0;

	return ioctl(fd, TIOCSPTLCK, &locked);
}

NOLIBC_FN int ptsname_r(int fd, char *to, size_t size)
{
	static const char folder[] = "/dev/pts/";
	char digits[12];
	unsigned int number;
	size_t n = sizeof(digits);

	if (ioctl(fd, TIOCGPTN, &number))
		return errno;
	digits[--n] = 0;
	do
		digits[--n] = (char)('0' + number % 10);
	while (number /= 10);
	if (sizeof(folder) - 1 + sizeof(digits) - n > size) {
		NOLIBC_SET_ERRNO(ERANGE);
		return ERANGE;
	}
	memcpy(to, folder, sizeof(folder) - 1);
	memcpy(to + sizeof(folder) - 1, digits + n, sizeof(digits) - n);
	return 0;
}

NOLIBC_FN char *ptsname(int fd)
{
	static char to[24];

	return ptsname_r(fd, to, sizeof(to)) ? NULL : to;
}

#endif
