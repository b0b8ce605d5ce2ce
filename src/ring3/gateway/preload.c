/*
 * The guest's half of the gateway: a library that qemu-user loads before the program's own.
 *
 * Calls on devices go out as fallocate(2) with a mode that no kernel knows: emulators pass its four numbers
 * on as they are, and the filter on the emulator traps it.  So the gateway sees an emulated program's call
 * as it sees a native one's, in the thread that makes it.  Descriptors are the host's and need no help,
 * except that open, ioctl and mmap on devices are the gateway's; fstat it answers on the emulator's own call.
 * The numbers are declared in seccomp.py and supervisor.py and, again, here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GUEST_MODE 0x52337067
enum { OP_OPEN = 1, OP_STAT, OP_IOCTL, OP_MMAP };

/* As a system call: the result, or -1 and errno. */
static long call(uint64_t op, int fd, uint64_t argument, uint32_t number)
{
	return syscall(SYS_fallocate, fd, GUEST_MODE, argument, op << 32 | number);
}

static int is_device(const char *path)
{
	static const char *const roots[] = { "/dev/dri/", "/dev/sw_sync", "/dev/dma_heap/",
					     "/sys/kernel/debug/sync/" };
	size_t n;

	for (n = 0; path && n < sizeof(roots) / sizeof(*roots); n++)
		if (!strncmp(path, roots[n], strlen(roots[n])))
			return 1;
	return 0;
}

static int open_device(const char *path, int flags)
{
	return call(OP_OPEN, -1, (uintptr_t)path, flags);
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
	va_list args;
	void *arg;
	long result;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	switch (cmd >> 8 & 0xff) {
	case 'd':
	case '>':
	case 'W':
	case 'b':
	case 'H':
		result = call(OP_IOCTL, fd, (uintptr_t)arg, cmd);
		if (result != -1 || errno != EBADF)
			return result; /* else it is not the gateway's */
	}
	return syscall(SYS_ioctl, fd, cmd, arg);
}

static void *map(void *address, size_t size, int prot, int flags, int fd, uint64_t offset)
{
	uint64_t how = (uint64_t)(prot & 7) << 8 | (uint64_t)!(flags & MAP_SHARED) << 16;
	void *result;
	int backing, saved;

	/* DRM's offsets begin at 4 GiB; what the gateway refuses there it refuses as the emulator's call, too. */
	if (fd < 0 || offset >> 32 == 0 || offset % 4096)
		return (void *)syscall(SYS_mmap, address, size, prot, flags, fd, offset);
	backing = call(OP_MMAP | how, fd, offset, (size + 4095) / 4096);
	if (backing < 0 && errno == EBADF)	/* another file, mapped far in */
		return (void *)syscall(SYS_mmap, address, size, prot, flags, fd, offset);
	if (backing < 0)
		return MAP_FAILED;
	result = (void *)syscall(SYS_mmap, address, size, prot, flags, backing, 0);
	saved = errno;
	close(backing);
	errno = saved;
	return result;
}

void *mmap(void *address, size_t size, int prot, int flags, int fd, off_t offset)
{
	return map(address, size, prot, flags, fd, offset);
}

void *mmap64(void *address, size_t size, int prot, int flags, int fd, off64_t offset)
{
	return map(address, size, prot, flags, fd, offset);
}

static int stat_device(const char *path, struct stat *status)
{
	long rdev = call(OP_STAT, -1, (uintptr_t)path, 0);

	if (rdev < 0)
		return -1;
	memset(status, 0, sizeof(*status));
	status->st_mode = S_IFCHR | 0666;
	status->st_nlink = 1;
	status->st_rdev = rdev;
	return 0;
}

#define STAT(name, type)                                                 \
	int name(const char *path, struct type *status)                  \
	{                                                                \
		if (is_device(path))                                     \
			return stat_device(path, (struct stat *)status); \
		return NEXT(name)(path, status);                         \
	}
STAT(stat, stat)
STAT(lstat, stat)
STAT(stat64, stat64)
STAT(lstat64, stat64)

int fstatat(int dir, const char *path, struct stat *status, int flags)
{
	if (is_device(path))
		return stat_device(path, status);
	return NEXT(fstatat)(dir, path, status, flags);
}

int fstatat64(int dir, const char *path, struct stat64 *status, int flags)
{
	return fstatat(dir, path, (struct stat *)status, flags);
}
