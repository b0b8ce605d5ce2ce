#ifndef _NOLIBC_NETINET_TCP_H
#define _NOLIBC_NETINET_TCP_H

#include "in.h"
#include <linux/tcp.h>

#define TCP_MAXWIN 65535

#endif
