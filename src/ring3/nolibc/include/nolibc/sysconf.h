/* What the system is like: sysconf, getpagesize, host names, the break. */
#ifndef NOLIBC_SYSCONF_H
#define NOLIBC_SYSCONF_H

#include "../sys/auxv.h"
#include "../sys/resource.h"
#include "../sys/utsname.h"
#include "../fcntl.h"
#include <linux/sysinfo.h>

enum {
	_SC_ARG_MAX,
	_SC_CHILD_MAX,
	_SC_CLK_TCK,
	_SC_NGROUPS_MAX,
	_SC_OPEN_MAX,
	_SC_PAGESIZE,
	_SC_NPROCESSORS_CONF,
	_SC_NPROCESSORS_ONLN,
	_SC_PHYS_PAGES,
	_SC_AVPHYS_PAGES,
	_SC_IOV_MAX,
	_SC_HOST_NAME_MAX,
	_SC_LINE_MAX,
	_SC_MONOTONIC_CLOCK,
	_SC_LEVEL1_DCACHE_LINESIZE,
	_SC_VERSION,
	_SC_2_VERSION,
	_SC_JOB_CONTROL,
	_SC_SAVED_IDS,
	_SC_CPUTIME,
	_SC_THREAD_CPUTIME,
	_SC_TIMERS,
	_SC_REALTIME_SIGNALS,
	_SC_MAPPED_FILES,
	_SC_MEMLOCK,
	_SC_MEMLOCK_RANGE,
	_SC_MEMORY_PROTECTION,
	_SC_MESSAGE_PASSING,
	_SC_SHARED_MEMORY_OBJECTS,
	_SC_FSYNC,
	_SC_SYNCHRONIZED_IO,
	_SC_CLOCK_SELECTION,
	_SC_SIGQUEUE_MAX,
	_SC_RTSIG_MAX,
	_SC_DELAYTIMER_MAX,
	_SC_TIMER_MAX,
	_SC_STREAM_MAX,
	_SC_TZNAME_MAX,
	_SC_LOGIN_NAME_MAX,
	_SC_TTY_NAME_MAX,
	_SC_SYMLOOP_MAX,
	_SC_ATEXIT_MAX,
	_SC_GETPW_R_SIZE_MAX,
	_SC_GETGR_R_SIZE_MAX,
	_SC_MQ_OPEN_MAX,
	_SC_MQ_PRIO_MAX,
	_SC_THREADS,
	_SC_XOPEN_VERSION
};
#define _SC_PAGE_SIZE _SC_PAGESIZE
#define _SC_NPROCESSORS_CONF _SC_NPROCESSORS_CONF
#define _SC_NPROCESSORS_ONLN _SC_NPROCESSORS_ONLN

enum {
	_PC_LINK_MAX,
	_PC_MAX_CANON,
	_PC_MAX_INPUT,
	_PC_NAME_MAX,
	_PC_PATH_MAX,
	_PC_PIPE_BUF,
	_PC_CHOWN_RESTRICTED,
	_PC_NO_TRUNC,
	_PC_VDISABLE
};

NOLIBC_FN int getpagesize(void)
{
#if NOLIBC_PAGE_SIZE_FIXED
	return NOLIBC_PAGE_SIZE_FIXED;
#else
	return (int)getauxval(AT_PAGESZ);
#endif
}

NOLIBC_FN int getdtablesize(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) ? 1024 : (int)limit.rlim_cur;
}

/* The processors that this process may run on: what tests size their work by. */
NOLIBC_FN int get_nprocs(void)
{
	unsigned long mask[128];
	long size = __nolibc_call(__NR_sched_getaffinity, 0, sizeof(mask), NOLIBC_P(mask)), i;
	int n = 0;

	for (i = 0; i < size / (long)sizeof(long); i++)
		for (; mask[i]; mask[i] &= mask[i] - 1)
			n++;
	return n ? n : 1;
}

NOLIBC_FN int get_nprocs_conf(void)
{
	return get_nprocs();
}

NOLIBC_FN long sysconf(int name)
{
	struct sysinfo info;
	struct rlimit limit;

	switch (name) {
	case _SC_ARG_MAX:
		return 131072;
	case _SC_CHILD_MAX:
		return getrlimit(RLIMIT_NPROC, &limit) || limit.rlim_cur == RLIM_INFINITY ?
		       -1 : (long)limit.rlim_cur;
	case _SC_CLK_TCK:
		return 100;
	case _SC_NGROUPS_MAX:
		return 65536;
	case _SC_OPEN_MAX:
		return getdtablesize();
	case _SC_PAGESIZE:
		return getpagesize();
	case _SC_NPROCESSORS_CONF:
	case _SC_NPROCESSORS_ONLN:
		return get_nprocs();
	case _SC_PHYS_PAGES:
	case _SC_AVPHYS_PAGES:
		if (__nolibc_ret(__nolibc_call(__NR_sysinfo, NOLIBC_P(&info))))
			return -1;
		return (long)((name == _SC_PHYS_PAGES ? info.totalram : info.freeram) /
			      (unsigned long)getpagesize() * info.mem_unit);
	case _SC_IOV_MAX:
		return 1024;
	case _SC_HOST_NAME_MAX:
		return 64;
	case _SC_LINE_MAX:
		return 2048;
	case _SC_JOB_CONTROL:
	case _SC_SAVED_IDS:
		return 1;
	case _SC_SIGQUEUE_MAX:
		return getrlimit(RLIMIT_SIGPENDING, &limit) || limit.rlim_cur == RLIM_INFINITY ?
		       -1 : (long)limit.rlim_cur;
	case _SC_RTSIG_MAX:
		return 32;
	case _SC_DELAYTIMER_MAX:
		return 0x7fffffff;
	case _SC_STREAM_MAX:
		return 256;
	case _SC_TZNAME_MAX:
		return 3;
	case _SC_LOGIN_NAME_MAX:
		return 256;
	case _SC_TTY_NAME_MAX:
		return 32;
	case _SC_SYMLOOP_MAX:
		return 40;
	case _SC_ATEXIT_MAX:
		return 64;
	case _SC_GETPW_R_SIZE_MAX:
	case _SC_GETGR_R_SIZE_MAX:
		return 1024;
	case _SC_MQ_PRIO_MAX:
		return 32768;
	case _SC_XOPEN_VERSION:
		return 700;
	case _SC_LEVEL1_DCACHE_LINESIZE:
		return 0;
	case _SC_TIMER_MAX:
	case _SC_MQ_OPEN_MAX:
	case _SC_THREADS:
		return -1; /* no limit; no threads */
	}
	if (name >= 0 && name <= _SC_XOPEN_VERSION)
		return 200809L; /* options of POSIX that are there */
	NOLIBC_SET_ERRNO(EINVAL);
	return -1;
}

/* What Linux promises of every path. */
NOLIBC_FN long pathconf(const char *path, int name)
{
	(void)path;
	switch (name) {
	case _PC_LINK_MAX:
		return 127;
	case _PC_MAX_CANON:
	case _PC_MAX_INPUT:
	case _PC_NAME_MAX:
		return 255;
	case _PC_PATH_MAX:
	case _PC_PIPE_BUF:
		return 4096;
	case _PC_CHOWN_RESTRICTED:
	case _PC_NO_TRUNC:
		return 1;
	case _PC_VDISABLE:
		return 0;
	}
	NOLIBC_SET_ERRNO(EINVAL);
	return -1;
}

NOLIBC_FN long fpathconf(int fd, int name)
{
	(void)fd;
	return pathconf(NULL, name);
}

NOLIBC_FN int gethostname(char *to, size_t size)
{
	struct utsname names;
	size_t n;

	if (uname(&names))
		return -1;
	n = strlen(names.nodename) + 1;
	if (n > size) {
		NOLIBC_SET_ERRNO(ENAMETOOLONG);
		return -1;
	}
	memcpy(to, names.nodename, n);
	return 0;
}

NOLIBC_FN int sethostname(const char *name, size_t size)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_sethostname, NOLIBC_P(name), NOLIBC_P(size)));
}

NOLIBC_FN int setdomainname(const char *name, size_t size)
{
	return (int)__nolibc_ret(__nolibc_call(__NR_setdomainname, NOLIBC_P(name), NOLIBC_P(size)));
}

/* The call gives the break that holds afterwards, the old one when it refused. */
NOLIBC_FN int brk(void *to)
{
	unsigned long now = (unsigned long)__nolibc_call(__NR_brk, NOLIBC_P(to));

	if (now >= (unsigned long)to)
		return 0;
	NOLIBC_SET_ERRNO(ENOMEM);
	return -1;
}

NOLIBC_FN void *sbrk(__INTPTR_TYPE__ more)
{
	unsigned long now = (unsigned long)__nolibc_call(__NR_brk, 0);

	if (more && (unsigned long)__nolibc_call(__NR_brk, NOLIBC_P(now + (unsigned long)more)) !=
			    now + (unsigned long)more) {
		NOLIBC_SET_ERRNO(ENOMEM);
		return (void *)-1;
	}
	return (void *)now;
}

#endif
