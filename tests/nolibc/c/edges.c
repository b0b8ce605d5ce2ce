/* The edges of the ABI: alignment wherever the kernel or the library enters C, the auxiliary vector, results
 * that look like errors and errors that look like results, six arguments, register pairs, jumps out of handlers. */
#define _GNU_SOURCE
#include "ktap.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef union {
	long long integer;
	double real;
	void *pointer;
} widest;

/* Whether the stack is aligned as the compiler supposes for what it puts there; 16 where the psABI says 16. */
#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__riscv) || defined(__powerpc__) || \
	defined(__loongarch__)
#define STACK_ALIGNMENT 16
#elif defined(__arm__) || defined(__s390x__) || defined(__mips__) || defined(__sparc__)
#define STACK_ALIGNMENT 8
#else
#define STACK_ALIGNMENT 4
#endif

static __attribute__((__noinline__)) int aligned(void)
{
	volatile widest here;
	volatile char pad[STACK_ALIGNMENT * 2] __attribute__((__aligned__(STACK_ALIGNMENT)));

	here.integer = 1;
	pad[0] = 1;
	return !((uintptr_t)&here % __alignof__(widest)) && !((uintptr_t)pad % STACK_ALIGNMENT);
}

static int at_start;
static volatile sig_atomic_t in_handler, jumps;
static sigjmp_buf place;

__attribute__((__constructor__)) static void construct(void)
{
	at_start = aligned();
}

static void at_end(void)
{
	_exit(aligned() ? 23 : 24);
}

static void handler(int number)
{
	in_handler = number == SIGUSR1 && aligned();
}

static void jumper(int number)
{
	jumps++;
	siglongjmp(place, number);
}

/* Reads where nothing is mapped; the address is hidden from the compiler. */
static volatile char *volatile nowhere = (char *)16;

static void vector(void)
{
	const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
	int n, any = 0;

	/* Not compared with sysconf: qemu for Alpha says 4096, where Linux has 8192 only. */
	CHECK(getauxval(AT_PAGESZ) >= 4096 && !(getauxval(AT_PAGESZ) & (getauxval(AT_PAGESZ) - 1)));
	CHECK(getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid());
	CHECK(getauxval(AT_PHENT) == (sizeof(void *) == 8 && sizeof(long) == 8 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)));
	CHECK(getauxval(AT_PHNUM) > 0 && getauxval(AT_ENTRY) != 0);
	errno = 0;
	CHECK(getauxval(4321) == 0 && errno == ENOENT);
	for (n = 0; random && n < 16; n++)
		any |= random[n];
	CHECK(any);
}

static void results(void)
{
	char path[] = "/tmp/nolibc-edges-XXXXXX";
	int fd = mkstemp(path), pair[2], status;
	off_t top = ((off_t)1 << 40) - 4095;
	pid_t group, pid;

	CHECK(unlink(path) == 0);
	/* Low words that would be errors in 32 bits. */
	CHECK(lseek(fd, 0xfffff001LL, SEEK_SET) == 0xfffff001LL);
	CHECK(lseek(fd, 0xffffffffLL, SEEK_SET) == 0xffffffffLL);
	CHECK(lseek(fd, top, SEEK_SET) == top);
	CHECK(lseek(fd, -4096, SEEK_CUR) == top - 4096);
	errno = 77;
	CHECK(lseek(fd, 1, SEEK_SET) == 1 && errno == 77);
	CHECK(syscall(SYS_close, 12345) == -1 && errno == EBADF);
	CHECK(syscall(123456) == -1 && errno == ENOSYS);
	/* A result that is negative and no error: a process group. */
	CHECK(pipe(pair) == 0);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		group = getpgrp();
		if (fcntl(pair[0], F_SETOWN, -group))
			_exit(1);
		errno = 0;
		_exit(fcntl(pair[0], F_GETOWN) == -group && !errno ? 0 : 2);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	errno = 0;
	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5 && errno == 0);
	CHECK(close(fd) == 0 && close(pair[0]) == 0 && close(pair[1]) == 0);
}

static void arguments(void)
{
	char path[] = "/tmp/nolibc-edges-XXXXXX", text[4] = "";
	int fd = mkstemp(path);
	off_t far = ((off_t)3 << 33) + 65536 * 5;
	char *map;

	CHECK(unlink(path) == 0);
	CHECK(pwrite(fd, "abc", 3, far) == 3);
	/* The sixth argument, of more than 32 bits. */
	map = (char *)mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, far);
	CHECK(map != MAP_FAILED && !memcmp(map, "abc", 3));
	if (map != MAP_FAILED)
		CHECK(munmap(map, 65536) == 0);
	CHECK(pread(fd, text, 3, far) == 3 && !strcmp(text, "abc"));
	CHECK(pread(fd, text, 3, far + 3) == 0);
	CHECK(fallocate(fd, 0, ((off_t)1 << 32) + 3, 5) == 0 || errno == EOPNOTSUPP);
	CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(close(fd) == 0);
}

static void handlers(void)
{
	struct sigaction action;
	sigset_t mask;
	int n, seen;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0 && in_handler);
	action.sa_handler = jumper;
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGSEGV, &action, NULL) == 0);
	for (n = 0; n < 50; n++) {
		seen = sigsetjmp(place, 1);
		if (!seen)
			raise(SIGUSR1);
		if (seen != SIGUSR1)
			break;
	}
	CHECK(n == 50 && jumps == 50);
	/* The mask came back each time, or the signal would be blocked now. */
	CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && !sigismember(&mask, SIGUSR1));
	for (n = 0; n < 10; n++) {
		seen = sigsetjmp(place, 1);
		if (!seen)
			(void)*nowhere;
		if (seen != SIGSEGV)
			break;
	}
	CHECK(n == 10 && jumps == 60);
	signal(SIGSEGV, SIG_DFL);
}

int main(int argc, char **argv, char **envp)
{
	int status, n = 0;
	pid_t pid;

	ktap_begin();
	CHECK(argc == 3 && argv[argc] == NULL && aligned() && at_start);
	while (envp[n])
		n++;
	/* The vector follows the environment: its first entries are pairs of words. */
	CHECK(((unsigned long *)(envp + n + 1))[0] != 0);
	vector();
	results();
	arguments();
	handlers();
	pid = fork();
	if (!pid) {
		atexit(at_end);
		exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 23);
	return ktap_end();
}
