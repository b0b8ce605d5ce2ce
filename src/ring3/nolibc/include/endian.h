#ifndef _NOLIBC_ENDIAN_H
#define _NOLIBC_ENDIAN_H

#include "nolibc/types.h"
#include <asm/byteorder.h>

#define htobe16(x) __cpu_to_be16(x)
#define htobe32(x) __cpu_to_be32(x)
#define htobe64(x) __cpu_to_be64(x)
#define htole16(x) __cpu_to_le16(x)
#define htole32(x) __cpu_to_le32(x)
#define htole64(x) __cpu_to_le64(x)
#define be16toh(x) __be16_to_cpu(x)
#define be32toh(x) __be32_to_cpu(x)
#define be64toh(x) __be64_to_cpu(x)
#define le16toh(x) __le16_to_cpu(x)
#define le32toh(x) __le32_to_cpu(x)
#define le64toh(x) __le64_to_cpu(x)
#ifndef __LITTLE_ENDIAN
#define __LITTLE_ENDIAN 1234
#endif
#ifndef __BIG_ENDIAN
#define __BIG_ENDIAN 4321
#endif
#define LITTLE_ENDIAN 1234
#define BIG_ENDIAN 4321
#define PDP_ENDIAN 3412
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE_ORDER LITTLE_ENDIAN
#define __BYTE_ORDER 1234
#else
#define BYTE_ORDER BIG_ENDIAN
#define __BYTE_ORDER 4321
#endif

#endif
