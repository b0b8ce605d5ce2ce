#ifndef _NOLIBC_NET_IF_H
#define _NOLIBC_NET_IF_H

#include "../sys/socket.h"
#include "../sys/ioctl.h"
#include "../unistd.h"
#include <linux/if.h>
#include <linux/sockios.h>

#define IF_NAMESIZE IFNAMSIZ

/* Both ask the kernel through any socket. */
NOLIBC_FN int __nolibc_if_request(unsigned long request, struct ifreq *to)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;

	if (fd < 0)
		return -1;
	result = ioctl(fd, request, to);
	close(fd);
	return result;
}

NOLIBC_FN unsigned int if_nametoindex(const char *name)
{
	struct ifreq request;
	size_t n = strlen(name);

	if (n >= IFNAMSIZ) {
		NOLIBC_SET_ERRNO(ENODEV);
		return 0;
	}
	memcpy(request.ifr_name, name, n + 1);
	return __nolibc_if_request(SIOCGIFINDEX, &request) ? 0 : (unsigned int)request.ifr_ifindex;
}

NOLIBC_FN char *if_indextoname(unsigned int index, char *to)
{
	struct ifreq request;

	request.ifr_ifindex = (int)index;
	if (__nolibc_if_request(SIOCGIFNAME, &request))
		return NULL;
	return (char *)memcpy(to, request.ifr_name, IFNAMSIZ);
}

#endif
