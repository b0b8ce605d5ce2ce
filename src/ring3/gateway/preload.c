/*
 * The guest's half of the gateway: a library that qemu-user loads before the program's own.
 *
 * Calls on devices go to the gateway over a SEQPACKET socket, one connection a thread, so that a wait
 * blocks its caller alone.  Descriptors are the host's and need no help, except that open, ioctl, mmap and
 * fstat on them are the gateway's.  The protocol is declared in server.py and, again, here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

enum { OP_HELLO = 1, OP_OPEN, OP_STAT, OP_IOCTL, OP_MMAP, OP_INSTALLED };
enum { REPLY_DONE = 1, REPLY_INSTALL };

#define DEVICE_MARK ((uint64_t)1 << 62)
#define FIRST_FAKE_OFFSET ((uint64_t)1 << 32)
#define COOKIE 0x72696e6733206777ull

struct request {
	uint32_t op;
	int32_t fd;
	uint64_t a, b, c;
	char path[256];
};

struct reply {
	uint32_t kind;
	int32_t flags;
	int64_t result;
};

static __thread int conn = -1;
static __thread pid_t conn_pid;
static const uint64_t cookie = COOKIE;

static long raw(long r)
{
	return r == -1 ? -errno : r;
}

static int transmit(const void *data, size_t size)
{
	ssize_t n;

	do
		n = send(conn, data, size, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)size ? 0 : -1;
}

/* Receives one reply and the descriptor that may come with it (-1: none). */
static int receive(struct reply *reply, int *fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { reply, sizeof(*reply) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space,
			      .msg_controllen = sizeof(control.space) };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(conn, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	*fd = -1;
	c = CMSG_FIRSTHDR(&msg);
	if (n == (ssize_t)sizeof(*reply) && c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return n == (ssize_t)sizeof(*reply) ? 0 : -1;
}

static int attach(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("RING3_GATEWAY");
	struct request hello = { .op = OP_HELLO, .a = (uint64_t)(uintptr_t)&cookie };
	struct reply reply;
	int fd;

	if (conn >= 0 && conn_pid == getpid())
		return 0;
	if (!path || strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	conn = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (conn < 0)
		return -1;
	conn_pid = getpid();
	if (connect(conn, (struct sockaddr *)&address, sizeof(address)) || transmit(&hello, sizeof(hello)) ||
	    receive(&reply, &fd) || reply.result) {
		close(conn);
		conn = -1;
		return -1;
	}
	return 0;
}

/* One call: request, any number of descriptors installed here on the way, and the result (-errno). */
static long call(struct request *request, int *fd)
{
	struct request installed = { .op = OP_INSTALLED };
	struct reply reply;
	int saved = errno, came;

	*fd = -1;
	if (attach() || transmit(request, sizeof(*request)))
		return -ENODEV;
	for (;;) {
		if (receive(&reply, &came))
			return -ENODEV;
		if (reply.kind == REPLY_DONE)
			break;
		if (came >= 0 && !(reply.flags & O_CLOEXEC))
			fcntl(came, F_SETFD, 0);
		installed.fd = came;
		if (transmit(&installed, sizeof(installed)))
			return -ENODEV;
	}
	*fd = came;
	errno = saved;
	return reply.result;
}

static long done(long result)
{
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

static int is_device(const char *path)
{
	static const char *const roots[] = { "/dev/dri/", "/dev/sw_sync", "/dev/dma_heap/" };
	size_t n;

	for (n = 0; path && n < sizeof(roots) / sizeof(*roots); n++)
		if (!strncmp(path, roots[n], strlen(roots[n])))
			return 1;
	return 0;
}

static int open_device(const char *path, int flags)
{
	struct request request = { .op = OP_OPEN, .a = flags };
	int fd;
	long result;

	strncpy(request.path, path, sizeof(request.path) - 1);
	result = call(&request, &fd);
	if (result < 0)
		return done(result);
	if (!(flags & O_CLOEXEC))
		fcntl(fd, F_SETFD, 0);
	return fd;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define OPEN(name)                                                       \
	int name(const char *path, int flags, ...)                       \
	{                                                                \
		va_list args;                                            \
		mode_t mode;                                             \
		va_start(args, flags);                                   \
		mode = mode_of(flags, args);                             \
		va_end(args);                                            \
		if (is_device(path))                                     \
			return open_device(path, flags);                 \
		return syscall(SYS_openat, AT_FDCWD, path, flags, mode); \
	}
#define OPENAT(name)                                                  \
	int name(int dir, const char *path, int flags, ...)           \
	{                                                             \
		va_list args;                                         \
		mode_t mode;                                          \
		va_start(args, flags);                                \
		mode = mode_of(flags, args);                          \
		va_end(args);                                         \
		if (is_device(path))                                  \
			return open_device(path, flags);              \
		return syscall(SYS_openat, dir, path, flags, mode);   \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int ioctl(int fd, unsigned long cmd, ...)
{
	struct request request = { .op = OP_IOCTL, .fd = fd, .a = (uint32_t)cmd };
	va_list args;
	int none;

	va_start(args, cmd);
	request.b = (uint64_t)(uintptr_t)va_arg(args, void *);
	va_end(args);
	switch (cmd >> 8 & 0xff) {
	case 'd':
	case '>':
	case 'W':
	case 'b':
	case 'H':
		return done(call(&request, &none));
	}
	return syscall(SYS_ioctl, fd, cmd, request.b);
}

static void *map(void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct request request = { .op = OP_MMAP, .fd = fd, .a = offset, .b = size };
	long result;
	int backing;

	if (fd < 0 || (uint64_t)offset < FIRST_FAKE_OFFSET)
		return (void *)syscall(SYS_mmap, address, size, prot, flags, fd, offset);
	result = call(&request, &backing);
	if (result < 0)
		return (void *)done(result);
	result = raw(syscall(SYS_mmap, address, size, prot, flags, backing, result));
	close(backing);
	return (void *)done(result);
}

void *mmap(void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
	return map(address, size, prot, flags, fd, offset);
}

void *mmap64(void *address, size_t size, int prot, int flags, int fd, off64_t offset)
{
	return map(address, size, prot, flags, fd, offset);
}

/* A device's memfd says in its size which device it stands for. */
static int corrected(int result, struct stat *status)
{
	if (!result && S_ISREG(status->st_mode) && (uint64_t)status->st_size & DEVICE_MARK) {
		status->st_rdev = (dev_t)(uint32_t)status->st_size;
		status->st_mode = S_IFCHR | 0666;
		status->st_size = 0;
	}
	return result;
}

static int stat_device(const char *path, struct stat *status)
{
	struct request request = { .op = OP_STAT };
	int none;
	long rdev;

	strncpy(request.path, path, sizeof(request.path) - 1);
	rdev = call(&request, &none);
	if (rdev < 0)
		return done(rdev);
	memset(status, 0, sizeof(*status));
	status->st_mode = S_IFCHR | 0666;
	status->st_nlink = 1;
	status->st_rdev = rdev;
	return 0;
}

int fstat(int fd, struct stat *status)
{
	return corrected(NEXT(fstat)(fd, status), status);
}

int fstat64(int fd, struct stat64 *status)
{
	return corrected(NEXT(fstat)(fd, (struct stat *)status), (struct stat *)status);
}

#define STAT(name, type)                                                         \
	int name(const char *path, struct type *status)                          \
	{                                                                        \
		if (is_device(path))                                             \
			return stat_device(path, (struct stat *)status);         \
		return NEXT(name)(path, status);                                 \
	}
STAT(stat, stat)
STAT(lstat, stat)
STAT(stat64, stat64)
STAT(lstat64, stat64)

int fstatat(int dir, const char *path, struct stat *status, int flags)
{
	if (is_device(path))
		return stat_device(path, status);
	return corrected(NEXT(fstatat)(dir, path, status, flags), status);
}

int fstatat64(int dir, const char *path, struct stat64 *status, int flags)
{
	return fstatat(dir, path, (struct stat *)status, flags);
}
