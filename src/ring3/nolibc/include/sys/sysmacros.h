#ifndef _NOLIBC_SYS_SYSMACROS_H
#define _NOLIBC_SYS_SYSMACROS_H

#include "../nolibc/start.h"

#include "../nolibc/types.h"

/* 32 bits each, in the layout that keeps the old 8:8 numbers: MMMmmMMm from the top, 12+8 bits first. */
NOLIBC_FN dev_t gnu_dev_makedev(unsigned int major_number, unsigned int minor_number)
{
	return (dev_t)(minor_number & 0xff) | (dev_t)(major_number & 0xfff) << 8 |
	       (dev_t)(minor_number & 0xffffff00U) << 12 | (dev_t)(major_number & 0xfffff000U) << 32;
}

NOLIBC_FN unsigned int gnu_dev_major(dev_t device)
{
	return (unsigned int)(device >> 8 & 0xfff) | (unsigned int)(device >> 32 & 0xfffff000U);
}

NOLIBC_FN unsigned int gnu_dev_minor(dev_t device)
{
	return (unsigned int)(device & 0xff) | (unsigned int)(device >> 12 & 0xffffff00U);
}

#define makedev(major_number, minor_number) gnu_dev_makedev(major_number, minor_number)
#define major(device) gnu_dev_major(device)
#define minor(device) gnu_dev_minor(device)

#endif
