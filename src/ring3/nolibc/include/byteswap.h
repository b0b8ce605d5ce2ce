#ifndef _NOLIBC_BYTESWAP_H
#define _NOLIBC_BYTESWAP_H

#include <linux/swab.h>

#define bswap_16(x) __swab16(x)
#define bswap_32(x) __swab32(x)
#define bswap_64(x) __swab64(x)

#endif
