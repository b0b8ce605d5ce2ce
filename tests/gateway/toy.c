/* Uses the toy device of toy.py in every way a client can; prints what it sees. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REVERSE _IOWR('d', 0, char[16])
#define FENCE _IOR('d', 1, int)
#define SIGNAL _IO('d', 2)
#define WAIT _IO('d', 3)
#define IS_FENCE _IOW('d', 4, int)
#define OFFSET ((off_t)1 << 40)

static int fd;

static void *waiter(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)ioctl(fd, WAIT, 0);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	char text[17] = "0123456789abcdef";
	struct stat status;
	struct pollfd wait = { .events = POLLIN };
	pthread_t thread;
	void *result;
	char *memory;
	double start;
	int fence, copy, n, code;

	fd = open("/dev/dri/toy", O_RDWR | O_CLOEXEC);
	printf("open %s, absent %d\n", fd >= 0 ? "ok" : strerror(errno), open("/dev/dri/no", O_RDWR));
	if (argc > 1 && !strcmp(argv[1], "bench")) {
		for (n = 0; n < 200; n++)
			ioctl(fd, REVERSE, text);
		start = now();
		for (n = 0; n < 5000; n++)
			ioctl(fd, REVERSE, text);
		fprintf(stderr, "%.2f us a call\n", (now() - start) / 5000);
		return 0;
	}
	if (argc > 1)
		return ioctl(fd, strcmp(argv[1], "wait") ? SIGNAL : WAIT, 0) < 0;
	fstat(fd, &status);
	printf("device %d %u:%u\n", !!S_ISCHR(status.st_mode), major(status.st_rdev), minor(status.st_rdev));
	code = ioctl(fd, REVERSE, text);
	printf("reverse %d %s\n", code, text);
	code = ioctl(fd, REVERSE, (void *)8);
	printf("bad pointer %d %s\n", code, strerror(errno));
	code = ioctl(fd, _IO('d', 99), 0);
	printf("unknown %d %s\n", code, strerror(errno));
	memory = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, OFFSET);
	printf("map %s %s\n", memory == MAP_FAILED ? strerror(errno) : "ok", memory);
	strcpy(memory, "from the client");
	code = mmap(0, 4096, 3, MAP_SHARED, fd, OFFSET * 2) == MAP_FAILED;
	printf("bad map %d %s\n", code, strerror(errno));
	code = ioctl(fd, FENCE, &fence);
	wait.fd = fence;
	printf("fence %d poll %d\n", code, poll(&wait, 1, 0));
	copy = dup(fence);
	printf("identity %d %d\n", ioctl(fd, IS_FENCE, &copy), ioctl(fd, IS_FENCE, &fd));
	pthread_create(&thread, 0, waiter, 0);
	usleep(20000);
	if (!fork()) {
		copy = dup(fd);
		_exit(ioctl(copy, SIGNAL, 0) == 0 ? 3 : 4);
	}
	wait.fd = copy;
	code = poll(&wait, 1, 5000);
	printf("poll %d %d\n", code, wait.revents & POLLIN);
	pthread_join(thread, &result);
	wait4(-1, &code, 0, 0);
	printf("waited %d, child %d\n", (int)(intptr_t)result, WEXITSTATUS(code));
	fflush(stdout);
	return 0;
}
