#ifndef _NOLIBC_ARPA_INET_H
#define _NOLIBC_ARPA_INET_H

#include "../netinet/in.h"
#include "../nolibc/integers.h"

/* Four decimal bytes, each of one to three digits without a leading zero. */
NOLIBC_FN int __nolibc_pton4(const char *s, unsigned char *to)
{
	int part;

	for (part = 0; part < 4; part++) {
		unsigned int value = 0;
		int digits = 0;

		for (; isdigit(*s) && digits < 4; s++, digits++)
			value = value * 10 + (unsigned int)(*s - '0');
		if (!digits || value > 255 || (digits > 1 && s[-digits] == '0'))
			return 0;
		to[part] = (unsigned char)value;
		if (part < 3 && *s++ != '.')
			return 0;
	}
	return !*s;
}

/* Groups of 16 bits; "::" once for as many zero groups as are missing; the last two as IPv4. */
NOLIBC_FN int __nolibc_pton6(const char *s, unsigned char *to)
{
	unsigned char made[16];
	int n = 0, gap = -1, digits;

	memset(made, 0, sizeof(made));
	if (*s == ':' && *++s != ':')
		return 0;
	for (;;) {
		const char *start = s;
		unsigned int value = 0;

		if (*s == ':' && gap < 0) {
			gap = n;
			s++;
			if (!*s)
				break;
			continue;
		}
		for (digits = 0; isxdigit((unsigned char)*s) && digits < 5; s++, digits++)
			value = value << 4 | (unsigned int)(isdigit(*s) ? *s - '0' : (*s | 32) - 'a' + 10);
		if (*s == '.' && n <= 12) {
			if (!__nolibc_pton4(start, made + n))
				return 0;
			n += 4;
			s = "";
			break;
		}
		if (!digits || digits > 4 || n > 14)
			return 0;
		made[n++] = (unsigned char)(value >> 8);
		made[n++] = (unsigned char)value;
		if (!*s)
			break;
		if (*s++ != ':' || !*s)
			return 0;
	}
	if (gap >= 0) {
		if (n == 16)
			return 0;
		memmove(made + 16 - (n - gap), made + gap, (size_t)(n - gap));
		memset(made + gap, 0, (size_t)(16 - n));
	} else if (n != 16) {
		return 0;
	}
	memcpy(to, made, 16);
	return 1;
}

NOLIBC_FN int inet_pton(int family, const char *s, void *to)
{
	unsigned char made[4];

	if (family == AF_INET6)
		return __nolibc_pton6(s, (unsigned char *)to);
	if (family != AF_INET) {
		NOLIBC_SET_ERRNO(EAFNOSUPPORT);
		return -1;
	}
	if (!__nolibc_pton4(s, made))
		return 0;
	memcpy(to, made, 4);
	return 1;
}

NOLIBC_FN int __nolibc_ntop4(const unsigned char *from, char *to)
{
	int n = 0, part;

	for (part = 0; part < 4; part++) {
		if (part)
			to[n++] = '.';
		n += u64toa_r(from[part], to + n);
	}
	return n;
}

/* RFC 5952: the longest run of at least two zero groups is "::", small letters. */
NOLIBC_FN const char *inet_ntop(int family, const void *from, char *to, socklen_t size)
{
	const unsigned char *at = (const unsigned char *)from;
	char made[INET6_ADDRSTRLEN];
	int n = 0, group, best = -1, longest = 1, run = 0;

	if (family == AF_INET) {
		n = __nolibc_ntop4(at, made);
	} else if (family == AF_INET6) {
		for (group = 0; group < 8; group++) {
			run = at[2 * group] | at[2 * group + 1] ? 0 : run + 1;
			if (run > longest) {
				longest = run;
				best = group - run + 1;
			}
		}
		for (group = 0; group < 8; group++) {
			if (group == best) {
				made[n++] = ':';
				made[n] = ':';
				group += longest - 1;
				n += group == 7;
				continue;
			}
			if (group)
				made[n++] = ':';
			/* IPv4-mapped and -compatible addresses end as IPv4 has them. */
			if (group == 6 && best == 0 &&
			    (longest == 6 || (longest == 5 && at[10] == 0xff && at[11] == 0xff))) {
				n += __nolibc_ntop4(at + 12, made + n);
				break;
			}
			n += u64toh_r((unsigned int)at[2 * group] << 8 | at[2 * group + 1], made + n);
		}
	} else {
		NOLIBC_SET_ERRNO(EAFNOSUPPORT);
		return NULL;
	}
	if ((socklen_t)n >= size) {
		NOLIBC_SET_ERRNO(ENOSPC);
		return NULL;
	}
	memcpy(to, made, (size_t)n);
	to[n] = 0;
	return to;
}

/* The old forms: one to four parts, the last as wide as what is left, in C's notations. */
NOLIBC_FN int inet_aton(const char *s, struct in_addr *to)
{
	unsigned long long part[4];
	unsigned int value = 0;
	int n = 0, i;

	for (;;) {
		char *end;

		if (!isdigit(*s))
			return 0;
		part[n++] = strtoull(s, &end, 0);
		s = end;
		if (*s != '.' || n == 4)
			break;
		s++;
	}
	if ((*s && !isspace((unsigned char)*s)) || part[n - 1] > 0xffffffffULL >> 8 * (n - 1))
		return 0;
	for (i = 0; i < n - 1; i++) {
		if (part[i] > 255)
			return 0;
		value |= (unsigned int)part[i] << (24 - 8 * i);
	}
	to->s_addr = htonl(value | (unsigned int)part[n - 1]);
	return 1;
}

NOLIBC_FN in_addr_t inet_addr(const char *s)
{
	struct in_addr made;

	return inet_aton(s, &made) ? made.s_addr : INADDR_NONE;
}

/* The classes of networks before 1993: the first byte says how many bytes are the network's. */
NOLIBC_FN unsigned int __nolibc_host_bits(in_addr_t host_order)
{
	return host_order >> 31 == 0 ? 24 : host_order >> 30 == 2 ? 16 : 8;
}

NOLIBC_FN in_addr_t inet_lnaof(struct in_addr from)
{
	in_addr_t at = ntohl(from.s_addr);

	return at & ((1U << __nolibc_host_bits(at)) - 1);
}

NOLIBC_FN in_addr_t inet_netof(struct in_addr from)
{
	in_addr_t at = ntohl(from.s_addr);

	return at >> __nolibc_host_bits(at);
}

NOLIBC_FN struct in_addr inet_makeaddr(in_addr_t network, in_addr_t host)
{
	unsigned int bits = network < 128 ? 24 : network < 65536 ? 16 : network < 1U << 24 ? 8 : 0;
	struct in_addr made;

	made.s_addr = htonl(bits ? network << bits | (host & ((1U << bits) - 1)) : network | host);
	return made;
}

NOLIBC_FN char *inet_ntoa(struct in_addr from)
{
	static char text[INET_ADDRSTRLEN];

	return (char *)inet_ntop(AF_INET, &from, text, sizeof(text));
}

#endif
