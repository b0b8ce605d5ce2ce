#ifndef _NOLIBC_NET_IF_ARP_H
#define _NOLIBC_NET_IF_ARP_H

#include "../sys/socket.h"
#include <linux/if_arp.h>

#endif
