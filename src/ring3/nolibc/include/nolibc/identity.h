/* Who a process is: numbers of processes, users, groups, sessions. */
#ifndef NOLIBC_IDENTITY_H
#define NOLIBC_IDENTITY_H

#include "sys.h"
#include "types.h"

NOLIBC_FN uid_t getuid(void)
{
#if defined(__NR_getuid32)
	return (uid_t)__nolibc_call(__NR_getuid32);
#elif defined(__NR_getxuid)
	return (uid_t)__nolibc_call(__NR_getxuid);
#else
	return (uid_t)__nolibc_call(__NR_getuid);
#endif
}

NOLIBC_FN uid_t geteuid(void)
{
#if defined(__NR_geteuid32)
	return (uid_t)__nolibc_call(__NR_geteuid32);
#else
	return (uid_t)__nolibc_call(__NR_geteuid);
#endif
}

NOLIBC_FN gid_t getgid(void)
{
#if defined(__NR_getgid32)
	return (gid_t)__nolibc_call(__NR_getgid32);
#elif defined(__NR_getxgid)
	return (gid_t)__nolibc_call(__NR_getxgid);
#else
	return (gid_t)__nolibc_call(__NR_getgid);
#endif
}

NOLIBC_FN gid_t getegid(void)
{
#if defined(__NR_getegid32)
	return (gid_t)__nolibc_call(__NR_getegid32);
#else
	return (gid_t)__nolibc_call(__NR_getegid);
#endif
}

NOLIBC_FN pid_t getppid(void)
{
	return (pid_t)__nolibc_call(__NR_getppid);
}

NOLIBC_FN int setuid(uid_t id)
{
#ifdef __NR_setuid32
	return NOLIBC_INT(__NR_setuid32, (int)id);
#else
	return NOLIBC_INT(__NR_setuid, (int)id);
#endif
}

NOLIBC_FN int setgid(gid_t id)
{
#ifdef __NR_setgid32
	return NOLIBC_INT(__NR_setgid32, (int)id);
#else
	return NOLIBC_INT(__NR_setgid, (int)id);
#endif
}

NOLIBC_FN int setreuid(uid_t real, uid_t effective)
{
#ifdef __NR_setreuid32
	return NOLIBC_INT(__NR_setreuid32, (int)real, (int)effective);
#else
	return NOLIBC_INT(__NR_setreuid, (int)real, (int)effective);
#endif
}

NOLIBC_FN int setregid(gid_t real, gid_t effective)
{
#ifdef __NR_setregid32
	return NOLIBC_INT(__NR_setregid32, (int)real, (int)effective);
#else
	return NOLIBC_INT(__NR_setregid, (int)real, (int)effective);
#endif
}

NOLIBC_FN int setresuid(uid_t real, uid_t effective, uid_t saved)
{
#ifdef __NR_setresuid32
	return NOLIBC_INT(__NR_setresuid32, (int)real, (int)effective, (int)saved);
#else
	return NOLIBC_INT(__NR_setresuid, (int)real, (int)effective, (int)saved);
#endif
}

NOLIBC_FN int setresgid(gid_t real, gid_t effective, gid_t saved)
{
#ifdef __NR_setresgid32
	return NOLIBC_INT(__NR_setresgid32, (int)real, (int)effective, (int)saved);
#else
	return NOLIBC_INT(__NR_setresgid, (int)real, (int)effective, (int)saved);
#endif
}

NOLIBC_FN int getresuid(uid_t *real, uid_t *effective, uid_t *saved)
{
#ifdef __NR_getresuid32
	return NOLIBC_INT(__NR_getresuid32, NOLIBC_P(real), NOLIBC_P(effective), NOLIBC_P(saved));
#else
	return NOLIBC_INT(__NR_getresuid, NOLIBC_P(real), NOLIBC_P(effective), NOLIBC_P(saved));
#endif
}

NOLIBC_FN int getresgid(gid_t *real, gid_t *effective, gid_t *saved)
{
#ifdef __NR_getresgid32
	return NOLIBC_INT(__NR_getresgid32, NOLIBC_P(real), NOLIBC_P(effective), NOLIBC_P(saved));
#else
	return NOLIBC_INT(__NR_getresgid, NOLIBC_P(real), NOLIBC_P(effective), NOLIBC_P(saved));
#endif
}

NOLIBC_FN int getgroups(int n, gid_t *to)
{
#ifdef __NR_getgroups32
	return NOLIBC_INT(__NR_getgroups32, n, NOLIBC_P(to));
#else
	return NOLIBC_INT(__NR_getgroups, n, NOLIBC_P(to));
#endif
}

NOLIBC_FN int setgroups(size_t n, const gid_t *from)
{
#ifdef __NR_setgroups32
	return NOLIBC_INT(__NR_setgroups32, (int)n, NOLIBC_P(from));
#else
	return NOLIBC_INT(__NR_setgroups, (int)n, NOLIBC_P(from));
#endif
}

NOLIBC_FN int seteuid(uid_t id)
{
	return setresuid((uid_t)-1, id, (uid_t)-1);
}

NOLIBC_FN int setegid(gid_t id)
{
	return setresgid((gid_t)-1, id, (gid_t)-1);
}

NOLIBC_FN pid_t gettid(void)
{
	return NOLIBC_INT(__NR_gettid);
}

NOLIBC_FN pid_t getpgid(pid_t pid)
{
	return NOLIBC_INT(__NR_getpgid, pid);
}

NOLIBC_FN pid_t getpgrp(void)
{
	return NOLIBC_INT(__NR_getpgid, 0);
}

NOLIBC_FN int setpgid(pid_t pid, pid_t group)
{
	return NOLIBC_INT(__NR_setpgid, pid, group);
}

NOLIBC_FN int setpgrp(void)
{
	return NOLIBC_INT(__NR_setpgid, 0, 0);
}

NOLIBC_FN pid_t getsid(pid_t pid)
{
	return NOLIBC_INT(__NR_getsid, pid);
}

NOLIBC_FN pid_t setsid(void)
{
	return NOLIBC_INT(__NR_setsid);
}

#endif
