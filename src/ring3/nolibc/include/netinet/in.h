#ifndef _NOLIBC_NETINET_IN_H
#define _NOLIBC_NETINET_IN_H

#include "../sys/socket.h"
#include "../stdint.h"
#include "../endian.h"
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ipv6.h>

typedef uint16_t in_port_t;
typedef uint32_t in_addr_t;

#define htons(x) __cpu_to_be16(x)
#define htonl(x) __cpu_to_be32(x)
#define ntohs(x) __be16_to_cpu(x)
#define ntohl(x) __be32_to_cpu(x)
#define INET_ADDRSTRLEN 16
#define INET6_ADDRSTRLEN 46
#define s6_addr in6_u.u6_addr8
#define s6_addr16 in6_u.u6_addr16
#define s6_addr32 in6_u.u6_addr32
#define IN6ADDR_ANY_INIT { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } } }
#define IN6ADDR_LOOPBACK_INIT { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } } }
static const struct in6_addr in6addr_any __attribute__((__unused__)) = IN6ADDR_ANY_INIT;
static const struct in6_addr in6addr_loopback __attribute__((__unused__)) = IN6ADDR_LOOPBACK_INIT;
#define IN6_IS_ADDR_UNSPECIFIED(a) (!memcmp(a, &in6addr_any, 16))
#define IN6_IS_ADDR_LOOPBACK(a) (!memcmp(a, &in6addr_loopback, 16))
#define IN6_IS_ADDR_V4MAPPED(a)                                                                  \
	(!((const uint32_t *)(a))[0] && !((const uint32_t *)(a))[1] &&                           \
	 ((const uint32_t *)(a))[2] == htonl(0xffff))

#endif
