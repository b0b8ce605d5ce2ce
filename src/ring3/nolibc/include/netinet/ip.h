#ifndef _NOLIBC_NETINET_IP_H
#define _NOLIBC_NETINET_IP_H

#include "in.h"
#include <linux/ip.h>

/* BSD's names of struct iphdr's members; whole octets in the order in which they are sent. */
struct ip {
#if defined(__LITTLE_ENDIAN_BITFIELD)
	unsigned int ip_hl : 4, ip_v : 4;
#else
	unsigned int ip_v : 4, ip_hl : 4;
#endif
	unsigned char ip_tos;
	unsigned short ip_len, ip_id, ip_off;
#define IP_RF 0x8000
#define IP_DF 0x4000
#define IP_MF 0x2000
#define IP_OFFMASK 0x1fff
	unsigned char ip_ttl, ip_p;
	unsigned short ip_sum;
	struct in_addr ip_src, ip_dst;
};

/* The option of RFC 791, with room for all its values. */
struct ip_timestamp {
	unsigned char ipt_code, ipt_len, ipt_ptr;
#if defined(__LITTLE_ENDIAN_BITFIELD)
	unsigned int ipt_flg : 4, ipt_oflw : 4;
#else
	unsigned int ipt_oflw : 4, ipt_flg : 4;
#endif
	unsigned int data[9];
};

#define IPVERSION 4
#define IP_MAXPACKET 65535
#define IPDEFTTL 64

#endif
