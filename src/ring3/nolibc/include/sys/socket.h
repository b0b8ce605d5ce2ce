#ifndef _NOLIBC_SYS_SOCKET_H
#define _NOLIBC_SYS_SOCKET_H

#include "../nolibc/sys.h"
#include "../nolibc/timespec.h"
#include "../nolibc/memory.h"
#include "../fcntl.h"
#include "uio.h"
#include <linux/socket.h>
#include <asm/socket.h>
#include <asm/sockios.h>

typedef __kernel_sa_family_t sa_family_t;
typedef unsigned int socklen_t;

/* Types of sockets: mips has the first two the other way round. */
enum __socket_type {
#ifdef __mips__
	SOCK_DGRAM = 1,
	SOCK_STREAM = 2,
#else
	SOCK_STREAM = 1,
	SOCK_DGRAM = 2,
#endif
	SOCK_RAW = 3,
	SOCK_RDM = 4,
	SOCK_SEQPACKET = 5,
	SOCK_DCCP = 6,
	SOCK_PACKET = 10,
	SOCK_CLOEXEC = O_CLOEXEC,
	SOCK_NONBLOCK =
#ifdef __hppa__
		0x40000000
#elif defined(__alpha__)
		0x40000000
#else
		O_NONBLOCK
#endif
};

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_LOCAL AF_UNIX
#define AF_INET 2
#define AF_AX25 3
#define AF_IPX 4
#define AF_APPLETALK 5
#define AF_NETROM 6
#define AF_BRIDGE 7
#define AF_X25 9
#define AF_INET6 10
#define AF_ROSE 11
#define AF_KEY 15
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_RDS 21
#define AF_PPPOX 24
#define AF_LLC 26
#define AF_IB 27
#define AF_CAN 29
#define AF_TIPC 30
#define AF_BLUETOOTH 31
#define AF_RXRPC 33
#define AF_PHONET 35
#define AF_CAIF 37
#define AF_ALG 38
#define AF_NFC 39
#define AF_VSOCK 40
#define AF_KCM 41
#define AF_QIPCRTR 42
#define AF_SMC 43
#define AF_XDP 44
#define AF_MCTP 45
#define AF_MAX 46
#define PF_UNSPEC AF_UNSPEC
#define PF_UNIX AF_UNIX
#define PF_LOCAL AF_LOCAL
#define PF_INET AF_INET
#define PF_AX25 AF_AX25
#define PF_IPX AF_IPX
#define PF_APPLETALK AF_APPLETALK
#define PF_NETROM AF_NETROM
#define PF_BRIDGE AF_BRIDGE
#define PF_X25 AF_X25
#define PF_INET6 AF_INET6
#define PF_ROSE AF_ROSE
#define PF_KEY AF_KEY
#define PF_NETLINK AF_NETLINK
#define PF_PACKET AF_PACKET
#define PF_RDS AF_RDS
#define PF_PPPOX AF_PPPOX
#define PF_LLC AF_LLC
#define PF_IB AF_IB
#define PF_CAN AF_CAN
#define PF_TIPC AF_TIPC
#define PF_BLUETOOTH AF_BLUETOOTH
#define PF_RXRPC AF_RXRPC
#define PF_PHONET AF_PHONET
#define PF_CAIF AF_CAIF
#define PF_ALG AF_ALG
#define PF_NFC AF_NFC
#define PF_VSOCK AF_VSOCK
#define PF_KCM AF_KCM
#define PF_QIPCRTR AF_QIPCRTR
#define PF_SMC AF_SMC
#define PF_XDP AF_XDP
#define PF_MCTP AF_MCTP
#define PF_MAX AF_MAX

#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_DONTROUTE 4
#define MSG_CTRUNC 8
#define MSG_TRUNC 0x20
#define MSG_DONTWAIT 0x40
#define MSG_EOR 0x80
#define MSG_WAITALL 0x100
#define MSG_CONFIRM 0x800
#define MSG_ERRQUEUE 0x2000
#define MSG_NOSIGNAL 0x4000
#define MSG_MORE 0x8000
#define MSG_WAITFORONE 0x10000
#define MSG_ZEROCOPY 0x4000000
#define MSG_FASTOPEN 0x20000000
#define MSG_CMSG_CLOEXEC 0x40000000

#define SHUT_RD 0
#define SHUT_WR 1
#define SHUT_RDWR 2
#define SOMAXCONN 4096
#define SCM_RIGHTS 1
#define SCM_CREDENTIALS 2
#define SOL_IP 0
#define SOL_TCP 6
#define SOL_UDP 17
#define SOL_IPV6 41
#define SOL_RAW 255
#define SOL_PACKET 263
#define SOL_NETLINK 270
#define SOL_TLS 282
#define SOL_XDP 283

struct sockaddr {
	sa_family_t sa_family;
	char sa_data[14];
};

#define sockaddr_storage __kernel_sockaddr_storage

struct linger {
	int l_onoff;
	int l_linger;
};

struct ucred {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* The kernel's: sizes are words. */
struct msghdr {
	void *msg_name;
	int msg_namelen;
	struct iovec *msg_iov;
	size_t msg_iovlen;
	void *msg_control;
	size_t msg_controllen;
	unsigned int msg_flags;
};

struct mmsghdr {
	struct msghdr msg_hdr;
	unsigned int msg_len;
};

struct cmsghdr {
	size_t cmsg_len;
	int cmsg_level;
	int cmsg_type;
};

#define CMSG_ALIGN(n) (((n) + sizeof(size_t) - 1) & ~(sizeof(size_t) - 1))
#define CMSG_SPACE(n) (CMSG_ALIGN(sizeof(struct cmsghdr)) + CMSG_ALIGN(n))
#define CMSG_LEN(n) (CMSG_ALIGN(sizeof(struct cmsghdr)) + (n))
#define CMSG_DATA(c) ((unsigned char *)(c) + CMSG_ALIGN(sizeof(struct cmsghdr)))
#define CMSG_FIRSTHDR(m)                                                                         \
	((m)->msg_controllen >= sizeof(struct cmsghdr) ? (struct cmsghdr *)(m)->msg_control : NULL)
#define CMSG_NXTHDR(m, c) __nolibc_cmsg_next(m, c)

NOLIBC_FN struct cmsghdr *__nolibc_cmsg_next(struct msghdr *message, struct cmsghdr *now)
{
	char *end = (char *)message->msg_control + message->msg_controllen;
	char *next = (char *)now + CMSG_ALIGN(now->cmsg_len);

	if (now->cmsg_len < sizeof(*now) || next + sizeof(*now) > end)
		return NULL;
	now = (struct cmsghdr *)(void *)next;
	return next + CMSG_ALIGN(now->cmsg_len) > end ? NULL : now;
}

/* Old architectures have one call for all of them; those that have both take the direct one. */
#ifdef __NR_socket
#define NOLIBC_SOCKET(name, old, ...) __nolibc_call(__NR_##name, __VA_ARGS__)
#else
#define NOLIBC_SOCKET(name, old, ...) __nolibc_socketcall(old, NOLIBC_SIX(__VA_ARGS__, 0, 0, 0, 0, 0, 0))
#define NOLIBC_SIX(a, b, c, d, e, f, ...) (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)

NOLIBC_FN __nolibc_word __nolibc_socketcall(int which, long a, long b, long c, long d, long e, long f)
{
	long args[6];

	args[0] = a;
	args[1] = b;
	args[2] = c;
	args[3] = d;
	args[4] = e;
	args[5] = f;
	__asm__ volatile("" : : "r" (args) : "memory");
	return __nolibc_call(__NR_socketcall, which, NOLIBC_P(args));
}
#endif

NOLIBC_FN int socket(int family, int type, int protocol)
{
	return (int)__nolibc_ret(NOLIBC_SOCKET(socket, 1, family, type, protocol));
}

NOLIBC_FN int socketpair(int family, int type, int protocol, int fds[2])
{
	return (int)__nolibc_ret(NOLIBC_SOCKET(socketpair, 8, family, type, protocol, NOLIBC_P(fds)));
}

NOLIBC_FN int bind(int fd, const struct sockaddr *address, socklen_t size)
{
	return (int)__nolibc_ret(NOLIBC_SOCKET(bind, 2, fd, NOLIBC_P(address), (int)size));
}

NOLIBC_FN int connect(int fd, const struct sockaddr *address, socklen_t size)
{
	return (int)__nolibc_ret(NOLIBC_WAIT_FOR(NOLIBC_SOCKET(connect, 3, fd, NOLIBC_P(address), (int)size)));
}

NOLIBC_FN int listen(int fd, int waiting)
{
	return (int)__nolibc_ret(NOLIBC_SOCKET(listen, 4, fd, waiting));
}

NOLIBC_FN int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	return (int)__nolibc_ret(NOLIBC_WAIT_FOR(NOLIBC_SOCKET(accept4, 18, fd, NOLIBC_P(address), NOLIBC_P(size), flags)));
}

NOLIBC_FN int accept(int fd, struct sockaddr *address, socklen_t *size)
{
	return accept4(fd, address, size, 0);
}

NOLIBC_FN int getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
	return (int)__nolibc_ret(NOLIBC_SOCKET(getsockname, 6, fd, NOLIBC_P(address), NOLIBC_P(size)));
}

NOLIBC_FN int getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
	return (int)__nolibc_ret(NOLIBC_SOCKET(getpeername, 7, fd, NOLIBC_P(address), NOLIBC_P(size)));
}

NOLIBC_FN int shutdown(int fd, int how)
{
	return (int)__nolibc_ret(NOLIBC_SOCKET(shutdown, 13, fd, how));
}

NOLIBC_FN int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
	return (int)__nolibc_ret(NOLIBC_SOCKET(setsockopt, 14, fd, level, name, NOLIBC_P(value), (int)size));
}

NOLIBC_FN int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	return (int)__nolibc_ret(NOLIBC_SOCKET(getsockopt, 15, fd, level, name, NOLIBC_P(value), NOLIBC_P(size)));
}

NOLIBC_FN ssize_t sendto(int fd, const void *from, size_t size, int flags, const struct sockaddr *address,
			 socklen_t address_size)
{
	return __nolibc_ret(NOLIBC_SOCKET(sendto, 11, fd, NOLIBC_P(from), NOLIBC_P(size), flags,
					  NOLIBC_P(address), (int)address_size));
}

NOLIBC_FN ssize_t recvfrom(int fd, void *to, size_t size, int flags, struct sockaddr *address,
			   socklen_t *address_size)
{
	return __nolibc_ret(NOLIBC_WAIT_FOR(NOLIBC_SOCKET(recvfrom, 12, fd, NOLIBC_P(to), NOLIBC_P(size), flags,
					  NOLIBC_P(address), NOLIBC_P(address_size))));
}

NOLIBC_FN ssize_t send(int fd, const void *from, size_t size, int flags)
{
	return sendto(fd, from, size, flags, NULL, 0);
}

NOLIBC_FN ssize_t recv(int fd, void *to, size_t size, int flags)
{
	return recvfrom(fd, to, size, flags, NULL, NULL);
}

NOLIBC_FN ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return __nolibc_ret(NOLIBC_SOCKET(sendmsg, 16, fd, NOLIBC_P(message), flags));
}

NOLIBC_FN ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return __nolibc_ret(NOLIBC_WAIT_FOR(NOLIBC_SOCKET(recvmsg, 17, fd, NOLIBC_P(message), flags)));
}

NOLIBC_FN int sendmmsg(int fd, struct mmsghdr *messages, unsigned int n, int flags)
{
	return (int)__nolibc_ret(NOLIBC_SOCKET(sendmmsg, 20, fd, NOLIBC_P(messages), (int)n, flags));
}

NOLIBC_FN int recvmmsg(int fd, struct mmsghdr *messages, unsigned int n, int flags, struct timespec *limit)
{
	return NOLIBC_INT(NOLIBC_NR_recvmmsg, fd, NOLIBC_P(messages), (int)n, flags, NOLIBC_P(limit));
}

#endif
