/* All of it at once, in the dialect of the kernel's nolibc: NOLIBC says so, and where that libc differs from
 * the C standard (%X in small letters, at most 31 zeros of padding, time in long long) so does this one. */
#ifndef NOLIBC
#define NOLIBC

#define _NOLIBC_H
#include "alloca.h"
#include "arpa/inet.h"
#include "assert.h"
#include "byteswap.h"
#include "ctype.h"
#include "dirent.h"
#include "elf.h"
#include "endian.h"
#include "err.h"
#include "errno.h"
#include "error.h"
#include "fcntl.h"
#include "float.h"
#include "getopt.h"
#include "inttypes.h"
#include "limits.h"
#include "math.h"
#include "netinet/in.h"
#include "poll.h"
#include "sched.h"
#include "setjmp.h"
#include "signal.h"
#include "stdarg.h"
#include "stdbool.h"
#include "stddef.h"
#include "stdint.h"
#include "stdio.h"
#include "stdlib.h"
#include "string.h"
#include "strings.h"
#include "sys/auxv.h"
#include "sys/epoll.h"
#include "sys/eventfd.h"
#include "sys/file.h"
#include "sys/inotify.h"
#include "sys/ioctl.h"
#include "sys/mman.h"
#include "sys/mount.h"
#include "sys/param.h"
#include "sys/prctl.h"
#include "sys/ptrace.h"
#include "sys/random.h"
#include "sys/reboot.h"
#include "sys/resource.h"
#include "sys/select.h"
#include "sys/sendfile.h"
#include "sys/signalfd.h"
#include "sys/socket.h"
#include "sys/stat.h"
#include "sys/statfs.h"
#include "sys/syscall.h"
#include "sys/sysinfo.h"
#include "sys/sysmacros.h"
#include "sys/time.h"
#include "sys/timerfd.h"
#include "sys/types.h"
#include "sys/uio.h"
#include "sys/un.h"
#include "sys/utsname.h"
#include "sys/wait.h"
#include "termios.h"
#include "time.h"
#include "unistd.h"
/* The kernel's headers that come with upstream's. */
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/signal.h>

#define container_of(pointer, type, member)                                                      \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))
/* Names a call that the architecture lacks; only code that is never reached may hold it. */
extern int __nolibc_enosys(const char *name, ...)
	__attribute__((__error__("no such system call on this architecture")));

#endif
