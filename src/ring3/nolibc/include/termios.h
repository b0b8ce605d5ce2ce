#ifndef _NOLIBC_TERMIOS_H
#define _NOLIBC_TERMIOS_H

#include "nolibc/sys.h"
#include "nolibc/types.h"
#include "nolibc/memory.h"
#include "sys/ioctl.h"
/* sys/ioctl.h has this one, without the names of terminals' modes. */
#define winsize __nolibc_uapi_winsize
#include <linux/termios.h>
#undef winsize

#ifndef TCSANOW
#define TCSANOW 0
#define TCSADRAIN 1
#define TCSAFLUSH 2
#endif
#ifndef _POSIX_VDISABLE
#define _POSIX_VDISABLE 0
#endif

/* struct termios is the kernel's. */
NOLIBC_FN int tcgetattr(int fd, struct termios *to)
{
	return ioctl(fd, TCGETS, to);
}

NOLIBC_FN int tcsetattr(int fd, int when, const struct termios *from)
{
	if (when == TCSANOW)
		return ioctl(fd, TCSETS, from);
	if (when == TCSADRAIN)
		return ioctl(fd, TCSETSW, from);
	if (when == TCSAFLUSH)
		return ioctl(fd, TCSETSF, from);
	NOLIBC_SET_ERRNO(EINVAL);
	return -1;
}

NOLIBC_FN int tcsendbreak(int fd, int duration)
{
	(void)duration; /* Linux: between a quarter and half of a second */
	return ioctl(fd, TCSBRK, 0);
}

NOLIBC_FN int tcdrain(int fd)
{
	return ioctl(fd, TCSBRK, 1);
}

NOLIBC_FN int tcflush(int fd, int which)
{
	return ioctl(fd, TCFLSH, which);
}

NOLIBC_FN int tcflow(int fd, int how)
{
	return ioctl(fd, TCXONC, how);
}

NOLIBC_FN pid_t tcgetsid(int fd)
{
	pid_t session;

	return ioctl(fd, TIOCGSID, &session) ? -1 : session;
}

/* Speeds are one field of c_cflag: of both directions. */
NOLIBC_FN speed_t cfgetospeed(const struct termios *from)
{
	return from->c_cflag & CBAUD;
}

NOLIBC_FN speed_t cfgetispeed(const struct termios *from)
{
	return from->c_cflag & CBAUD;
}

NOLIBC_FN int cfsetospeed(struct termios *to, speed_t speed)
{
	if (speed & ~(speed_t)CBAUD) {
		NOLIBC_SET_ERRNO(EINVAL);
		return -1;
	}
	to->c_cflag = (to->c_cflag & ~(tcflag_t)CBAUD) | speed;
	return 0;
}

/* 0 is "as the output's". */
NOLIBC_FN int cfsetispeed(struct termios *to, speed_t speed)
{
	return speed ? cfsetospeed(to, speed) : 0;
}

NOLIBC_FN int cfsetspeed(struct termios *to, speed_t speed)
{
	return cfsetospeed(to, speed);
}

/* Bytes as they come: no lines, no echo, no signals. */
NOLIBC_FN void cfmakeraw(struct termios *to)
{
	to->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	to->c_oflag &= ~(tcflag_t)OPOST;
	to->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	to->c_cflag = (to->c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	to->c_cc[VMIN] = 1;
	to->c_cc[VTIME] = 0;
}

#endif
