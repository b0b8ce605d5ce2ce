#ifndef _NOLIBC_FEATURES_H
#define _NOLIBC_FEATURES_H

/* Whoever asks which glibc this is learns: none. */
#define __GLIBC_PREREQ(major, minor) 0

#endif
