#ifndef _NOLIBC_SYS_UN_H
#define _NOLIBC_SYS_UN_H

#include "socket.h"
#include <linux/un.h>

#define SUN_LEN(a) (__builtin_offsetof(struct sockaddr_un, sun_path) + strlen((a)->sun_path))

#endif
