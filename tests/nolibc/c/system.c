/* What goes through the kernel: the ABI of calls, errors, signals, jumps, files, sockets, time, start-up. */
#define _GNU_SOURCE
#include "ktap.h"
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int constructed;
static volatile sig_atomic_t caught, code_seen;
static jmp_buf jump;
static sigjmp_buf jump_out;

__attribute__((__constructor__)) static void construct(void)
{
	constructed = 1;
}

static void startup(int argc, char **argv, char **envp)
{
	extern char **environ;
	double aligned;

	CHECK(argc == 3);
	CHECK(!strcmp(argv[1], "first") && !strcmp(argv[2], "second") && !argv[3]);
	CHECK(environ == envp);
	CHECK(getenv("NOLIBC_TEST") && !strcmp(getenv("NOLIBC_TEST"), "value"));
	CHECK(!getenv("NOLIBC_TES"));
	CHECK(constructed);
	CHECK(((uintptr_t)&aligned & (__alignof__(double) - 1)) == 0);
	CHECK(!setenv("ADDED", "one", 0) && !strcmp(getenv("ADDED"), "one"));
	CHECK(!setenv("ADDED", "two", 0) && !strcmp(getenv("ADDED"), "one"));
	CHECK(!setenv("ADDED", "two", 1) && !strcmp(getenv("ADDED"), "two"));
	CHECK(!unsetenv("ADDED") && !getenv("ADDED"));
}

static void arguments(void)
{
	char path[] = "/tmp/nolibc-XXXXXX", byte = 0;
	off_t far = ((off_t)5 << 32) + 7;
	int fd = mkstemp(path);
	struct stat st;
	char *map;

	CHECK(fd >= 0);
	/* Six arguments: the sixth picks the page. */
	CHECK(ftruncate(fd, 3 * 65536) == 0);
	CHECK(pwrite(fd, "x", 1, 65536) == 1);
	map = mmap(NULL, 65536, PROT_READ, MAP_SHARED, fd, 65536);
	CHECK(map != MAP_FAILED && *map == 'x');
	CHECK(munmap(map, 65536) == 0);
	CHECK(mmap(NULL, 65536, PROT_READ, MAP_SHARED, fd, 1) == MAP_FAILED && errno == EINVAL);
	/* 64-bit arguments: in pairs of registers on 32 bits. */
	CHECK(pwrite(fd, "y", 1, far) == 1);
	CHECK(pread(fd, &byte, 1, far) == 1 && byte == 'y');
	CHECK(pread(fd, &byte, 1, 7) == 1 && byte == 0);
	CHECK(lseek(fd, far, SEEK_SET) == far);
	CHECK(lseek(fd, 0, SEEK_CUR) == far);
	CHECK(lseek(fd, 0, SEEK_END) == far + 1);
	CHECK(ftruncate(fd, far + 100) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == far + 100);
	CHECK(truncate(path, far) == 0 && stat(path, &st) == 0 && st.st_size == far);
	CHECK(ftruncate(fd, -1) == -1 && errno == EINVAL);
	CHECK(lseek(fd, -1, SEEK_SET) == -1 && errno == EINVAL);
	CHECK(S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600 && st.st_nlink == 1);
	CHECK(unlink(path) == 0 && stat(path, &st) == -1 && errno == ENOENT);
	CHECK(close(fd) == 0);
	CHECK(close(fd) == -1 && errno == EBADF);
	/* Results that look like errors and are not, and the other way round. */
	CHECK(syscall(SYS_close, -1) == -1 && errno == EBADF);
	CHECK(read(-1, &byte, 1) == -1 && errno == EBADF);
	CHECK(getpid() == syscall(SYS_gettid));
	map = mmap((void *)1, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED);
	CHECK(madvise(map, 4096, 12345) == -1 && errno == EINVAL);
}

static void catch_one(int signal)
{
	caught += signal;
}

static void catch_info(int signal, siginfo_t *info, void *context)
{
	(void)context;
	caught = signal;
	code_seen = info->si_code;
}

static void jump_from_handler(int signal)
{
	siglongjmp(jump_out, signal);
}

static int nested(int depth)
{
	if (depth)
		return nested(depth - 1) + 1;
	longjmp(jump, 7);
}

static void jumps_and_signals(void)
{
	struct sigaction action, old;
	sigset_t set, before;
	volatile int kept = 5;
	stack_t stack;
	static char room[65536];
	int n, status;
	pid_t pid;

	n = setjmp(jump);
	if (!n)
		nested(20);
	CHECK(n == 7 && kept == 5);
	n = setjmp(jump);
	if (!n)
		longjmp(jump, 0);
	CHECK(n == 1);

	CHECK(signal(SIGUSR1, catch_one) == SIG_DFL);
	CHECK(raise(SIGUSR1) == 0 && caught == SIGUSR1);
	caught = 0;
	CHECK(raise(SIGUSR1) == 0 && caught == SIGUSR1);
	CHECK(signal(SIGUSR1, SIG_IGN) == catch_one);
	memset(&action, 0, sizeof(action));
	action.sa_sigaction = catch_info;
	action.sa_flags = SA_SIGINFO | SA_RESETHAND;
	sigemptyset(&action.sa_mask);
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	CHECK(raise(SIGUSR2) == 0 && caught == SIGUSR2 && code_seen == SI_TKILL);
	CHECK(sigaction(SIGUSR2, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	CHECK(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL);
	CHECK(sigaction(1000, &action, NULL) == -1 && errno == EINVAL);

	sigemptyset(&set);
	CHECK(sigaddset(&set, SIGUSR1) == 0 && sigismember(&set, SIGUSR1) == 1 && sigismember(&set, SIGUSR2) == 0);
	CHECK(sigaddset(&set, 1000) == -1 && errno == EINVAL);
	signal(SIGUSR1, catch_one);
	CHECK(sigprocmask(SIG_BLOCK, &set, &before) == 0 && sigismember(&before, SIGUSR1) == 0);
	caught = 0;
	raise(SIGUSR1);
	CHECK(caught == 0);
	CHECK(sigpending(&set) == 0 && sigismember(&set, SIGUSR1) == 1);
	CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0 && caught == SIGUSR1);

	/* Out of a handler: the signal is blocked there, and must not be afterwards. */
	signal(SIGUSR1, jump_from_handler);
	for (n = 0; n < 3; n++) {
		int by = sigsetjmp(jump_out, 1);

		if (!by)
			raise(SIGUSR1);
		CHECK(by == SIGUSR1);
		sigprocmask(SIG_BLOCK, NULL, &set);
		CHECK(sigismember(&set, SIGUSR1) == 0);
	}

	stack.ss_sp = room;
	stack.ss_size = sizeof(room);
	stack.ss_flags = 0;
	CHECK(sigaltstack(&stack, NULL) == 0);
	memset(&action, 0, sizeof(action));
	action.sa_handler = catch_one;
	action.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR1, &action, NULL);
	caught = 0;
	CHECK(raise(SIGUSR1) == 0 && caught == SIGUSR1);

	pid = fork();
	if (!pid) {
		signal(SIGTERM, SIG_DFL);
		raise(SIGTERM);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	pid = fork();
	if (!pid)
		_exit(42);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42);
	CHECK(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
}

static void files(void)
{
	char path[] = "/tmp/nolibc-XXXXXX", *line = NULL, word[16];
	size_t size = 0;
	FILE *f;
	int fd = mkstemp(path), n, entries = 0;
	struct statfs fs;
	DIR *dir;
	struct dirent *entry;
	ssize_t got;

	f = fdopen(fd, "w+");
	CHECK(f != NULL);
	CHECK(fprintf(f, "one two\n%s\nlast", "a rather long second line") > 0);
	CHECK(fseek(f, 0, SEEK_SET) == 0);
	got = getline(&line, &size, f);
	SHOW("getline", "%d %s", (int)got, got > 0 ? strtok(line, "\n") : "");
	got = getline(&line, &size, f);
	SHOW("getline", "%d %s", (int)got, got > 0 ? strtok(line, "\n") : "");
	got = getline(&line, &size, f);
	SHOW("getline", "%d %s", (int)got, line);
	CHECK(getline(&line, &size, f) == -1 && feof(f));
	rewind(f);
	CHECK(!feof(f) && fgetc(f) == 'o' && ungetc('O', f) == 'O' && fgetc(f) == 'O' && fgetc(f) == 'n');
	rewind(f);
	n = fscanf(f, "%15s", word);
	SHOW("fscanf", "%d %s", n, word);
	n = fscanf(f, "%15s", word);
	SHOW("fscanf", "%d %s at %ld", n, word, ftell(f));
	CHECK(fclose(f) == 0);
	free(line);
	CHECK(fopen(path, "r+x9") != NULL || errno);
	CHECK(fopen("/nowhere/at/all", "r") == NULL && errno == ENOENT);
	CHECK(access(path, R_OK | W_OK) == 0);
	CHECK(rename(path, "/tmp/nolibc-renamed") == 0 && access(path, F_OK) == -1);
	CHECK(symlink("/tmp/nolibc-renamed", path) == 0);
	n = (int)readlink(path, word, sizeof(word));
	SHOW("readlink", "%d %.5s", n, word);
	CHECK(unlink(path) == 0 && remove("/tmp/nolibc-renamed") == 0);
	CHECK(mkdir(path, 0700) == 0 && mkdir(path, 0700) == -1 && errno == EEXIST);
	dir = opendir(path);
	/* An emulator that cuts positions in a folder finds no end. */
	while (dir && entries < 100 && (entry = readdir(dir)))
		entries++;
	CHECK(entries == 2);
	CHECK(dir && closedir(dir) == 0);
	CHECK(rmdir(path) == 0);
	CHECK(opendir(path) == NULL && errno == ENOENT);
	CHECK(statfs("/", &fs) == 0 && fs.f_bsize > 0 && fs.f_blocks > 0);
	CHECK(fcntl(0, F_GETFD) >= 0 && fcntl(-1, F_GETFD) == -1 && errno == EBADF);
	CHECK(sysconf(_SC_PAGESIZE) >= 4096 && sysconf(_SC_NPROCESSORS_ONLN) >= 1);
	CHECK(WEXITSTATUS(system("exit 3")) == 3);
}

static void sockets_and_waiting(void)
{
	int pair[2], pipes[2], epoll, n;
	struct epoll_event event, got;
	struct pollfd poller;
	struct timeval none = { 0, 0 };
	struct timespec now, later, short_time = { 0, 1000000 };
	struct in_addr v4;
	struct in6_addr v6;
	char text[64];
	fd_set set;
	struct msghdr message;
	struct iovec part;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(send(pair[0], "hello", 5, 0) == 5);
	CHECK(recv(pair[1], text, sizeof(text), MSG_PEEK) == 5 && !memcmp(text, "hello", 5));
	memset(&message, 0, sizeof(message));
	part.iov_base = text;
	part.iov_len = sizeof(text);
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	CHECK(recvmsg(pair[1], &message, 0) == 5);
	CHECK(socket(12345, 1, 0) == -1 && errno == EAFNOSUPPORT);
	CHECK(shutdown(pair[0], SHUT_WR) == 0 && recv(pair[1], text, 1, 0) == 0);
	CHECK(pipe(pipes) == 0);
	poller.fd = pipes[0];
	poller.events = POLLIN;
	CHECK(poll(&poller, 1, 0) == 0);
	epoll = epoll_create1(0);
	event.events = EPOLLIN;
	event.data.u64 = 0x123456789abcdefULL;
	CHECK(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &event) == 0);
	CHECK(epoll_wait(epoll, &got, 1, 0) == 0);
	CHECK(write(pipes[1], "x", 1) == 1);
	CHECK(poll(&poller, 1, 1000) == 1 && poller.revents == POLLIN);
	CHECK(epoll_wait(epoll, &got, 1, 1000) == 1 && got.data.u64 == 0x123456789abcdefULL);
	FD_ZERO(&set);
	FD_SET(pipes[0], &set);
	CHECK(select(pipes[0] + 1, &set, NULL, NULL, &none) == 1 && FD_ISSET(pipes[0], &set));
	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	CHECK(nanosleep(&short_time, NULL) == 0);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &later) == 0 &&
	      (later.tv_sec > now.tv_sec || later.tv_nsec - now.tv_nsec >= 1000000));
	CHECK(time(NULL) > 1600000000);

	n = inet_pton(AF_INET, "192.168.1.200", &v4);
	SHOW("inet_pton", "%d %x", n, (unsigned int)ntohl(v4.s_addr));
	SHOW("inet_pton", "%d", inet_pton(AF_INET, "1.2.3", &v4));
	SHOW("inet_pton", "%d", inet_pton(AF_INET, "1.2.3.256", &v4));
	SHOW("inet_pton", "%d", inet_pton(AF_INET6, "1::2::3", &v6));
	SHOW("inet_pton", "%d", inet_pton(AF_INET6, ":1::", &v6));
	{
		static const char *const addresses[] = { "::",	    "::1",	 "fe80::1",    "1:2:3:4:5:6:7:8", "2001:db8::",
							 "::ffff:1.2.3.4", "1:0:0:2::", "1:0:2:0:3:0:4:0" };
		unsigned int i;

		for (i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
			n = inet_pton(AF_INET6, addresses[i], &v6);
			SHOW(addresses[i], "%d %s", n, inet_ntop(AF_INET6, &v6, text, sizeof(text)));
		}
	}
	for (n = 1; n < 1 << 28; n = n * 5 + 3) {
		struct in_addr made = inet_makeaddr((in_addr_t)n, 0x1234567), from;

		from.s_addr = htonl((in_addr_t)n * 16U);
		SHOW("inet_makeaddr", "%x %x %x", (unsigned int)ntohl(made.s_addr), (unsigned int)inet_lnaof(from),
		     (unsigned int)inet_netof(from));
	}
	SHOW("struct ip_timestamp", "%d", (int)sizeof(struct ip_timestamp));
	SHOW("inet_addr", "%x %x", (unsigned int)ntohl(inet_addr("10.1")), (unsigned int)ntohl(inet_addr("0x7f.1")));
}

static void calendar(void)
{
	static const long long times[] = { 0, 951782400, 951868800, 1709164800, 4102444800LL, -1, -86401, 68169600 };
	char text[64];
	unsigned int i;

	for (i = 0; i < sizeof(times) / sizeof(*times); i++) {
		time_t when = (time_t)times[i];
		struct tm made;

		gmtime_r(&when, &made);
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %a %b %j", &made);
		SHOW("strftime", "%s", text);
		CHECK(timegm(&made) == when);
	}
}

int main(int argc, char **argv, char **envp)
{
	struct utsname names;

	ktap_begin();
	startup(argc, argv, envp);
	arguments();
	jumps_and_signals();
	files();
	sockets_and_waiting();
	calendar();
	CHECK(uname(&names) == 0 && !strcmp(names.sysname, "Linux"));
	return ktap_end();
}
