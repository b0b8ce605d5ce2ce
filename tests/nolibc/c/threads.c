/* pthread.h, semaphore.h, __thread and clone with memory shared: what each must give on every libc. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "ktap.h"

enum { MANY = 8, ROUNDS = 500 };
static __thread int mine = 41;
static __thread char zeroes[300];
static __thread long long aligned_one __attribute__((__aligned__(64))) = 7;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spin;
static pthread_key_t key;
static sem_t sem;
static int counter, onces, destroyed, cleaned, serials;
static volatile int turn, ready;

static struct timespec soon(int milliseconds)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += milliseconds * 1000000L;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

static void *returns(void *argument)
{
	return (char *)argument + 1;
}

static void *exits(void *argument)
{
	pthread_exit((char *)argument + 2);
}

static void *variables(void *argument)
{
	int n, sum = 0;

	for (n = 0; n < 300; n++)
		sum += zeroes[n]++;
	mine += (int)(intptr_t)argument;
	close(-1);
	aligned_one++;
	return (void *)(intptr_t)(mine * 1000 + sum + (errno == EBADF) * 100000 + (int)aligned_one * 1000000 +
				  ((uintptr_t)&aligned_one % 64 == 0) * 100000000);
}

static void *count(void *unused)
{
	int n;

	for (n = 0; n < ROUNDS; n++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
	}
	return unused;
}

static void *count_spinning(void *unused)
{
	int n;

	for (n = 0; n < 50; n++) {
		pthread_spin_lock(&spin);
		counter++;
		pthread_spin_unlock(&spin);
	}
	return unused;
}

static void *allocate(void *argument)
{
	char *kept[20];
	int n, i, wrong = 0;

	for (n = 0; n < 50; n++) {
		for (i = 0; i < 20; i++) {
			kept[i] = malloc(10 + 37 * i);
			memset(kept[i], (int)(intptr_t)argument, 10 + 37 * i);
		}
		for (i = 0; i < 20; i++) {
			wrong += kept[i][9] != (char)(intptr_t)argument || kept[i][9 + 37 * i] != (char)(intptr_t)argument;
			free(kept[i]);
		}
	}
	return (void *)(intptr_t)wrong;
}

static void *takes_turns(void *argument)
{
	int me = (int)(intptr_t)argument, n;

	for (n = 0; n < 20; n++) {
		pthread_mutex_lock(&mutex);
		while (turn % 3 != me)
			pthread_cond_wait(&cond, &mutex);
		turn++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void *meets(void *unused)
{
	int n;

	for (n = 0; n < 20; n++) {
		__atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
		if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD)
			__atomic_fetch_add(&serials, 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&counter, __ATOMIC_SEQ_CST) < (n + 1) * MANY)
			return (void *)1;
		pthread_barrier_wait(&barrier);
	}
	return unused;
}

static void first_time(void)
{
	onces++;
}

static void *asks_once(void *unused)
{
	pthread_once(&once, first_time);
	return unused;
}

static void destroys(void *value)
{
	__atomic_fetch_add(&destroyed, (int)(intptr_t)value, __ATOMIC_SEQ_CST);
}

static void *has_value(void *argument)
{
	void *before = pthread_getspecific(key);

	pthread_setspecific(key, argument);
	return before;
}

static void *posts(void *unused)
{
	int n;

	for (n = 0; n < 10; n++)
		sem_post(&sem);
	return unused;
}

static void cleans(void *argument)
{
	cleaned = cleaned * 10 + (int)(intptr_t)argument;
}

static void *sleeps_in_cond(void *unused)
{
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(cleans, (void *)1);
	pthread_cleanup_push(cleans, (void *)2);
	ready = 1;
	for (;;)
		pthread_cond_wait(&cond, &mutex);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return unused;
}

static void *spins(void *unused)
{
	int old;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	ready = 1;
	for (;;)
		;
	return unused;
}

static void *tests(void *unused)
{
	ready = 1;
	for (;;)
		pthread_testcancel();
	return unused;
}

static void *sleeps(void *unused)
{
	ready = 1;
	sleep(100);
	return unused;
}

static void *reads(void *unused)
{
	int fds[2];
	char byte;

	pipe(fds);
	ready = 1;
	read(fds[0], &byte, 1);
	return unused;
}

static void *refuses(void *unused)
{
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	ready = 1;
	while (ready != 2)
		sched_yield();
	pthread_testcancel();
	return unused;
}

static volatile pid_t handled_by;
static void handler(int number)
{
	handled_by = gettid();
	(void)number;
}

static void *takes_signals(void *tid)
{
	struct timespec little = { 0, 1000000 };

	*(pid_t *)tid = gettid();
	ready = 1;
	while (!handled_by)
		nanosleep(&little, NULL);
	return NULL;
}

static void *forks(void *unused)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		free(malloc(100));
		_exit(pthread_kill(pthread_self(), 0) ? 1 : 23);
	}
	waitpid(pid, &status, 0);
	(void)unused;
	return (void *)(intptr_t)WEXITSTATUS(status);
}

static void *locks(void *to)
{
	*(int *)to = pthread_mutex_trylock(&mutex);
	if (!*(int *)to)
		pthread_mutex_unlock(&mutex);
	return NULL;
}

static int try_elsewhere(void)
{
	pthread_t thread;
	int result = -1;

	pthread_create(&thread, NULL, locks, &result);
	pthread_join(thread, NULL);
	return result;
}

/* MANY threads of one function; how many returned something else than NULL. */
static int many(void *(*function)(void *), int arguments)
{
	pthread_t threads[MANY];
	void *result;
	int n, some = 0;

	counter = 0;
	for (n = 0; n < MANY; n++)
		if (pthread_create(&threads[n], NULL, function, arguments ? (void *)(intptr_t)(n + 1) : NULL))
			return -1;
	for (n = 0; n < MANY; n++) {
		pthread_join(threads[n], &result);
		some += !!result;
	}
	return some;
}

static int cancelled(void *(*function)(void *))
{
	pthread_t thread;
	void *result = NULL;

	ready = 0;
	if (pthread_create(&thread, NULL, function, NULL))
		return -1;
	while (!ready)
		sched_yield();
	if (pthread_cancel(thread))
		return -2;
	ready = 2;
	pthread_join(thread, &result);
	return result == PTHREAD_CANCELED;
}

static void create_and_join(void)
{
	pthread_t thread;
	pthread_attr_t attr;
	void *result;
	struct timespec at;
	size_t size = 0;
	int n, failed = 0;

	CHECK(pthread_create(&thread, NULL, returns, (void *)1) == 0);
	CHECK(!pthread_equal(thread, pthread_self()) && pthread_equal(pthread_self(), pthread_self()));
	CHECK(pthread_join(thread, &result) == 0);
	SHOW("returned", "%d", (int)(intptr_t)result);
	pthread_create(&thread, NULL, exits, (void *)1);
	pthread_join(thread, &result);
	SHOW("exited", "%d", (int)(intptr_t)result);
	for (n = 0; n < 200; n++) {
		failed += pthread_create(&thread, NULL, returns, NULL);
		failed += pthread_join(thread, NULL);
	}
	SHOW("one after the other", "%d", failed);
	pthread_attr_init(&attr);
	SHOW("stack too small", "%d", pthread_attr_setstacksize(&attr, 100) == EINVAL);
	CHECK(pthread_attr_setstacksize(&attr, 1 << 20) == 0);
	pthread_attr_getstacksize(&attr, &size);
	SHOW("stack size", "%d", (int)size);
	CHECK(pthread_create(&thread, &attr, returns, NULL) == 0 && pthread_join(thread, NULL) == 0);
	CHECK(pthread_attr_setstack(&attr, malloc(1 << 18), 1 << 18) == 0);
	CHECK(pthread_create(&thread, &attr, variables, NULL) == 0 && pthread_join(thread, &result) == 0);
	SHOW("on a stack of ours", "%d", (int)(intptr_t)result);
	pthread_attr_destroy(&attr);
	pthread_attr_init(&attr);
	CHECK(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0);
	sem_init(&sem, 0, 0);
	CHECK(pthread_create(&thread, &attr, posts, NULL) == 0);
	for (n = 0; n < 10; n++)
		sem_wait(&sem);
	pthread_mutex_lock(&mutex);
	pthread_create(&thread, NULL, count, NULL);
	SHOW("busy", "%d", pthread_tryjoin_np(thread, NULL) == EBUSY);
	at = soon(20);
	SHOW("timed join", "%d", pthread_timedjoin_np(thread, NULL, &at) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	while (pthread_tryjoin_np(thread, NULL) == EBUSY)
		sched_yield();
	pthread_create(&thread, NULL, returns, NULL);
	CHECK(pthread_detach(thread) == 0);
}

static void own_variables(void)
{
	pthread_t threads[MANY];
	void *result;
	int n;

	errno = 0;
	mine = 5;
	for (n = 0; n < MANY; n++)
		pthread_create(&threads[n], NULL, variables, (void *)(intptr_t)n);
	for (n = 0; n < MANY; n++) {
		pthread_join(threads[n], &result);
		SHOW("variables of a thread", "%d", (int)(intptr_t)result);
	}
	SHOW("of the first", "%d %d %d %d", mine, errno, zeroes[7], (int)aligned_one);
}

static void mutexes(void)
{
	pthread_mutexattr_t attr;
	struct timespec at = soon(10);
	int type = -1;

	many(count, 0);
	SHOW("counted", "%d", counter);
	pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
	many(count_spinning, 0);
	SHOW("counted with a spin lock", "%d", counter);
	pthread_mutex_lock(&mutex);
	SHOW("taken", "%d %d", try_elsewhere() == EBUSY, pthread_mutex_timedlock(&mutex, &at) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	SHOW("free", "%d", try_elsewhere());
	pthread_mutexattr_init(&attr);
	SHOW("no such type", "%d", pthread_mutexattr_settype(&attr, 77) == EINVAL);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutexattr_gettype(&attr, &type);
	CHECK(type == PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&mutex, &attr);
	CHECK(pthread_mutex_lock(&mutex) == 0 && pthread_mutex_lock(&mutex) == 0 && !pthread_mutex_trylock(&mutex));
	pthread_mutex_unlock(&mutex);
	pthread_mutex_unlock(&mutex);
	SHOW("once more than unlocked", "%d", try_elsewhere() == EBUSY);
	pthread_mutex_unlock(&mutex);
	SHOW("as often", "%d", try_elsewhere());
	SHOW("not the owner's", "%d", pthread_mutex_unlock(&mutex) == EPERM);
	pthread_mutex_destroy(&mutex);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&mutex, &attr);
	pthread_mutex_lock(&mutex);
	SHOW("checked", "%d %d", pthread_mutex_lock(&mutex) == EDEADLK, pthread_mutex_trylock(&mutex) == EBUSY);
	SHOW("checked unlocking", "%d", pthread_mutex_unlock(&mutex));
	SHOW("not locked", "%d", pthread_mutex_unlock(&mutex) == EPERM);
	pthread_mutex_destroy(&mutex);
	pthread_mutexattr_destroy(&attr);
	pthread_mutex_init(&mutex, NULL);
}

static void waiting(void)
{
	pthread_t threads[3];
	pthread_condattr_t attr;
	pthread_cond_t other;
	struct timespec at;
	clockid_t clock = -1;
	int n;

	for (n = 0; n < 3; n++)
		pthread_create(&threads[n], NULL, takes_turns, (void *)(intptr_t)n);
	for (n = 0; n < 3; n++)
		pthread_join(threads[n], NULL);
	SHOW("turns", "%d", turn);
	pthread_mutex_lock(&mutex);
	at = soon(5);
	SHOW("waited in vain", "%d", pthread_cond_timedwait(&cond, &mutex, &at) == ETIMEDOUT);
	SHOW("and has it again", "%d", try_elsewhere() == EBUSY);
	pthread_condattr_init(&attr);
	pthread_condattr_getclock(&attr, &clock);
	CHECK(clock == CLOCK_REALTIME && pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	pthread_cond_init(&other, &attr);
	clock_gettime(CLOCK_MONOTONIC, &at);
	SHOW("by another clock", "%d", pthread_cond_timedwait(&other, &mutex, &at) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	pthread_cond_destroy(&other);
	SHOW("no barrier for none", "%d", pthread_barrier_init(&barrier, NULL, 0) == EINVAL);
	pthread_barrier_init(&barrier, NULL, MANY);
	SHOW("met", "%d", many(meets, 0));
	SHOW("once a round", "%d", serials);
	pthread_barrier_destroy(&barrier);
	many(asks_once, 0);
	SHOW("once", "%d", onces);
	CHECK(pthread_rwlock_rdlock(&rwlock) == 0 && pthread_rwlock_tryrdlock(&rwlock) == 0);
	SHOW("readers", "%d", pthread_rwlock_trywrlock(&rwlock) == EBUSY);
	pthread_rwlock_unlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
	CHECK(pthread_rwlock_wrlock(&rwlock) == 0);
	SHOW("a writer", "%d %d", pthread_rwlock_trywrlock(&rwlock) == EBUSY, pthread_rwlock_tryrdlock(&rwlock) == EBUSY);
	CHECK(pthread_rwlock_unlock(&rwlock) == 0);
}

static void semaphores(void)
{
	struct timespec at;
	pthread_t thread;
	int n, value = -1;

	sem_init(&sem, 0, 2);
	SHOW("two", "%d %d", sem_trywait(&sem), sem_wait(&sem));
	errno = 0;
	CHECK(sem_trywait(&sem) == -1 && errno == EAGAIN);
	at = soon(5);
	CHECK(sem_timedwait(&sem, &at) == -1 && errno == ETIMEDOUT);
	pthread_create(&thread, NULL, posts, NULL);
	for (n = 0; n < 8; n++)
		sem_wait(&sem);
	pthread_join(thread, NULL);
	sem_getvalue(&sem, &value);
	SHOW("left", "%d", value);
	SHOW("too much", "%d", sem_init(&sem, 0, 0x80000000U));
	sem_destroy(&sem);
}

static void values(void)
{
	pthread_key_t other;

	CHECK(pthread_key_create(&key, destroys) == 0);
	CHECK(pthread_getspecific(key) == NULL);
	SHOW("values before", "%d", many(has_value, 1));
	SHOW("destroyed", "%d", destroyed);
	CHECK(pthread_key_create(&other, NULL) == 0 && other != key);
	CHECK(pthread_setspecific(other, &mine) == 0 && pthread_getspecific(other) == &mine);
	CHECK(pthread_key_delete(other) == 0);
}

static void cancelling(void)
{
	pthread_t thread;
	void *result;

	SHOW("cancelled while it waits", "%d", cancelled(sleeps_in_cond));
	SHOW("cleaned up, the last first", "%d", cleaned);
	/* POSIX: it has the mutex again when the handlers run, and these did not give it back. */
	SHOW("its mutex", "%d", pthread_mutex_trylock(&mutex) == EBUSY);
	pthread_mutex_init(&mutex, NULL);
	SHOW("at once", "%d", cancelled(spins));
	SHOW("where it tests", "%d", cancelled(tests));
	SHOW("asleep", "%d", cancelled(sleeps));
	SHOW("reading", "%d", cancelled(reads));
	SHOW("not where it refuses", "%d", cancelled(refuses));
	pthread_create(&thread, NULL, returns, NULL);
	pthread_join(thread, &result);
	SHOW("others live on", "%d", (int)(intptr_t)result);
}

static void signals(void)
{
	struct sigaction set;
	sigset_t mask, old;
	pthread_t thread;
	pid_t tid = 0;
	void *result;

	memset(&set, 0, sizeof(set));
	set.sa_handler = handler;
	sigaction(SIGUSR1, &set, NULL);
	ready = 0;
	pthread_create(&thread, NULL, takes_signals, &tid);
	while (!ready)
		sched_yield();
	CHECK(tid != getpid() && tid > 0);
	CHECK(pthread_kill(thread, SIGUSR1) == 0);
	SHOW("no such signal", "%d", pthread_kill(pthread_self(), 1000) == EINVAL);
	pthread_join(thread, NULL);
	CHECK(handled_by == tid);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	CHECK(pthread_sigmask(SIG_BLOCK, &mask, &old) == 0 && pthread_sigmask(99, &mask, NULL) == EINVAL);
	pthread_kill(pthread_self(), SIGUSR2);
	sigpending(&mask);
	SHOW("pending", "%d", sigismember(&mask, SIGUSR2));
	set.sa_handler = SIG_IGN;
	sigaction(SIGUSR2, &set, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_create(&thread, NULL, forks, NULL);
	pthread_join(thread, &result);
	SHOW("a child of a thread", "%d", (int)(intptr_t)result);
}

static void names(void)
{
	char name[16] = "";

	CHECK(pthread_setname_np(pthread_self(), "fifteen letters") == 0);
	CHECK(pthread_getname_np(pthread_self(), name, sizeof(name)) == 0);
	SHOW("name", "%s", name);
	SHOW("too long", "%d", pthread_setname_np(pthread_self(), "sixteen letters.") == ERANGE);
}

static int cloned(void *argument)
{
	*(int *)argument = 17;
	return 9;
}

static void clones(void)
{
	static int shared;
	char *stack = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t pid, running = 1;
#ifdef __hppa__
	char *top = stack;
#else
	char *top = stack + (1 << 16);
#endif

	/* The flags of threads, which are all that an emulator knows. */
	pid = clone(cloned, top,
		    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
			    CLONE_CHILD_CLEARTID,
		    &shared, NULL, NULL, (pid_t *)&running);
	CHECK(pid > 0);
	while (__atomic_load_n(&running, __ATOMIC_SEQ_CST))
		sched_yield();
	SHOW("a child with our memory", "%d", shared);
	shared = 0;
	pid = clone(cloned, top, SIGCHLD, &shared);
	waitpid(pid, &status, 0);
	SHOW("and one without", "%d %d", shared, WEXITSTATUS(status));
}

static void *ends_last(void *unused)
{
	struct timespec little = { 0, 20000000 };

	nanosleep(&little, NULL);
	ktap_end();
	fflush(stdout);
	return unused;
}

int main(void)
{
	pthread_t thread;

	setvbuf(stdout, NULL, _IONBF, 0);
	ktap_begin();
	own_variables();
	create_and_join();
	mutexes();
	waiting();
	semaphores();
	values();
	SHOW("allocated", "%d", many(allocate, 1));
	cancelling();
	signals();
	names();
	clones();
	/* The program ends with its last thread, and well. */
	pthread_create(&thread, NULL, ends_last, NULL);
	pthread_exit(NULL);
}
