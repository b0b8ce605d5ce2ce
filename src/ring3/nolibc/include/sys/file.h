#ifndef _NOLIBC_SYS_FILE_H
#define _NOLIBC_SYS_FILE_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../fcntl.h"
#include "../nolibc/descriptors.h"

#endif
