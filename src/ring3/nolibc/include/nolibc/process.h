#ifndef NOLIBC_PROCESS_H
#define NOLIBC_PROCESS_H
#endif
