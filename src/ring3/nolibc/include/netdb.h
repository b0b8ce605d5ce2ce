/* Names of hosts as far as they are in the program's reach: numbers and /etc/hosts; no name servers. */
#ifndef _NOLIBC_NETDB_H
#define _NOLIBC_NETDB_H

#include "arpa/inet.h"
#include "stdio.h"
#include "stdlib.h"

#define AI_PASSIVE 1
#define AI_CANONNAME 2
#define AI_NUMERICHOST 4
#define AI_V4MAPPED 8
#define AI_ALL 16
#define AI_ADDRCONFIG 32
#define AI_NUMERICSERV 1024
#define EAI_BADFLAGS -1
#define EAI_NONAME -2
#define EAI_AGAIN -3
#define EAI_FAIL -4
#define EAI_FAMILY -6
#define EAI_SOCKTYPE -7
#define EAI_SERVICE -8
#define EAI_ADDRFAMILY -9 /* GNU: a number, of the other family */
#define EAI_MEMORY -10
#define EAI_SYSTEM -11
#define EAI_OVERFLOW -12
#define NI_NUMERICHOST 1
#define NI_NUMERICSERV 2
#define NI_NOFQDN 4
#define NI_NAMEREQD 8
#define NI_DGRAM 16
#define NI_MAXHOST 1025
#define NI_MAXSERV 32

struct addrinfo {
	int ai_flags, ai_family, ai_socktype, ai_protocol;
	socklen_t ai_addrlen;
	struct sockaddr *ai_addr;
	char *ai_canonname;
	struct addrinfo *ai_next;
};

struct protoent {
	char *p_name;
	char **p_aliases;
	int p_proto;
};

/* Without /etc/protocols: what the kernel has, by IANA's names. */
NOLIBC_FN struct protoent *__nolibc_protocol(const char *name, int number)
{
	static const struct {
		char name[10];
		int number;
	} known[] = {
		{ "ip", 0 },	{ "icmp", 1 },	{ "igmp", 2 },	{ "tcp", 6 },	    { "udp", 17 },	 { "dccp", 33 },
		{ "ipv6", 41 }, { "gre", 47 },	{ "esp", 50 },	{ "ah", 51 },	    { "ipv6-icmp", 58 }, { "sctp", 132 },
		{ "udplite", 136 },
	};
	static char *none[1], text[10];
	static struct protoent found;
	unsigned int n;

	for (n = 0; n < sizeof(known) / sizeof(*known); n++)
		if (name ? !strcmp(known[n].name, name) : known[n].number == number) {
			memcpy(text, known[n].name, sizeof(text));
			found.p_name = text;
			found.p_aliases = none;
			found.p_proto = known[n].number;
			return &found;
		}
	return NULL;
}

NOLIBC_FN struct protoent *getprotobyname(const char *name)
{
	return __nolibc_protocol(name, 0);
}

NOLIBC_FN struct protoent *getprotobynumber(int number)
{
	return __nolibc_protocol(NULL, number);
}

NOLIBC_FN const char *gai_strerror(int code)
{
	switch (code) {
	case 0:
		return "Success";
	case EAI_BADFLAGS:
		return "Bad value for ai_flags";
	case EAI_NONAME:
		return "Name or service not known";
	case EAI_AGAIN:
		return "Temporary failure in name resolution";
	case EAI_FAMILY:
		return "ai_family not supported";
	case EAI_SOCKTYPE:
		return "ai_socktype not supported";
	case EAI_SERVICE:
		return "Servname not supported for ai_socktype";
	case EAI_ADDRFAMILY:
		return "Address family for hostname not supported";
	case EAI_MEMORY:
		return "Memory allocation failure";
	case EAI_SYSTEM:
		return "System error";
	}
	return "Unknown error";
}

NOLIBC_FN void freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list->ai_canonname);
		free(list);
		list = next;
	}
}

/* One entry in front of *end, of an address in the order of the network; 0 when memory is short. */
NOLIBC_FN int __nolibc_addrinfo(struct addrinfo ***end, const struct addrinfo *like, int family,
				const void *address, unsigned int scope, unsigned int port)
{
	static const struct {
		int type, protocol;
	} kinds[] = { { SOCK_STREAM, IPPROTO_TCP }, { SOCK_DGRAM, IPPROTO_UDP }, { SOCK_RAW, 0 } };
	unsigned int at, wanted = like ? (unsigned int)like->ai_socktype : 0;

	for (at = 0; at < 3; at++) {
		struct entry {
			struct addrinfo info;
			union {
				struct sockaddr_in in;
				struct sockaddr_in6 in6;
			} address;
		} *made;

		if (wanted && kinds[at].type != (int)wanted)
			continue;
		if (like && like->ai_protocol && kinds[at].protocol && kinds[at].protocol != like->ai_protocol)
			continue;
		made = (struct entry *)calloc(1, sizeof(*made));
		if (!made)
			return 0;
		made->info.ai_flags = like ? like->ai_flags : 0;
		made->info.ai_family = family;
		made->info.ai_socktype = kinds[at].type;
		made->info.ai_protocol = like && like->ai_protocol ? like->ai_protocol : kinds[at].protocol;
		made->info.ai_addr = (struct sockaddr *)&made->address;
		if (family == AF_INET) {
			made->info.ai_addrlen = sizeof(made->address.in);
			made->address.in.sin_family = AF_INET;
			made->address.in.sin_port = htons((uint16_t)port);
			memcpy(&made->address.in.sin_addr, address, 4);
		} else {
			made->info.ai_addrlen = sizeof(made->address.in6);
			made->address.in6.sin6_family = AF_INET6;
			made->address.in6.sin6_port = htons((uint16_t)port);
			made->address.in6.sin6_scope_id = scope;
			memcpy(&made->address.in6.sin6_addr, address, 16);
		}
		**end = &made->info;
		*end = &made->info.ai_next;
	}
	return 1;
}

/* An address in text, of the family that is asked for (0: any): its family, or 0. */
NOLIBC_FN int __nolibc_numeric_host(const char *text, int family, unsigned char *to, unsigned int *scope)
{
	char bare[INET6_ADDRSTRLEN];
	const char *end = strchr(text, '%');
	size_t n = end ? (size_t)(end - text) : strlen(text);

	*scope = 0;
	if (family != AF_INET6 && inet_pton(AF_INET, text, to) == 1)
		return AF_INET;
	if (family == AF_INET || n >= sizeof(bare))
		return 0;
	memcpy(bare, text, n);
	bare[n] = 0;
	if (inet_pton(AF_INET6, bare, to) != 1)
		return 0;
	if (end)
		*scope = (unsigned int)strtoul(end + 1, NULL, 10);
	return AF_INET6;
}

NOLIBC_FN int getaddrinfo(const char *host, const char *service, const struct addrinfo *like,
			  struct addrinfo **to)
{
	int family = like ? like->ai_family : AF_UNSPEC, flags = like ? like->ai_flags : 0, found;
	struct addrinfo **end = to;
	unsigned char address[16];
	unsigned int scope;
	long port = 0;

	*to = NULL;
	if (!host && !service)
		return EAI_NONAME;
	if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6)
		return EAI_FAMILY;
	if (service && *service) {
		char *rest;

		port = strtol(service, &rest, 10);
		if (*rest || port < 0 || port > 65535)
			return flags & AI_NUMERICSERV ? EAI_NONAME : EAI_SERVICE;
	}
	if (!host) {
		int passive = flags & AI_PASSIVE;
		uint32_t four = htonl(passive ? INADDR_ANY : INADDR_LOOPBACK);

		if (family != AF_INET6 && !__nolibc_addrinfo(&end, like, AF_INET, &four, 0, (unsigned int)port))
			goto memory;
		if (family != AF_INET &&
		    !__nolibc_addrinfo(&end, like, AF_INET6, passive ? &in6addr_any : &in6addr_loopback, 0,
				       (unsigned int)port))
			goto memory;
		return *to ? 0 : EAI_SOCKTYPE;
	}
	found = __nolibc_numeric_host(host, family, address, &scope);
	if (found) {
		if (!__nolibc_addrinfo(&end, like, found, address, scope, (unsigned int)port))
			goto memory;
		return *to ? 0 : EAI_SOCKTYPE;
	}
	if (__nolibc_numeric_host(host, AF_UNSPEC, address, &scope))
		return EAI_ADDRFAMILY;
	if (!(flags & AI_NUMERICHOST)) {
		FILE *hosts = fopen("/etc/hosts", "r");
		char line[512];

		while (hosts && fgets(line, sizeof(line), hosts)) {
			char *comment = strchr(line, '#'), *word, *rest = NULL, *number;

			if (comment)
				*comment = 0;
			number = strtok_r(line, " \t\n", &rest);
			while (number && (word = strtok_r(NULL, " \t\n", &rest))) {
				if (strcasecmp(word, host))
					continue;
				found = __nolibc_numeric_host(number, family, address, &scope);
				if (found && !__nolibc_addrinfo(&end, like, found, address, scope, (unsigned int)port)) {
					fclose(hosts);
					goto memory;
				}
				break;
			}
		}
		if (hosts)
			fclose(hosts);
	}
	return *to ? 0 : EAI_NONAME;
memory:
	freeaddrinfo(*to);
	*to = NULL;
	return EAI_MEMORY;
}

NOLIBC_FN int getnameinfo(const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size,
			  char *service, socklen_t service_size, int flags)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	unsigned int port;

	if (flags & NI_NAMEREQD)
		return EAI_NONAME;
	if (address->sa_family == AF_INET && size >= sizeof(*in)) {
		port = ntohs(in->sin_port);
		if (host && host_size && !inet_ntop(AF_INET, &in->sin_addr, host, host_size))
			return EAI_OVERFLOW;
	} else if (address->sa_family == AF_INET6 && size >= sizeof(*in6)) {
		port = ntohs(in6->sin6_port);
		if (host && host_size && !inet_ntop(AF_INET6, &in6->sin6_addr, host, host_size))
			return EAI_OVERFLOW;
	} else {
		return EAI_FAMILY;
	}
	if (service && service_size && snprintf(service, service_size, "%u", port) >= (int)service_size)
		return EAI_OVERFLOW;
	return 0;
}

#endif
