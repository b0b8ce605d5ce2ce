#ifndef _NOLIBC_NET_ETHERNET_H
#define _NOLIBC_NET_ETHERNET_H

#include "../sys/types.h"
#include <linux/if_ether.h>

#define ETHER_ADDR_LEN ETH_ALEN
#define ETHER_TYPE_LEN 2
#define ETHER_CRC_LEN 4
#define ETHER_HDR_LEN ETH_HLEN
#define ETHER_MIN_LEN (ETH_ZLEN + ETHER_CRC_LEN)
#define ETHER_MAX_LEN (ETH_FRAME_LEN + ETHER_CRC_LEN)
#define ETHERMTU ETH_DATA_LEN
#define ETHERMIN (ETHER_MIN_LEN - ETHER_HDR_LEN - ETHER_CRC_LEN)
#define ETHERTYPE_PUP ETH_P_PUP
#define ETHERTYPE_IP ETH_P_IP
#define ETHERTYPE_ARP ETH_P_ARP
#define ETHERTYPE_REVARP ETH_P_RARP
#define ETHERTYPE_AT ETH_P_ATALK
#define ETHERTYPE_AARP ETH_P_AARP
#define ETHERTYPE_VLAN ETH_P_8021Q
#define ETHERTYPE_IPX ETH_P_IPX
#define ETHERTYPE_IPV6 ETH_P_IPV6
#define ETHERTYPE_LOOPBACK 0x9000

struct ether_addr {
	uint8_t ether_addr_octet[ETH_ALEN];
} __attribute__((__packed__));

struct ether_header {
	uint8_t ether_dhost[ETH_ALEN];
	uint8_t ether_shost[ETH_ALEN];
	uint16_t ether_type; /* in the order of the network */
} __attribute__((__packed__));

#endif
