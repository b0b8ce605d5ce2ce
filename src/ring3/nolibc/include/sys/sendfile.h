#ifndef _NOLIBC_SYS_SENDFILE_H
#define _NOLIBC_SYS_SENDFILE_H

#include "../nolibc/sys.h"
#include "../nolibc/types.h"
#include "../nolibc/descriptors.h"

#endif
