/*
 * The first process of a kernel that runs tests: runs each program of a list, one after the other, and
 * writes what it prints and how it ended into the kernel's own log, as KTAP.
 *
 *	/init LIST HOW
 *
 * LIST has a line "NAME TIMEOUT LIMIT PROGRAM" a test: seconds, bytes of output.  HOW is "off" or
 * "restart": how to end the machine.  Every line of a test's output stands behind "# ", as the kselftest
 * runner has it, so that it cannot be taken for one of the kernel's; control characters are written \xNN.
 * Writing to /dev/kmsg keeps the lines of tests and kernel whole and in the order of events.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_TESTS 4096
#define LINE 800 /* printk's records hold about 1,000 bytes */

struct test {
	char *name;
	char *program;
	long timeout; /* seconds */
	long limit;   /* bytes */
};

static struct test tests[MOST_TESTS];
static int log_fd = 1;

static void say(const char *format, ...)
{
	char line[LINE + 200];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (length >= (int)sizeof(line))
		length = sizeof(line) - 1;
	/* A full log of a kernel without printk.devkmsg=on refuses; the console still takes it. */
	if (write(log_fd, line, length) < 0) {
		write(1, line, length);
		write(1, "\n", 1);
	}
}

/* One line of a test's output, of printable characters. */
static void say_output(const char *text, int length)
{
	char line[4 * LINE + 8];
	int at = 0, i;

	line[at++] = '#';
	line[at++] = ' ';
	for (i = 0; i < length; i++) {
		unsigned char c = text[i];

		if (at > LINE) {
			say("%.*s", at, line);
			at = 2;
		}
		if ((c < ' ' && c != '\t') || c == 127)
			at += snprintf(line + at, 8, "\\x%02x", c);
		else
			line[at++] = c;
	}
	say("%.*s", at, line);
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static void prepare(void)
{
	static const char *const mounts[][3] = {
		{ "proc", "/proc", "" },
		{ "sysfs", "/sys", "" },
		{ "devtmpfs", "/dev", "" },
		{ "tmpfs", "/tmp", "mode=1777" },
		{ "tmpfs", "/run", "mode=0755" },
		{ "tmpfs", "/dev/shm", "mode=1777" },
		{ "devpts", "/dev/pts", "newinstance,ptmxmode=0666" },
		{ "mqueue", "/dev/mqueue", "" },
		{ "debugfs", "/sys/kernel/debug", "" },
		{ "tracefs", "/sys/kernel/tracing", "" },
		{ "securityfs", "/sys/kernel/security", "" },
		{ "cgroup2", "/sys/fs/cgroup", "" },
	};
	struct ifreq loopback;
	unsigned int i;
	int fd;

	umask(022);
	/* What this kernel does not have is not there for the tests either. */
	for (i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		mkdir(mounts[i][1], 0755);
		mount(mounts[i][0], mounts[i][1], mounts[i][0], 0, mounts[i][2]);
	}
	mkdir("/dev/fd", 0755);
	rmdir("/dev/fd");
	symlink("/proc/self/fd", "/dev/fd");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd >= 0) {
		memset(&loopback, 0, sizeof(loopback));
		strcpy(loopback.ifr_name, "lo");
		loopback.ifr_flags = IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &loopback);
		close(fd);
	}
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		log_fd = fd;
}

/* Takes LIST apart in place; the number of tests. */
static int read_list(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC), count = 0;
	char *text, *at;
	long got = 0, n;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -1;
	text = malloc(status.st_size + 1);
	while (text && got < status.st_size && (n = read(fd, text + got, status.st_size - got)) > 0)
		got += n;
	close(fd);
	if (!text)
		return -1;
	text[got] = 0;
	for (at = text; *at && count < MOST_TESTS; count++) {
		struct test *test = &tests[count];
		char *end = strchr(at, '\n');

		if (end)
			*end = 0;
		test->name = at;
		at = strchr(at, ' ');
		if (!at)
			return -1;
		*at = 0;
		test->timeout = strtol(at + 1, &at, 10);
		test->limit = strtol(at, &at, 10);
		if (*at != ' ')
			return -1;
		test->program = at + 1;
		if (!end)
			return count + 1;
		at = end + 1;
	}
	return count;
}

static void child(const struct test *test, int output)
{
	char *args[] = { test->program, NULL };
	char *environment[] = { "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/", "TERM=dumb", NULL };
	int null = open("/dev/null", O_RDWR);

	setsid();
	dup2(null, 0);
	dup2(output, 1);
	dup2(output, 2);
	if (null > 2)
		close(null);
	chdir("/tmp");
	execve(test->program, args, environment);
	dprintf(2, "ring3: cannot be started: errno %d\n", errno);
	_exit(127);
}

/* Whoever is left but kernel threads: ended and reaped; how many there were. */
static int sweep(void)
{
	int count = 0;

	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		count++;
	return count;
}

static void run(int number, const struct test *test)
{
	static char line[LINE];
	long long began = now(), deadline = began + 1000 * test->timeout, spent;
	int ends[2], status = 0, used = 0, over = 0, late = 0, flood = 0, left, code;
	long seen = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		say("not ok %d %s # ERROR no process: errno %d", number, test->name, errno);
		return;
	}
	if (pid == 0)
		child(test, ends[1]);
	close(ends[1]);
	while (!flood) {
		struct pollfd input = { ends[0], POLLIN, 0 };
		long long wait = over ? 0 : deadline - now();
		int ready, got, i;
		char chunk[4096];

		if (wait < 0)
			wait = 0;
		/* The program may end while a child of its holds the pipe: look for both. */
		ready = poll(&input, 1, wait < 100 ? (int)wait : 100);
		if (!over && waitpid(pid, &status, WNOHANG) == pid)
			over = 1;
		else if (!over && now() >= deadline) {
			late = 1;
			kill(-pid, SIGKILL);
			waitpid(pid, &status, 0);
			over = 1;
		}
		if (ready <= 0) {
			if (over)
				break;
			continue;
		}
		got = read(ends[0], chunk, sizeof(chunk));
		if (got <= 0) {
			if (!over) {
				/* It closed its output and runs on. */
				while (!over && now() < deadline) {
					poll(NULL, 0, 5);
					over = waitpid(pid, &status, WNOHANG) == pid;
				}
				if (!over) {
					late = 1;
					kill(-pid, SIGKILL);
					waitpid(pid, &status, 0);
				}
			}
			break;
		}
		seen += got;
		flood = seen > test->limit;
		for (i = 0; i < got; i++) {
			if (chunk[i] == '\n' || used == LINE) {
				say_output(line, used);
				used = 0;
			}
			if (chunk[i] != '\n')
				line[used++] = chunk[i];
		}
	}
	if (used)
		say_output(line, used);
	close(ends[0]);
	if (flood && !over) {
		kill(-pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	left = sweep();
	if (left)
		say("# ring3: left behind and killed: %d", left);
	spent = now() - began;
	code = WEXITSTATUS(status);
	if (flood)
		say("not ok %d %s # ERROR flood: more than %ld bytes of output", number, test->name,
		    test->limit);
	else if (late)
		say("not ok %d %s # TIMEOUT %ld seconds", number, test->name, test->timeout);
	else if (WIFSIGNALED(status))
		say("not ok %d %s # signal=%d ms=%d", number, test->name, WTERMSIG(status), (int)spent);
	else
		say("%s %d %s # %sexit=%d ms=%d", code == 0 || code == 4 ? "ok" : "not ok", number,
		    test->name, code == 4 ? "SKIP " : "", code, (int)spent);
}

int main(int argc, char **argv)
{
	int count, i;

	prepare();
	count = argc > 2 ? read_list(argv[1]) : -1;
	say("# ring3: init runs the tests");
	say("KTAP version 1");
	if (count < 0) {
		say("Bail out! no list of tests");
	} else {
		say("1..%d", count);
		for (i = 0; i < count; i++)
			run(i + 1, &tests[i]);
	}
	sync();
	reboot(argc > 2 && !strcmp(argv[2], "restart") ? RB_AUTOBOOT : RB_POWER_OFF);
	for (;;)
		pause();
}
