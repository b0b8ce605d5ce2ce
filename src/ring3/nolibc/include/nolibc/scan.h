#ifndef NOLIBC_SCAN_H
#define NOLIBC_SCAN_H
#endif
