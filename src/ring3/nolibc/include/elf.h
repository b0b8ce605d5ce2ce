#ifndef _NOLIBC_ELF_H
#define _NOLIBC_ELF_H

#include <linux/elf.h>

#endif
