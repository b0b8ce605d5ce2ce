#ifndef _NOLIBC_NETINET_ETHER_H
#define _NOLIBC_NETINET_ETHER_H

#include "if_ether.h"
#include "../stdio.h"
#include "../stdlib.h"

NOLIBC_FN char *ether_ntoa_r(const struct ether_addr *from, char *to)
{
	const uint8_t *o = from->ether_addr_octet;

	sprintf(to, "%x:%x:%x:%x:%x:%x", o[0], o[1], o[2], o[3], o[4], o[5]);
	return to;
}

NOLIBC_FN char *ether_ntoa(const struct ether_addr *from)
{
	static char to[18];

	return ether_ntoa_r(from, to);
}

NOLIBC_FN struct ether_addr *ether_aton_r(const char *text, struct ether_addr *to)
{
	int at;

	for (at = 0; at < ETH_ALEN; at++) {
		char *end;
		unsigned long octet = strtoul(text, &end, 16);

		if (end == text || octet > 255 || (at < ETH_ALEN - 1 && *end != ':'))
			return NULL;
		to->ether_addr_octet[at] = (uint8_t)octet;
		text = end + 1;
	}
	return to;
}

NOLIBC_FN struct ether_addr *ether_aton(const char *text)
{
	static struct ether_addr to;

	return ether_aton_r(text, &to);
}

#endif
