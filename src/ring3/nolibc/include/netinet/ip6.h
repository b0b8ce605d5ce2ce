#ifndef _NOLIBC_NETINET_IP6_H
#define _NOLIBC_NETINET_IP6_H

#include "in.h"

/* RFC 8200's headers, with the names of RFC 3542. */
struct ip6_hdr {
	union {
		struct ip6_hdrctl {
			uint32_t ip6_un1_flow; /* version, class, flow */
			uint16_t ip6_un1_plen;
			uint8_t ip6_un1_nxt;
			uint8_t ip6_un1_hlim;
		} ip6_un1;
		uint8_t ip6_un2_vfc; /* version and upper half of the class */
	} ip6_ctlun;
	struct in6_addr ip6_src, ip6_dst;
};
#define ip6_vfc ip6_ctlun.ip6_un2_vfc
#define ip6_flow ip6_ctlun.ip6_un1.ip6_un1_flow
#define ip6_plen ip6_ctlun.ip6_un1.ip6_un1_plen
#define ip6_nxt ip6_ctlun.ip6_un1.ip6_un1_nxt
#define ip6_hlim ip6_ctlun.ip6_un1.ip6_un1_hlim
#define ip6_hops ip6_ctlun.ip6_un1.ip6_un1_hlim

struct ip6_ext {
	uint8_t ip6e_nxt, ip6e_len;
};

struct ip6_hbh {
	uint8_t ip6h_nxt, ip6h_len;
};

struct ip6_dest {
	uint8_t ip6d_nxt, ip6d_len;
};

struct ip6_opt {
	uint8_t ip6o_type, ip6o_len;
};

struct ip6_rthdr {
	uint8_t ip6r_nxt, ip6r_len, ip6r_type, ip6r_segleft;
};

struct ip6_frag {
	uint8_t ip6f_nxt, ip6f_reserved;
	uint16_t ip6f_offlg;
	uint32_t ip6f_ident;
};
#define IP6F_OFF_MASK htons(0xfff8)
#define IP6F_MORE_FRAG htons(1)

#endif
