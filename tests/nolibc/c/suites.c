/* What the test suites of other libcs look at, and the headers once had otherwise. */
#define _GNU_SOURCE
#include "ktap.h"
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static void dates(void)
{
	static const char conversions[] = "aAbBcdDeFgGhHIjklmMpPrRsSTuUVwWxXyYzZ";
	static const long long seconds[] = { 0, 951782400, 1230768000, 1293839999, 1483228800, 4107542399LL,
					     -1, -2208988801LL, 253402300800LL };
	char name[8], text[64];
	unsigned int n, c;

	for (n = 0; n < sizeof(seconds) / sizeof(*seconds); n++) {
		char line[1000] = "";
		time_t at = (time_t)seconds[n];
		struct tm tm;

		gmtime_r(&at, &tm);
		tm.tm_zone = "Zone";
		for (c = 0; conversions[c]; c++) {
			sprintf(name, "%%%c|", conversions[c]);
			strftime(text, sizeof(text), name, &tm);
			strcat(line, text);
		}
		SHOW("strftime", "%s", line);
		strftime(text, sizeof(text), "%-d %_m %05Y %^a %#p %Ey %OH %3S %-j %#B", &tm);
		SHOW("strftime's flags", "%s", text);
		CHECK(!strftime(text, 5, "%F", &tm));
		CHECK(strftime(text, 5, "%H%M", &tm) == 4);
	}
}

static void patterns(void)
{
	static const char *const patterns[] = { "[[:alpha:]]", "[![:digit:]]*", "[[:upper:]x]?", "[[.-.]a]",
						"*[[:space:]]", "[a-[.c.]]", "[[:xdigit:]-]" };
	static const char *const texts[] = { "a", "Z", "7", "bc", "x y ", "-", "Bc", "" };
	unsigned int p, t;
	char line[80];

	for (p = 0; p < sizeof(patterns) / sizeof(*patterns); p++) {
		for (t = 0; t < sizeof(texts) / sizeof(*texts); t++)
			sprintf(line + 2 * t, "%d%d", fnmatch(patterns[p], texts[t], 0),
				fnmatch(patterns[p], texts[t], FNM_CASEFOLD));
		SHOW(patterns[p], "%s", line);
	}
	SHOW("equivalents", "%d %d", fnmatch("[[=b=]]c", "bc", 0), fnmatch("[[=b=]]c", "ac", 0));
}

static void counts(void)
{
	char text[40];
	signed char tiny = 1;
	short little = 1;
	int plain = 1;
	long large = 1;
	long long huge = 1;

	sprintf(text, "a%hhnb%hnc%nd%lne%llnf", &tiny, &little, &plain, &large, &huge);
	SHOW("%n", "%s %d %d %d %ld %lld", text, tiny, little, plain, large, huge);
	snprintf(text, 3, "%*d%n", 9, 5, &plain);
	SHOW("%n of what did not fit", "%s %d", text, plain);
}

static void streams(void)
{
	char text[20], name[] = "/tmp/suitesXXXXXX";
	FILE *file;
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	CHECK((file = fdopen(fd, "w+")));
	CHECK(fwrite("abcdefgh", 1, 8, file) == 8);
	CHECK(fwrite("x", 0, 5, file) == 0 && fwrite("x", 5, 0, file) == 0);
	rewind(file);
	CHECK(fread(text, 3, 5, file) == 2 && feof(file));
	CHECK(fread(text, 0, 5, file) == 0);
	rewind(file);
	CHECK(fgets(text, 1, file) == text && !*text);
	CHECK(fscanf(file, "%1[a]%*d", text) == 1);
	CHECK(ungetc('y', file) == 'y' && ftell(file) == 0);
	CHECK(fgetc(file) == 'y' && fgetc(file) == 'b');
	fclose(file);
	CHECK((fd = open(name, O_WRONLY)) >= 0);
	CHECK((file = fdopen(fd, "a")));
	CHECK(fputs("12", file) >= 0 && !fflush(file) && ftell(file) == 10);
	fclose(file);
	CHECK((file = fopen(name, "r")));
	CHECK(!ferror(file));
	fputc('x', file);
	CHECK(fflush(file) || ferror(file));
	CHECK(ferror(file));
	fclose(file);
	unlink(name);
	CHECK((file = tmpfile()) && !fclose(file));
	CHECK((file = popen("echo popen; exit 3", "r")));
	CHECK(fgets(text, sizeof(text), file) && !strcmp(text, "popen\n"));
	SHOW("pclose", "%d", pclose(file));
}

static void on_abort(int signal)
{
	static const char said[] = "# handler\n";

	(void)signal;
	if (write(1, said, sizeof(said) - 1) < 0)
		_exit(9);
}

static void aborts(void)
{
	int how, status;

	for (how = 0; how < 3; how++) {
		pid_t pid = fork();

		if (!pid) {
			sigset_t all;

			sigfillset(&all);
			if (how == 1)
				signal(SIGABRT, SIG_IGN);
			if (how == 2)
				signal(SIGABRT, on_abort);
			sigprocmask(SIG_BLOCK, &all, NULL);
			abort();
		}
		waitpid(pid, &status, 0);
		SHOW("abort", "%d %d", how, WIFSIGNALED(status) ? WTERMSIG(status) : -status);
	}
}

static void signals(void)
{
	sigset_t mask;

	CHECK(!sighold(SIGUSR1) && !sigprocmask(SIG_BLOCK, NULL, &mask) && sigismember(&mask, SIGUSR1) == 1);
	CHECK(!sigrelse(SIGUSR1) && !sigprocmask(SIG_BLOCK, NULL, &mask) && sigismember(&mask, SIGUSR1) == 0);
	CHECK(!sigignore(SIGUSR2) && !raise(SIGUSR2));
	CHECK(sighold(1000) == -1 && errno == EINVAL);
	CHECK(sigset(SIGUSR1, SIG_HOLD) == SIG_DFL);
	CHECK(sigset(SIGUSR1, SIG_IGN) == SIG_HOLD);
	CHECK(sigset(SIGUSR1, SIG_DFL) == SIG_IGN);
}

static void options(void)
{
	static char *argv[] = { "x", "--lon", "--lo", NULL };
	static const struct option longs[] = {
		{ "long-a", 0, NULL, 7 }, { "long-b", 0, NULL, 7 }, { "lot", 0, NULL, 8 }, { NULL, 0, NULL, 0 }
	};

	opterr = 0;
	optind = 1;
	SHOW("one meaning", "%d", getopt_long(3, argv, "", longs, NULL));
	SHOW("two meanings", "%d", getopt_long(3, argv, "", longs, NULL));
}

static void memory(void)
{
	union semun {
		int val;
		struct semid_ds *buf;
		unsigned short *array;
	} argument;
	struct sembuf change = { 0, -2, IPC_NOWAIT };
	struct semid_ds about;
	char *at;
	int id = semget(IPC_PRIVATE, 2, 0600), fd = shm_open("/suites-of-others", O_CREAT | O_RDWR, 0600);

	CHECK(fd >= 0 && !ftruncate(fd, 100));
	at = mmap(NULL, 100, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(at != MAP_FAILED && !posix_madvise(at, 100, POSIX_MADV_WILLNEED) && !at[99]);
	CHECK(!shm_unlink("/suites-of-others") && shm_unlink("/suites-of-others") == -1);
	CHECK(shm_open("/a/b", O_RDWR, 0) == -1 && errno == EINVAL);
	CHECK(id >= 0);
	argument.val = 3;
	CHECK(!semctl(id, 0, SETVAL, argument));
	CHECK(!semop(id, &change, 1) && semctl(id, 0, GETVAL) == 1);
	CHECK(semop(id, &change, 1) == -1 && errno == EAGAIN);
	argument.buf = &about;
	CHECK(!semctl(id, 0, IPC_STAT, argument));
	CHECK(!semctl(id, 0, IPC_RMID));
}

static void locks(void)
{
	char name[] = "/tmp/suitesXXXXXX";
	int fd = mkstemp(name), status;
	struct flock lock;

	unlink(name);
	memset(&lock, 0, sizeof(lock));
	lock.l_type = F_WRLCK;
	lock.l_start = 5LL << 32;
	lock.l_len = 7;
	CHECK(!fcntl(fd, F_SETLK, &lock));
	if (!fork()) {
		lock.l_start = 0;
		lock.l_len = 0;
		_exit(!(!fcntl(fd, F_GETLK, &lock) && lock.l_type == F_WRLCK && lock.l_start == 5LL << 32 &&
			lock.l_len == 7 && lock.l_pid == getppid()));
	}
	wait(&status);
	SHOW("the lock that a child sees", "%d", status);
	CHECK(!lockf(fd, F_ULOCK, 0));
	close(fd);
}

static void intervals(void)
{
	struct itimerval set, now;

	memset(&set, 0, sizeof(set));
	set.it_value.tv_sec = 100;
	set.it_value.tv_usec = 900000;
	CHECK(!setitimer(ITIMER_REAL, &set, NULL) && !getitimer(ITIMER_REAL, &now));
	CHECK(now.it_value.tv_sec == 100 && now.it_value.tv_usec > 100000 && now.it_value.tv_usec < 1000000);
	CHECK(alarm(0) == 101);
}

static void terminals(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	struct termios state;

	if (master < 0)
		return;
	CHECK(!tcgetattr(master, &state) && state.c_lflag & ICANON && state.c_lflag & ECHO);
	cfmakeraw(&state);
	CHECK(!cfsetospeed(&state, B9600) && !tcsetattr(master, TCSANOW, &state));
	memset(&state, 0, sizeof(state));
	CHECK(!tcgetattr(master, &state) && !(state.c_lflag & (ICANON | ECHO)) && cfgetospeed(&state) == B9600);
	CHECK(state.c_cc[VMIN] == 1 && !(state.c_oflag & OPOST));
	CHECK(!tcflush(master, TCIOFLUSH) && tcsetattr(master, 77, &state) == -1 && errno == EINVAL);
	close(master);
	CHECK(tcgetattr(master, &state) == -1 && errno == EBADF);
	CHECK(tcgetpgrp(master) == -1 && errno == EBADF);
}

static void jumps(void)
{
	static jmp_buf within;
	volatile int turns = 0;
	int came;

	/* From the function that setjmp was called in, whose registers no call has stored since. */
	came = setjmp(within);
	if (turns < 3) {
		turns++;
		longjmp(within, turns - 1);
	}
	SHOW("jumps within a function", "%d %d", came, turns);
}

static void smallest(void)
{
	char text[60];

	/* Of 64 bits of mantissa (x87's and m68k's, whose exponents begin differently) the one worth least. */
	snprintf(text, sizeof(text), "%.0Le", strtold("0x1p-16445", NULL));
	CHECK(__LDBL_MANT_DIG__ != 64 || !strcmp(text, "4e-4951"));
}

static void rest(void)
{
	static const char *const versions[] = { "a1", "a01", "a10", "a9", "000", "00", "1.01", "1.1", "b", "" };
	struct passwd one, *found;
	char buf[200], line[120] = "";
	unsigned short state[3] = { 1, 2, 3 };
	unsigned int a, b;

	for (a = 0; a < 10; a++)
		for (b = 0; b < 10; b++) {
			int order = strverscmp(versions[a], versions[b]);

			strcat(line, order < 0 ? "<" : order ? ">" : "=");
		}
	SHOW("strverscmp", "%s", line);
	srand48(7);
	SHOW("lrand48", "%ld", lrand48());
	SHOW("mrand48", "%ld", mrand48());
	SHOW("nrand48", "%ld", nrand48(state));
	SHOW("jrand48", "%ld", jrand48(state));
	CHECK(!getpwuid_r(0, &one, buf, sizeof(buf), &found) && found == &one);
	SHOW("getpwuid_r", "%s %s", one.pw_name, one.pw_dir);
	CHECK(!getpwnam_r("no such user", &one, buf, sizeof(buf), &found) && !found);
	CHECK(getpwnam_r("root", &one, buf, 4, &found) == ERANGE && !found);
	setpwent();
	CHECK((found = getpwent()) && *found->pw_name);
	endpwent();
	SHOW("locale", "%s %s %d", setlocale(LC_ALL, NULL), localeconv()->decimal_point,
	     localeconv()->frac_digits == CHAR_MAX);
	CHECK(sysconf(_SC_VERSION) >= 200809L && sysconf(_SC_RTSIG_MAX) >= _POSIX_RTSIG_MAX);
	CHECK(sysconf(-5) == -1 && errno == EINVAL);
	SHOW("pathconf", "%ld %ld", pathconf("/", _PC_PATH_MAX), pathconf("/", _PC_PIPE_BUF));
	SHOW("widths", "%d %d", (int)(SIZE_MAX == (size_t)-1), (int)(WCHAR_MAX > 0));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	ktap_begin();
	dates();
	patterns();
	counts();
	streams();
	aborts();
	signals();
	options();
	memory();
	locks();
	intervals();
	terminals();
	jumps();
	smallest();
	rest();
	return ktap_end();
}
