#ifndef _NOLIBC_NETINET_IP_H
#define _NOLIBC_NETINET_IP_H

#include "in.h"
#include <linux/ip.h>

#endif
