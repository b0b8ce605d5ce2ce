/* Numbers of the calls that take 64-bit times, under one name for all architectures. */
#ifndef NOLIBC_TIME64_H
#define NOLIBC_TIME64_H

#include <asm/unistd.h>

#ifdef __NR_clock_adjtime64
#define NOLIBC_NR_clock_adjtime __NR_clock_adjtime64
#else
#define NOLIBC_NR_clock_adjtime __NR_clock_adjtime
#endif
#ifdef __NR_clock_getres_time64
#define NOLIBC_NR_clock_getres __NR_clock_getres_time64
#else
#define NOLIBC_NR_clock_getres __NR_clock_getres
#endif
#ifdef __NR_clock_gettime64
#define NOLIBC_NR_clock_gettime __NR_clock_gettime64
#else
#define NOLIBC_NR_clock_gettime __NR_clock_gettime
#endif
#ifdef __NR_clock_nanosleep_time64
#define NOLIBC_NR_clock_nanosleep __NR_clock_nanosleep_time64
#else
#define NOLIBC_NR_clock_nanosleep __NR_clock_nanosleep
#endif
#ifdef __NR_clock_settime64
#define NOLIBC_NR_clock_settime __NR_clock_settime64
#else
#define NOLIBC_NR_clock_settime __NR_clock_settime
#endif
#ifdef __NR_futex_time64
#define NOLIBC_NR_futex __NR_futex_time64
#else
#define NOLIBC_NR_futex __NR_futex
#endif
#ifdef __NR_io_pgetevents_time64
#define NOLIBC_NR_io_pgetevents __NR_io_pgetevents_time64
#else
#define NOLIBC_NR_io_pgetevents __NR_io_pgetevents
#endif
#ifdef __NR_mq_timedreceive_time64
#define NOLIBC_NR_mq_timedreceive __NR_mq_timedreceive_time64
#else
#define NOLIBC_NR_mq_timedreceive __NR_mq_timedreceive
#endif
#ifdef __NR_mq_timedsend_time64
#define NOLIBC_NR_mq_timedsend __NR_mq_timedsend_time64
#else
#define NOLIBC_NR_mq_timedsend __NR_mq_timedsend
#endif
#ifdef __NR_ppoll_time64
#define NOLIBC_NR_ppoll __NR_ppoll_time64
#else
#define NOLIBC_NR_ppoll __NR_ppoll
#endif
#ifdef __NR_pselect6_time64
#define NOLIBC_NR_pselect6 __NR_pselect6_time64
#else
#define NOLIBC_NR_pselect6 __NR_pselect6
#endif
#ifdef __NR_recvmmsg_time64
#define NOLIBC_NR_recvmmsg __NR_recvmmsg_time64
#else
#define NOLIBC_NR_recvmmsg __NR_recvmmsg
#endif
#ifdef __NR_rt_sigtimedwait_time64
#define NOLIBC_NR_rt_sigtimedwait __NR_rt_sigtimedwait_time64
#else
#define NOLIBC_NR_rt_sigtimedwait __NR_rt_sigtimedwait
#endif
#ifdef __NR_sched_rr_get_interval_time64
#define NOLIBC_NR_sched_rr_get_interval __NR_sched_rr_get_interval_time64
#else
#define NOLIBC_NR_sched_rr_get_interval __NR_sched_rr_get_interval
#endif
#ifdef __NR_semtimedop_time64
#define NOLIBC_NR_semtimedop __NR_semtimedop_time64
#else
#define NOLIBC_NR_semtimedop __NR_semtimedop
#endif
#ifdef __NR_timer_gettime64
#define NOLIBC_NR_timer_gettime __NR_timer_gettime64
#else
#define NOLIBC_NR_timer_gettime __NR_timer_gettime
#endif
#ifdef __NR_timer_settime64
#define NOLIBC_NR_timer_settime __NR_timer_settime64
#else
#define NOLIBC_NR_timer_settime __NR_timer_settime
#endif
#ifdef __NR_timerfd_gettime64
#define NOLIBC_NR_timerfd_gettime __NR_timerfd_gettime64
#else
#define NOLIBC_NR_timerfd_gettime __NR_timerfd_gettime
#endif
#ifdef __NR_timerfd_settime64
#define NOLIBC_NR_timerfd_settime __NR_timerfd_settime64
#else
#define NOLIBC_NR_timerfd_settime __NR_timerfd_settime
#endif
#ifdef __NR_utimensat_time64
#define NOLIBC_NR_utimensat __NR_utimensat_time64
#else
#define NOLIBC_NR_utimensat __NR_utimensat
#endif

#endif
