/* What the system is like: sysconf, getpagesize, host names, the break. */
#ifndef NOLIBC_SYSCONF_H
#define NOLIBC_SYSCONF_H

#include "../sys/auxv.h"
#include "../sys/resource.h"
#include "../sys/utsname.h"
#include "../fcntl.h"

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
	_SC_LEVEL1_DCACHE_LINESIZE
};
#define _SC_PAGE_SIZE _SC_PAGESIZE
#define _SC_NPROCESSORS_CONF _SC_NPROCESSORS_CONF
#define _SC_NPROCESSORS_ONLN _SC_NPROCESSORS_ONLN

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

struct __nolibc_sysinfo {
	long uptime;
	unsigned long loads[3], total, free, shared, buffer, total_swap, free_swap;
	unsigned short procs, pad;
	unsigned long total_high, free_high;
	unsigned int unit;
	char room[32];
};

NOLIBC_FN long sysconf(int name)
{
	struct __nolibc_sysinfo info;
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
		return (long)((name == _SC_PHYS_PAGES ? info.total : info.free) /
			      (unsigned long)getpagesize() * info.unit);
	case _SC_IOV_MAX:
		return 1024;
	case _SC_HOST_NAME_MAX:
		return 64;
	case _SC_LINE_MAX:
		return 2048;
	case _SC_MONOTONIC_CLOCK:
		return 200809L;
	case _SC_LEVEL1_DCACHE_LINESIZE:
		return 0;
	}
	NOLIBC_SET_ERRNO(EINVAL);
	return -1;
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
