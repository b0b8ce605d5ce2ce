#ifndef _NOLIBC_MQUEUE_H
#define _NOLIBC_MQUEUE_H

#include "nolibc/sys.h"
#include "nolibc/timespec.h"
#include "nolibc/types.h"
#include "fcntl.h"
#include "signal.h"
#include "stdarg.h"
/* The kernel's struct of that name has the same longs. */
#include <linux/mqueue.h>

typedef int mqd_t;

/* The kernel wants the name without its slash. */
NOLIBC_FN const char *__nolibc_mq_name(const char *name)
{
	return *name == '/' ? name + 1 : name;
}

NOLIBC_FN mqd_t mq_open(const char *name, int flags, ...)
{
	struct mq_attr *about = NULL;
	mode_t mode = 0;
	va_list ap;

	if (flags & O_CREAT) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		about = va_arg(ap, struct mq_attr *);
		va_end(ap);
	}
	return NOLIBC_INT(__NR_mq_open, NOLIBC_P(__nolibc_mq_name(name)), flags, (int)mode, NOLIBC_P(about));
}

NOLIBC_FN int mq_close(mqd_t queue)
{
	return NOLIBC_INT(__NR_close, queue);
}

NOLIBC_FN int mq_unlink(const char *name)
{
	return NOLIBC_INT(__NR_mq_unlink, NOLIBC_P(__nolibc_mq_name(name)));
}

NOLIBC_FN int mq_getattr(mqd_t queue, struct mq_attr *to)
{
	return NOLIBC_INT(__NR_mq_getsetattr, queue, 0, NOLIBC_P(to));
}

NOLIBC_FN int mq_setattr(mqd_t queue, const struct mq_attr *set, struct mq_attr *old)
{
	return NOLIBC_INT(__NR_mq_getsetattr, queue, NOLIBC_P(set), NOLIBC_P(old));
}

NOLIBC_FN int mq_notify(mqd_t queue, const struct sigevent *event)
{
	return NOLIBC_INT(__NR_mq_notify, queue, NOLIBC_P(event));
}

#ifdef __NR_mq_timedsend_time64
#define NOLIBC_MQ_SEND __NR_mq_timedsend_time64
#define NOLIBC_MQ_RECEIVE __NR_mq_timedreceive_time64
#else
#define NOLIBC_MQ_SEND __NR_mq_timedsend
#define NOLIBC_MQ_RECEIVE __NR_mq_timedreceive
#endif

NOLIBC_FN int mq_timedsend(mqd_t queue, const char *text, size_t size, unsigned int priority,
			   const struct timespec *until)
{
	return NOLIBC_INT(NOLIBC_MQ_SEND, queue, NOLIBC_P(text), NOLIBC_P(size), (int)priority,
			  NOLIBC_P(until));
}

NOLIBC_FN int mq_send(mqd_t queue, const char *text, size_t size, unsigned int priority)
{
	return mq_timedsend(queue, text, size, priority, NULL);
}

NOLIBC_FN ssize_t mq_timedreceive(mqd_t queue, char *to, size_t size, unsigned int *priority,
				  const struct timespec *until)
{
	return (ssize_t)__nolibc_ret(__nolibc_call(NOLIBC_MQ_RECEIVE, queue, NOLIBC_P(to), NOLIBC_P(size),
						   NOLIBC_P(priority), NOLIBC_P(until)));
}

NOLIBC_FN ssize_t mq_receive(mqd_t queue, char *to, size_t size, unsigned int *priority)
{
	return mq_timedreceive(queue, to, size, priority, NULL);
}

#endif
