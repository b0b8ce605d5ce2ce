/* The types of POSIX, the same on every architecture: 64-bit time, offsets and inodes. */
#ifndef NOLIBC_TYPES_H
#define NOLIBC_TYPES_H

#include "../stddef.h"
#include "../stdint.h"
#include <linux/posix_types.h>
#include <linux/types.h>

typedef __INTPTR_TYPE__ ssize_t;
typedef long long off_t;
typedef long long off64_t;
typedef long long loff_t;
typedef unsigned long long ino_t;
typedef unsigned long long ino64_t;
typedef unsigned long long dev_t;
typedef unsigned int mode_t;
typedef unsigned int nlink_t;
typedef unsigned int uid_t;
typedef unsigned int gid_t;
typedef unsigned int id_t;
typedef int pid_t;
typedef int key_t;
typedef long blksize_t;
typedef long long blkcnt_t;
typedef unsigned long long fsblkcnt_t;
typedef unsigned long long fsfilcnt_t;
#if __SIZEOF_LONG__ == 4
typedef long long suseconds_t;
#else
typedef __kernel_suseconds_t suseconds_t; /* int on sparc64 */
#endif
typedef unsigned int useconds_t;
typedef int clockid_t;
typedef int timer_t;
typedef long clock_t;
typedef __kernel_time64_t time_t;
typedef char *caddr_t;
typedef unsigned char u_char;
typedef unsigned short u_short;
typedef unsigned int u_int;
typedef unsigned long u_long;
typedef __UINT8_TYPE__ u_int8_t;
typedef __UINT16_TYPE__ u_int16_t;
typedef __UINT32_TYPE__ u_int32_t;
typedef __UINT64_TYPE__ u_int64_t;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;

#endif
