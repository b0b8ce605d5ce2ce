#ifndef _NOLIBC_FEATURES_H
#define _NOLIBC_FEATURES_H

#endif
