/* Threads: how they begin, end, are waited for and are told to end. */
#ifndef NOLIBC_THREAD_H
#define NOLIBC_THREAD_H

#include "clone.h"
#include "lock.h"
#include "../errno.h"
#include "../limits.h"
#include "../sched.h"
#include "../signal.h"
#include "../stdlib.h"
#include "../sys/mman.h"

#if !NOLIBC_THREADS
#error "compile with -pthread (-D_REENTRANT): errno and malloc must know of threads from the first header on"
#endif

#define PTHREAD_CREATE_JOINABLE 0
#define PTHREAD_CREATE_DETACHED 1
#define PTHREAD_INHERIT_SCHED 0
#define PTHREAD_EXPLICIT_SCHED 1
#define PTHREAD_SCOPE_SYSTEM 0
#define PTHREAD_SCOPE_PROCESS 1
#define PTHREAD_CANCEL_ENABLE 0
#define PTHREAD_CANCEL_DISABLE 1
#define PTHREAD_CANCEL_DEFERRED 0
#define PTHREAD_CANCEL_ASYNCHRONOUS 1
#define PTHREAD_CANCELED ((void *)-1)
#define PTHREAD_STACK_MIN 16384
#define PTHREAD_KEYS_MAX 128
#define PTHREAD_DESTRUCTOR_ITERATIONS 4

#define NOLIBC_STACK ((size_t)2 << 20)
#define NOLIBC_GUARD ((size_t)1 << 16) /* a page, or many */
#define NOLIBC_CANCEL_SIGNAL 33

typedef unsigned long pthread_t;
typedef unsigned int pthread_key_t;
typedef struct {
	void *__stack;
	size_t __size;
	int __detached, __explicit, __policy, __has_affinity;
	struct sched_param __param;
	cpu_set_t __affinity;
} pthread_attr_t;

struct __nolibc_cleanup {
	void (*function)(void *);
	void *argument;
	struct __nolibc_cleanup *next;
};

struct __nolibc_thread {
	struct __nolibc_thread *next; /* of those that are, or were and have their memory still */
	void *(*function)(void *);
	void *argument, *result;
	char *pointer; /* the thread pointer */
	void *map;
	size_t mapped;
	int tid;      /* until the kernel has ended the thread */
	int detached;
	int go;       /* 0: wait, 1: run, 2: end at once */
	int asked;    /* to end, by pthread_cancel */
	int refuses;  /* to be asked */
	int at_once;  /* may end anywhere, not only where it waits */
	unsigned long mask[NOLIBC_SIGSET_BYTES / sizeof(long)];
	struct __nolibc_cleanup *cleanup;
	const void *values[PTHREAD_KEYS_MAX];
};

struct __nolibc_key {
	int used;
	void (*destructor)(void *);
};

NOLIBC_BEGIN
NOLIBC_VAR struct __nolibc_thread __nolibc_first_thread;
NOLIBC_VAR struct __nolibc_thread *__nolibc_threads;
NOLIBC_VAR struct __nolibc_key __nolibc_keys[PTHREAD_KEYS_MAX];
NOLIBC_END

NOLIBC_FN struct __nolibc_thread *__nolibc_this_thread(void)
{
	if (!__nolibc_self) {
		__nolibc_self = &__nolibc_first_thread;
		__nolibc_self->tid = (int)__nolibc_call(__NR_gettid);
	}
	return __nolibc_self;
}

NOLIBC_FN pthread_t pthread_self(void)
{
	return (pthread_t)__nolibc_this_thread();
}

NOLIBC_FN int pthread_equal(pthread_t a, pthread_t b)
{
	return a == b;
}

/* The number of a thread; our own is another after fork. */
NOLIBC_FN int __nolibc_tid(pthread_t thread)
{
	struct __nolibc_thread *at = (struct __nolibc_thread *)thread;

	if (at == __nolibc_self)
		return (int)__nolibc_call(__NR_gettid);
	return __atomic_load_n(&at->tid, __ATOMIC_ACQUIRE);
}

NOLIBC_FN void __nolibc_run_destructors(struct __nolibc_thread *self)
{
	int round, n, ran = 1;

	for (round = 0; ran && round < PTHREAD_DESTRUCTOR_ITERATIONS; round++)
		for (ran = n = 0; n < PTHREAD_KEYS_MAX; n++) {
			void *value = (void *)(size_t)self->values[n];

			self->values[n] = NULL;
			if (value && __nolibc_keys[n].destructor) {
				ran = 1;
				__nolibc_keys[n].destructor(value);
			}
		}
}

/* The last of all threads ends the program; the memory of the others is given back by those who wait. */
NOLIBC_FN __attribute__((__noreturn__)) void pthread_exit(void *result)
{
	struct __nolibc_thread *self = __nolibc_this_thread();

	self->refuses = 1;
	while (self->cleanup) {
		struct __nolibc_cleanup *last = self->cleanup;

		self->cleanup = last->next;
		last->function(last->argument);
	}
	__nolibc_run_destructors(self);
	self->result = result;
	if (__atomic_fetch_sub(&__nolibc_other_threads, 1, __ATOMIC_ACQ_REL) == 0)
		exit(0);
	if (self == &__nolibc_first_thread)
		__nolibc_call(__NR_set_tid_address, NOLIBC_P(&self->tid));
	for (;;)
		__nolibc_call(__NR_exit, 0);
}

NOLIBC_NOINLINE void __nolibc_thread_main(struct __nolibc_thread *self)
{
	__nolibc_self = self;
	while (!__atomic_load_n(&self->go, __ATOMIC_ACQUIRE))
		__nolibc_futex_wait(&self->go, 0, 0, CLOCK_MONOTONIC, NULL);
	if (self->go == 2)
		for (;;)
			__nolibc_call(__NR_exit, 0);
	__nolibc_call(__NR_rt_sigprocmask, NOLIBC_SIG_SETMASK, NOLIBC_P(self->mask), 0, NOLIBC_SIGSET_BYTES);
	pthread_exit(self->function(self->argument));
}

/* Uses no variable of threads: its compiled code may know the thread pointer from before. */
NOLIBC_NOINLINE NOLIBC_NO_STACK_PROTECTOR void __nolibc_thread_begin(void *self, void *unused)
{
	char *p = ((struct __nolibc_thread *)self)->pointer;

	(void)unused;
	NOLIBC_SET_THREAD(p);
	__nolibc_thread_main((struct __nolibc_thread *)self);
}

NOLIBC_FN void __nolibc_forget(struct __nolibc_thread *thread)
{
	struct __nolibc_thread **at = &__nolibc_threads;

	while (*at != thread)
		at = &(*at)->next;
	*at = thread->next;
	__nolibc_call(__NR_munmap, NOLIBC_P(thread->map), NOLIBC_P(thread->mapped));
}

/* Detached threads that have ended, whom nobody waits for. */
NOLIBC_FN void __nolibc_forget_ended(void)
{
	struct __nolibc_thread *at, *next;

	for (at = __nolibc_threads; at; at = next) {
		next = at->next;
		if (__atomic_load_n(&at->detached, __ATOMIC_ACQUIRE) &&
		    !__atomic_load_n(&at->tid, __ATOMIC_ACQUIRE))
			__nolibc_forget(at);
	}
}

/* One piece of memory: the thread and its variables, its stack, a page that no one may touch. */
NOLIBC_FN struct __nolibc_thread *__nolibc_new_thread(const pthread_attr_t *attr, void **stack)
{
	size_t size = attr && attr->__size ? attr->__size : NOLIBC_STACK;
	size_t block = sizeof(struct __nolibc_thread) + __nolibc_tls_size(), whole;
	struct __nolibc_thread *made;
	char *map, *at;

	block = NOLIBC_TLS_UP(block, NOLIBC_GUARD);
	size = NOLIBC_TLS_UP(size, NOLIBC_GUARD);
	whole = attr && attr->__stack ? block : block + size + NOLIBC_GUARD;
	map = (char *)mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	at = map;
	if (attr && attr->__stack) {
		*stack = (char *)attr->__stack + (NOLIBC_STACK_GROWS_UP ? 0 : attr->__size);
	} else if (NOLIBC_STACK_GROWS_UP) {
		mprotect(map + block + size, NOLIBC_GUARD, PROT_NONE);
		*stack = map + block;
	} else {
		mprotect(map, NOLIBC_GUARD, PROT_NONE);
		at += NOLIBC_GUARD + size;
		*stack = at;
	}
	made = (struct __nolibc_thread *)(void *)at;
	made->map = map;
	made->mapped = whole;
	made->pointer = __nolibc_tls_fill(at + sizeof(*made));
	return made;
}

/* What the attributes ask of a thread that is there and waits. */
NOLIBC_FN int __nolibc_apply(const pthread_attr_t *attr, int tid)
{
	__nolibc_word code = 0;

	if (attr && attr->__explicit)
		code = __nolibc_call(__NR_sched_setscheduler, tid, attr->__policy, NOLIBC_P(&attr->__param));
	if (!code && attr && attr->__has_affinity)
		code = __nolibc_call(__NR_sched_setaffinity, tid, sizeof(attr->__affinity),
				     NOLIBC_P(&attr->__affinity));
	return (int)-code;
}

NOLIBC_FN int pthread_create(pthread_t *to, const pthread_attr_t *attr, void *(*function)(void *), void *argument)
{
	unsigned long all[NOLIBC_SIGSET_BYTES / sizeof(long)];
	struct __nolibc_thread *made;
	__nolibc_word tid;
	void *stack;
	int code;

	made = __nolibc_new_thread(attr, &stack);
	if (!made)
		return EAGAIN;
	made->function = function;
	made->argument = argument;
	made->detached = attr && attr->__detached;
	/* No handler may run in the child before it has its variables. */
	memset(all, 0xff, sizeof(all));
	__nolibc_call(__NR_rt_sigprocmask, NOLIBC_SIG_SETMASK, NOLIBC_P(all), NOLIBC_P(made->mask),
		      NOLIBC_SIGSET_BYTES);
	__nolibc_lock(&__nolibc_threads_lock);
	__nolibc_forget_ended();
	tid = __nolibc_clone(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
				     CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
			     stack, NOLIBC_P(&made->tid), NOLIBC_P(&made->tid), 0, __nolibc_thread_begin, made, NULL);
	code = tid < 0 ? EAGAIN : __nolibc_apply(attr, (int)tid);
	made->next = __nolibc_threads;
	__nolibc_threads = made;
	if (code) {
		made->detached = 1;
	} else {
		*to = (pthread_t)made;
		__atomic_fetch_add(&__nolibc_other_threads, 1, __ATOMIC_ACQ_REL);
	}
	__atomic_store_n(&made->go, code ? 2 : 1, __ATOMIC_RELEASE);
	__nolibc_futex_wake(&made->go, 1, 0);
	__nolibc_unlock(&__nolibc_threads_lock);
	__nolibc_call(__NR_rt_sigprocmask, NOLIBC_SIG_SETMASK, NOLIBC_P(made->mask), 0, NOLIBC_SIGSET_BYTES);
	return code;
}

/* Before what waits: was it asked for earlier? */
NOLIBC_FN void __nolibc_end_if_asked(void)
{
	struct __nolibc_thread *self = __nolibc_this_thread();

	if (__atomic_load_n(&self->asked, __ATOMIC_SEQ_CST) && !self->refuses)
		pthread_exit(PTHREAD_CANCELED);
}

NOLIBC_FN void pthread_testcancel(void)
{
	__nolibc_end_if_asked();
}

NOLIBC_FN void __nolibc_cancelled(int signal)
{
	struct __nolibc_thread *self = __nolibc_this_thread();

	(void)signal;
	if (self->asked && !self->refuses && (__nolibc_waits_here || self->at_once))
		pthread_exit(PTHREAD_CANCELED);
}

NOLIBC_FN int pthread_cancel(pthread_t thread)
{
	struct __nolibc_thread *other = (struct __nolibc_thread *)thread;
	struct sigaction set;
	int tid = __nolibc_tid(thread);

	memset(&set, 0, sizeof(set));
	set.sa_handler = __nolibc_cancelled;
	set.sa_flags = SA_RESTART | SA_ONSTACK;
	sigaction(NOLIBC_CANCEL_SIGNAL, &set, NULL);
	__nolibc_ask = __nolibc_end_if_asked;
	__atomic_store_n(&other->asked, 1, __ATOMIC_SEQ_CST);
	if (tid)
		__nolibc_call(__NR_tgkill, __nolibc_getpid(), tid, NOLIBC_CANCEL_SIGNAL);
	return 0;
}

NOLIBC_FN int __nolibc_set_int(int *at, int value, int *old)
{
	if (value != 0 && value != 1)
		return EINVAL;
	if (old)
		*old = *at;
	*at = value;
	return 0;
}

NOLIBC_FN int pthread_setcancelstate(int state, int *old)
{
	return __nolibc_set_int(&__nolibc_this_thread()->refuses, state, old);
}

NOLIBC_FN int pthread_setcanceltype(int type, int *old)
{
	struct __nolibc_thread *self = __nolibc_this_thread();
	int code = __nolibc_set_int(&self->at_once, type, old);

	if (self->at_once && self->asked)
		__nolibc_cancelled(0);
	return code;
}

#define pthread_cleanup_push(function_, argument_)                                               \
	do {                                                                                     \
		struct __nolibc_cleanup __nolibc_cleanup_;                                       \
		__nolibc_cleanup_.function = (function_);                                        \
		__nolibc_cleanup_.argument = (argument_);                                        \
		__nolibc_cleanup_.next = __nolibc_this_thread()->cleanup;                        \
		__nolibc_this_thread()->cleanup = &__nolibc_cleanup_
#define pthread_cleanup_pop(run)                                                                 \
		__nolibc_this_thread()->cleanup = __nolibc_cleanup_.next;                        \
		if (run)                                                                         \
			__nolibc_cleanup_.function(__nolibc_cleanup_.argument);                  \
	} while (0)

/* Waits for the kernel's word that the thread is gone, and gives its memory back. */
NOLIBC_FN int __nolibc_join(pthread_t thread, void **result, clockid_t clock, const struct timespec *until)
{
	struct __nolibc_thread *other = (struct __nolibc_thread *)thread;
	int tid, code = 0;

	if (other == __nolibc_self)
		return EDEADLK;
	if (other->detached)
		return EINVAL;
	__nolibc_waits();
	while ((tid = __atomic_load_n(&other->tid, __ATOMIC_ACQUIRE)) && code != ETIMEDOUT && code != EINVAL)
		code = __nolibc_futex_wait(&other->tid, tid, 1, clock, until);
	__nolibc_waited(0);
	if (tid)
		return code;
	if (result)
		*result = other->result;
	if (other != &__nolibc_first_thread) {
		__nolibc_lock(&__nolibc_threads_lock);
		__nolibc_forget(other);
		__nolibc_unlock(&__nolibc_threads_lock);
	}
	return 0;
}

NOLIBC_FN int pthread_join(pthread_t thread, void **result)
{
	return __nolibc_join(thread, result, CLOCK_MONOTONIC, NULL);
}

NOLIBC_FN int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *until)
{
	return __nolibc_join(thread, result, CLOCK_REALTIME, until);
}

NOLIBC_FN int pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock, const struct timespec *until)
{
	return __nolibc_join(thread, result, clock, until);
}

NOLIBC_FN int pthread_tryjoin_np(pthread_t thread, void **result)
{
	return __nolibc_tid(thread) ? EBUSY : pthread_join(thread, result);
}

NOLIBC_FN int pthread_detach(pthread_t thread)
{
	return __atomic_exchange_n(&((struct __nolibc_thread *)thread)->detached, 1, __ATOMIC_ACQ_REL) ? EINVAL : 0;
}

/* A thread that has ended takes no signal, which is no error. */
NOLIBC_FN int pthread_kill(pthread_t thread, int signal)
{
	int tid = __nolibc_tid(thread);

	if (!tid)
		return signal < 0 || signal >= _NSIG ? EINVAL : 0;
	return (int)-__nolibc_call(__NR_tgkill, __nolibc_getpid(), tid, signal);
}

NOLIBC_FN int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return (int)-__nolibc_call(__NR_rt_sigprocmask, how, NOLIBC_P(set), NOLIBC_P(old), NOLIBC_SIGSET_BYTES);
}

#endif
