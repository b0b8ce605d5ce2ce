#ifndef _NOLIBC_NETINET_TCP_H
#define _NOLIBC_NETINET_TCP_H

#include "in.h"
#include <linux/tcp.h>

#endif
