#ifndef _NOLIBC_NETINET_UDP_H
#define _NOLIBC_NETINET_UDP_H

#include "in.h"
#include <linux/udp.h>

#endif
