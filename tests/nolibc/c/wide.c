/* The headers that kselftests ask for beyond POSIX's core: names, networks, IPC, clocks, options. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <getopt.h>
#include <grp.h>
#include <libgen.h>
#include <mqueue.h>
#include <net/ethernet.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/fanotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timeb.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "ktap.h"

#ifdef __x86_64__
#define NATIVE 1
#else
#define NATIVE 0
#endif

static void names(void)
{
	static const char *const paths[] = { "",      "/",      "a",      "a/",   "/a",     "/a/",
					     "a/b",   "a//b//", "/a/b/", "//a//b", "..",   "../..",  ".",
					     "a/b/c", "///a",   "a///",  "/usr/lib", "/usr/", "usr" };
	static const char *const patterns[][2] = {
		{ "*", "abc" }, { "a*c", "abbc" }, { "a*c", "abb" }, { "?", "" }, { "[a-c]x", "bx" },
		{ "[!a-c]x", "bx" }, { "[]a]", "]" }, { "[a", "[a" }, { "\\*", "*" }, { "\\*", "a" },
		{ "*/b", "a/b" }, { "*", ".a" }, { "*.c", "x.c" }, { "**a**", "bab" }, { "a", "A" },
		{ "[A-C]", "b" }, { "*a*b*c", "xxaxxbxxc" }, { "*a*b*c", "xxaxxbxx" }, { "", "" },
		{ "x/*", "x/.y" }, { "a", "a/b" },
	};
	static const int flags[] = { 0, FNM_PATHNAME, FNM_PERIOD, FNM_PATHNAME | FNM_PERIOD, FNM_NOESCAPE,
				     FNM_CASEFOLD, FNM_LEADING_DIR };
	unsigned int i, n;

	for (i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		char one[20], two[20];

		strcpy(one, paths[i]);
		strcpy(two, paths[i]);
		SHOW("basename and dirname", "'%s' '%s' '%s'", paths[i], (basename)(one), dirname(two));
	}
	for (i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
		char found[8] = "";

		for (n = 0; n < sizeof(flags) / sizeof(*flags); n++)
			found[n] = fnmatch(patterns[i][0], patterns[i][1], flags[n]) ? '-' : '+';
		SHOW("fnmatch", "'%s' '%s' %s", patterns[i][0], patterns[i][1], found);
	}
}

static void long_options(const char *options, int count, const char *const *words, int only)
{
	static int flag;
	static const struct option longs[] = {
		{ "all", no_argument, NULL, 'a' },     { "file", required_argument, NULL, 'f' },
		{ "maybe", optional_argument, NULL, 'm' }, { "flag", no_argument, &flag, 7 },
		{ "allow", no_argument, NULL, 'w' },   { NULL, 0, NULL, 0 },
	};
	char text[600] = "";
	const char *argv[12];
	int c, i, at = 0;

	flag = 0;
	argv[0] = "program";
	for (i = 0; i < count; i++)
		argv[i + 1] = words[i];
	argv[count + 1] = NULL;
	optind = 0;
	opterr = 0;
	for (i = 0; i < 20; i++) {
		int which = -1;

		c = only ? getopt_long_only(count + 1, (char *const *)argv, options, longs, &which)
			 : getopt_long(count + 1, (char *const *)argv, options, longs, &which);
		if (c == -1)
			break;
		at += sprintf(text + at, " %d,%d,%s", c, which, optarg && c != '?' ? optarg : "-");
	}
	at += sprintf(text + at, " |%d %d", flag, optind);
	for (i = 1; i <= count; i++)
		at += sprintf(text + at, " %s", argv[i]);
	SHOW("getopt_long", "%s:%s", options, text);
}

static void options(void)
{
	static const char *const lines[][8] = {
		{ "--all", "--file", "x", "--file=y", NULL },
		{ "one", "--all", "two", "-f", "x", "three", NULL },
		{ "--maybe", "x", "--maybe=y", "--flag", NULL },
		{ "--fil", "x", "--al", "--unknown", NULL },
		{ "--all=x", "--file", NULL },
		{ "-abx", "--", "--all", NULL },
		{ "one", "two", "--", "-a", NULL },
		{ "-", "-a", "one", "--flag", NULL },
		{ "one", "-ab", "two", "--file", "x", NULL },
		{ NULL },
		{ "-all", "-file", "x", "-a", NULL },
	};
	static const char *const kinds[] = { "abf:m::", "+abf:", "-abf:", ":abf:" };
	unsigned int i, n;
	int count;

	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		for (n = 0; n < sizeof(kinds) / sizeof(*kinds); n++) {
			for (count = 0; lines[i][count]; count++)
				;
			long_options(kinds[n], count, lines[i], 0);
			if (i == 0 || i > 9)
				long_options(kinds[n], count, lines[i], 1);
		}
}

static void resolve(const char *host, const char *service, int flags, int family, int type)
{
	struct addrinfo like, *list = NULL, *one;
	char text[500] = "", number[64], port[16];
	int result, at = 0;

	memset(&like, 0, sizeof(like));
	like.ai_flags = flags;
	like.ai_family = family;
	like.ai_socktype = type;
	result = getaddrinfo(host, service, &like, &list);
	at = sprintf(text, "%d", result);
	for (one = list; !result && one; one = one->ai_next) {
		getnameinfo(one->ai_addr, one->ai_addrlen, number, sizeof(number), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
		at += sprintf(text + at, " %d/%s/%d/%d/%s/%s", one->ai_family,
			      one->ai_socktype == SOCK_STREAM  ? "stream"
			      : one->ai_socktype == SOCK_DGRAM ? "datagram"
							       : "raw",
			      one->ai_protocol, (int)one->ai_addrlen, number, port);
	}
	if (!result)
		freeaddrinfo(list);
	SHOW("getaddrinfo", "%s %s: %s", host ? host : "-", service ? service : "-", text);
}

static void networks(void)
{
	struct ether_addr address;
	struct ether_header *header = NULL;

	resolve("127.0.0.1", "80", AI_NUMERICHOST, AF_UNSPEC, SOCK_STREAM);
	resolve("::1", "65535", AI_NUMERICHOST, AF_UNSPEC, SOCK_DGRAM);
	resolve("1.2.3.4", NULL, 0, AF_INET, 0);
	resolve("fe80::1", "1", AI_NUMERICHOST, AF_INET6, SOCK_STREAM);
	resolve("1.2.3.4", "1", AI_NUMERICHOST, AF_INET6, SOCK_STREAM);
	resolve("no address", "1", AI_NUMERICHOST, AF_UNSPEC, SOCK_STREAM);
	resolve(NULL, "7", AI_PASSIVE, AF_INET, SOCK_STREAM);
	resolve(NULL, "7", 0, AF_INET6, SOCK_STREAM);
	resolve(NULL, NULL, 0, AF_INET, SOCK_STREAM);
	resolve("1.2.3.4", "x1", AI_NUMERICSERV, AF_INET, SOCK_STREAM);
	SHOW("gai_strerror", "%s", gai_strerror(EAI_NONAME));
	CHECK(ether_aton_r("1:2:a:B:c0:ff", &address) == &address);
	SHOW("ether_ntoa", "%s", ether_ntoa(&address));
	CHECK(!ether_aton_r("1:2:3:4:5", &address));
	SHOW("sizes", "%d %d %d %d %d", (int)sizeof(*header), (int)sizeof(struct ether_arp),
	     (int)sizeof(struct ip6_hdr), (int)sizeof(struct icmp6_hdr), (int)sizeof(struct ip6_frag));
	SHOW("types", "%x %x %d", ETHERTYPE_IPV6, ETHERTYPE_ARP, ETHER_MAX_LEN);
}

static void users(void)
{
	struct passwd *user = getpwnam("root");
	struct group *group;

	SHOW("getpwnam", "%d %d %s", (int)user->pw_uid, (int)user->pw_gid, user->pw_dir);
	SHOW("getpwuid", "%s", getpwuid(0)->pw_name);
	CHECK(!getpwnam("no such user"));
	group = getgrnam("root");
	SHOW("getgrnam", "%d %d", (int)group->gr_gid, !group->gr_mem[0]);
	SHOW("getgrgid", "%s", getgrgid(0)->gr_name);
}

static void memory_of_all(void)
{
	struct shmid_ds info;
	int id = shmget(IPC_PRIVATE, 5000, IPC_CREAT | 0600);
	char *at;

	if (id < 0) {
		/* A kernel without System V's IPC. */
		SHOW("shmget", "%s", "none");
		return;
	}
	at = shmat(id, NULL, 0);
	CHECK(at != (void *)-1);
	strcpy(at, "shared");
	memset(&info, 0xff, sizeof(info));
	CHECK(!shmctl(id, IPC_STAT, &info));
	SHOW("shmget", "%d %d %d", (int)info.shm_segsz, (int)info.shm_nattch, info.shm_perm.uid == geteuid());
	CHECK(info.shm_cpid == getpid());
	CHECK(info.shm_atime > 1600000000 && info.shm_dtime == 0);
	info.shm_perm.mode = 0640;
	CHECK(!shmctl(id, IPC_SET, &info));
	CHECK(!shmctl(id, IPC_STAT, &info));
	/* qemu-user takes a mode for 16 bits wide, and the counts of messages for one word further on. */
	CHECK(!NATIVE || (info.shm_perm.mode & 0777) == 0640);
	CHECK(!shmdt(at));
	CHECK(!shmctl(id, IPC_RMID, NULL));
	CHECK(shmctl(id, IPC_STAT, &info) == -1 && (errno == EINVAL || errno == EIDRM));
	CHECK(shmat(-1, NULL, 0) == (void *)-1 && errno == EINVAL);
}

static void messages(void)
{
	struct {
		long type;
		char text[16];
	} message = { 3, "hello" };
	struct msqid_ds info;
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

	if (id < 0) {
		SHOW("msgget", "%s", "none");
		return;
	}
	CHECK(!msgsnd(id, &message, 6, 0));
	memset(&info, 0xff, sizeof(info));
	CHECK(!msgctl(id, IPC_STAT, &info));
	CHECK(!NATIVE || (info.msg_qnum == 1 && info.msg_lspid == getpid()));
	memset(&message, 0, sizeof(message));
	SHOW("msgrcv", "%d", (int)msgrcv(id, &message, sizeof(message.text), 0, 0));
	SHOW("message", "%ld %s", message.type, message.text);
	CHECK(msgrcv(id, &message, sizeof(message.text), 0, IPC_NOWAIT) == -1 && errno == ENOMSG);
	CHECK(!msgctl(id, IPC_RMID, NULL));
}

static void queues(void)
{
	struct mq_attr about;
	struct timespec past = { 1, 0 };
	unsigned int priority = 0;
	char text[64] = "";
	mqd_t queue;

	memset(&about, 0, sizeof(about));
	about.mq_maxmsg = 2;
	about.mq_msgsize = 32;
	mq_unlink("/ring3-wide");
	queue = mq_open("/ring3-wide", O_RDWR | O_CREAT | O_EXCL, 0600, &about);
	if (queue < 0) {
		SHOW("mq_open", "%s", "none");
		return;
	}
	CHECK(!mq_send(queue, "low", 4, 1));
	CHECK(!mq_send(queue, "high", 5, 9));
	CHECK(!mq_getattr(queue, &about));
	SHOW("mq_getattr", "%ld %ld %ld", (long)about.mq_maxmsg, (long)about.mq_msgsize, (long)about.mq_curmsgs);
	CHECK(mq_timedsend(queue, "full", 5, 1, &past) == -1 && errno == ETIMEDOUT);
	SHOW("mq_receive", "%d", (int)mq_receive(queue, text, sizeof(text), &priority));
	SHOW("message", "%s %u", text, priority);
	CHECK(!mq_close(queue));
	CHECK(!mq_unlink("/ring3-wide"));
}

static void clocks(void)
{
	struct timex about;
	struct timeb now;
	time_t before = time(NULL);
	char text[26];

	memset(&about, 0, sizeof(about));
	CHECK(adjtimex(&about) >= 0);
	CHECK(about.time.tv_sec >= before && about.time.tv_sec < before + 100);
	CHECK(about.tick >= 9000 && about.tick <= 11000);
	about.modes = 0;
	CHECK(clock_adjtime(CLOCK_REALTIME, &about) >= 0);
	CHECK(clock_adjtime((clockid_t)77, &about) == -1 && errno == EINVAL);
	before = 951786000; /* a 29th of February */
	SHOW("ctime_r", "%.24s", ctime_r(&before, text));
	before += 86400;
	SHOW("ctime_r", "%.24s", ctime_r(&before, text));
	before = time(NULL);
	CHECK(!ftime(&now) && now.time >= before && now.millitm < 1000);
}

static int answer(void *arg)
{
	return *(int *)arg;
}

static void children(void)
{
	static char stack[65536] __attribute__((__aligned__(16)));
	int code = 42, status = 0;
	pid_t pid = clone(answer, stack + sizeof(stack), SIGCHLD, &code);

	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	SHOW("clone", "%d %d", WIFEXITED(status), WEXITSTATUS(status));
	CHECK(clone(NULL, stack, SIGCHLD, NULL) == -1 && errno == EINVAL);
}

static void files(void)
{
	struct statvfs about;
	cpu_set_t *set = CPU_ALLOC(100);
	int ends[2], fd, master;
	char name[32] = "";

	CHECK(!statvfs("/proc", &about));
	SHOW("statvfs", "%d %d", (int)about.f_namemax, about.f_frsize == about.f_bsize);
	CHECK(statvfs("/no/such", &about) == -1 && errno == ENOENT);
	fd = memfd_create("x", MFD_CLOEXEC);
	if (fd >= 0) {
		CHECK(!fstatvfs(fd, &about));
		close(fd);
	}
	CHECK(!pipe(ends));
	CHECK(write(ends[1], "piped", 5) == 5);
	fd = open("/dev/null", O_WRONLY);
	SHOW("splice", "%d", (int)splice(ends[0], NULL, fd, NULL, 5, SPLICE_F_MOVE));
	CHECK(lgetxattr("/", "user.none", name, 0) == -1);
	CHECK(flistxattr(-1, name, 0) == -1 && errno == EBADF);
	CHECK(fremovexattr(-1, "user.x") == -1 && errno == EBADF);
	CHECK(fanotify_mark(-1, FAN_MARK_ADD, FAN_OPEN, -1, "/") == -1);
	CHECK(fsopen("no such type", 0) == -1);
	CPU_ZERO_S(CPU_ALLOC_SIZE(100), set);
	CPU_SET_S(77, CPU_ALLOC_SIZE(100), set);
	CHECK(CPU_ISSET_S(77, CPU_ALLOC_SIZE(100), set));
	CHECK(!CPU_ISSET_S(76, CPU_ALLOC_SIZE(100), set));
	CPU_CLR_S(77, CPU_ALLOC_SIZE(100), set);
	CHECK(!CPU_ISSET_S(77, CPU_ALLOC_SIZE(100), set));
	CPU_FREE(set);
	CHECK(ptsname_r(-1, name, sizeof(name)) == EBADF);
	master = posix_openpt(O_RDWR | O_NOCTTY);
	if (master >= 0) {
		CHECK(isatty(master));
		CHECK(!grantpt(master) && !unlockpt(master));
		CHECK(!strncmp(ptsname(master), "/dev/pts/", 9));
		close(master);
	}
	CHECK(execveat(-1, "/no/such", NULL, NULL, 0) == -1);
	CHECK(!isatty(ends[0]) && errno == ENOTTY);
	SHOW("sysexits", "%d %d", EX_USAGE, EX_CONFIG);
	SHOW("exchange", "%d", RENAME_EXCHANGE);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	ktap_begin();
	names();
	options();
	networks();
	users();
	memory_of_all();
	messages();
	queues();
	clocks();
	children();
	files();
	return ktap_end();
}
