#ifndef _NOLIBC_LINK_H
#define _NOLIBC_LINK_H

#include "nolibc/sys.h"
#include "elf.h"
#include "stddef.h"
#include "sys/auxv.h"

#define NOLIBC_ELF_NAME(bits, type) NOLIBC_JOIN(NOLIBC_JOIN(Elf, bits), _##type)
#if __SIZEOF_POINTER__ == 8
#define __ELF_NATIVE_CLASS 64
#else
#define __ELF_NATIVE_CLASS 32
#endif
#define ElfW(type) NOLIBC_ELF_NAME(__ELF_NATIVE_CLASS, type)

struct dl_phdr_info {
	ElfW(Addr) dlpi_addr;
	const char *dlpi_name;
	const ElfW(Phdr) *dlpi_phdr;
	ElfW(Half) dlpi_phnum;
};

/* A static program has one object: itself, where it was linked to be. */
NOLIBC_FN int dl_iterate_phdr(int (*function)(struct dl_phdr_info *, size_t, void *), void *data)
{
	struct dl_phdr_info info;

	info.dlpi_addr = 0;
	info.dlpi_name = "";
	info.dlpi_phdr = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	info.dlpi_phnum = (ElfW(Half))getauxval(AT_PHNUM);
	return function(&info, sizeof(info), data);
}

#endif
