#ifndef _NOLIBC_NETINET_IP_H
#define _NOLIBC_NETINET_IP_H

#include "in.h"
#include <linux/ip.h>

#define IP_MAXPACKET 65535
#define IPDEFTTL 64

#endif
