// SPDX-License-Identifier: MIT
/*
 * Executes programs of system calls on a real kernel: executor PROGRAMS ANSWERS RENDER SW_SYNC [MODULE].
 *
 * PROGRAMS is numbers, as ring3/drm/differential/wire.py writes them (the format is described there); ANSWERS
 * gets a line for each step.  RENDER "-" looks for the render node of the driver "ring3_mock".  As process 1
 * it is the init of a machine: mounts what it needs, loads MODULE, and powers off at the end.
 *
 * Every program runs in processes of its own: 0, and 1 once it has forked.  They take turns, so that the
 * calls happen in the order of the text; slots and answers are memory that both share.  User memory ends at a
 * page that is not there, so that the kernel faults where a structure or an array ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	SLOTS = 32, STEPS = 1024, BLOCKS = 4, PATCHES = 64, OUTPUTS = 160, THREADS = 4,
	PAGE = 4096, FDS = 200, ANSWERS = 1 << 20, WIDEST = 8 * PAGE,
};
enum {
	IOCTL, OPEN, CLOSE, DUP, POLL, READ, LSEEK, MMAP, EVENTFD, FORK, GETFD, JOIN,
};
/* The numbers of DRM_IOCTL_VERSION and of the mock driver's SETTLE. */
enum { VERSION_NR = 0xc0406400u, SETTLE_NR = 0xc0086445u };

struct value {
	char kind;		/* i: number, s: slot, n: now + number, b: address of block */
	int64_t number;
};

struct patch {
	unsigned offset, width;
	struct value value;
};

struct block {
	unsigned size, patches;
	struct patch patch[PATCHES];
};

struct output {
	unsigned block, offset, width;
	char kind;		/* i: signed, u: unsigned, s: string, #: string without digits, t: is it zero */
};

struct step {
	unsigned process, background, code, blocks, outputs;
	int store;		/* slot for the result, or -1 */
	int from;		/* output that is the result, or -1 for the call's own */
	struct value args[4];
	struct block block[BLOCKS];
	struct output output[OUTPUTS];
};

struct thread {
	volatile int used, done, tid;
};

struct shared {
	int64_t slots[SLOTS];
	struct thread threads[2][THREADS];
	unsigned used;
	char answers[ANSWERS];
};

/* One call on its way, perhaps in a thread of its own. */
struct call {
	struct step *step;
	unsigned char *memory[BLOCKS];
	int64_t result;
	int error;
	struct thread *state;	/* NULL: in the process's first thread */
	pthread_t thread;
};

static struct step *steps;
static unsigned count;
static struct shared *shared;
static struct call calls[THREADS];
static const char *render_path, *sw_sync_path;
static int settle_fd, turn[2][2];	/* pipes that hand the turn to process 0, 1 */
static unsigned self;
static pid_t pids[2];

static void die(const char *what)
{
	perror(what);
	_exit(3);
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(shared->answers + shared->used, ANSWERS - shared->used, format, list);
	va_end(list);
	shared->used += n;
	if (shared->used >= ANSWERS)
		_exit(4);
}

/* -- reading programs ------------------------------------------------------------------------- */

static int64_t number(FILE *in)
{
	long long value;

	if (fscanf(in, "%lld", &value) != 1)
		die("a number is missing");
	return value;
}

static struct value read_value(FILE *in)
{
	struct value value;

	if (fscanf(in, " %c", &value.kind) != 1)
		die("a value is missing");
	value.number = number(in);
	return value;
}

static unsigned bounded(FILE *in, unsigned limit)
{
	int64_t value = number(in);

	if (value < 0 || value > limit)
		die("a count is out of range");
	return value;
}

static void read_step(FILE *in, struct step *step)
{
	step->process = bounded(in, 1);
	step->background = bounded(in, THREADS);
	step->code = bounded(in, JOIN);
	for (int i = 0; i < 4; i++)
		step->args[i] = read_value(in);
	step->blocks = bounded(in, BLOCKS);
	for (unsigned b = 0; b < step->blocks; b++) {
		struct block *block = &step->block[b];

		block->size = bounded(in, WIDEST);
		block->patches = bounded(in, PATCHES);
		for (unsigned p = 0; p < block->patches; p++) {
			block->patch[p].offset = number(in);
			block->patch[p].width = bounded(in, 8);
			block->patch[p].value = read_value(in);
		}
	}
	step->outputs = bounded(in, OUTPUTS);
	for (unsigned o = 0; o < step->outputs; o++) {
		step->output[o].block = bounded(in, BLOCKS - 1);
		step->output[o].offset = number(in);
		step->output[o].width = bounded(in, 64);
		if (fscanf(in, " %c", &step->output[o].kind) != 1)
			die("an output is incomplete");
	}
	step->store = number(in);
	step->from = number(in);
}

/* -- calls ------------------------------------------------------------------------------------ */

/* Memory of `size` bytes that ends where the next page is missing. */
static unsigned char *fenced(unsigned size)
{
	unsigned room = (size + PAGE - 1) / PAGE * PAGE;
	unsigned char *base = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED || mprotect(base + room, PAGE, PROT_NONE))
		die("memory");
	return base + room - size;
}

static void unfence(unsigned char *memory, unsigned size)
{
	unsigned room = (size + PAGE - 1) / PAGE * PAGE;

	munmap(memory + size - room, room + PAGE);
}

static int64_t value_of(struct call *call, struct value value)
{
	switch (value.kind) {
	case 's': return shared->slots[value.number];
	case 'n': return now() + value.number;
	case 'b': return (intptr_t)call->memory[value.number];
	default: return value.number;
	}
}

static int64_t map(int fd, size_t size, off_t offset, int poke)
{
	unsigned char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	int64_t seen;

	if (at == MAP_FAILED)
		return -1;
	seen = at[0];
	at[0] = poke;
	munmap(at, size);
	return seen;
}

static int64_t perform(struct step *step, int64_t *a)
{
	struct pollfd poller = { .fd = a[0], .events = a[1] };
	uint64_t counter;
	int other;

	switch (step->code) {
	case IOCTL: return ioctl(a[0], (unsigned)a[1], a[2]);
	case OPEN: return open(a[0] ? sw_sync_path : render_path, O_RDWR | O_CLOEXEC);
	case CLOSE: return close(a[0]);
	case DUP: return dup(a[0]);
	case POLL: return poll(&poller, 1, a[2]) < 0 ? -1 : poller.revents;
	case READ:
		poller.events = POLLIN;
		if (poll(&poller, 1, 0) <= 0 || !(poller.revents & POLLIN))
			return -2;	/* might sleep */
		return read(a[0], &counter, 8) < 0 ? -1 : (int64_t)counter;
	case LSEEK: return lseek(a[0], a[1], a[2]);
	case MMAP: return map(a[0], a[1], a[2], a[3]);
	case EVENTFD: return eventfd(a[0], a[1]);
	case GETFD:
		other = syscall(SYS_pidfd_open, pids[!self], 0);
		if (other < 0)
			return -1;
		counter = syscall(SYS_pidfd_getfd, other, (int)a[0], 0);
		if ((int)counter >= 0) {	/* the lowest number, which the pidfd may have taken */
			int got = counter, saved = fcntl(got, F_DUPFD_CLOEXEC, FDS);

			close(got);
			close(other);
			got = fcntl(saved, F_DUPFD_CLOEXEC, 0);
			close(saved);
			return got;
		}
		close(other);
		errno = EBADF;
		return -1;
	}
	errno = ENOSYS;
	return -1;
}

static void *run_call(void *argument)
{
	struct call *call = argument;
	int64_t args[4];

	if (call->state)
		call->state->tid = gettid();
	for (int i = 0; i < 4; i++)
		args[i] = value_of(call, call->step->args[i]);
	call->result = perform(call->step, args);
	call->error = call->result == -1 ? errno : 0;
	if (call->state)
		call->state->done = 1;
	return NULL;
}

static void prepare(struct call *call, struct step *step)
{
	memset(call, 0, sizeof(*call));
	call->step = step;
	for (unsigned b = 0; b < step->blocks; b++)
		call->memory[b] = fenced(step->block[b].size);
	for (unsigned b = 0; b < step->blocks; b++)
		for (unsigned p = 0; p < step->block[b].patches; p++) {
			struct patch *patch = &step->block[b].patch[p];
			int64_t value = value_of(call, patch->value);

			if (patch->offset + patch->width <= step->block[b].size)
				memcpy(call->memory[b] + patch->offset, &value, patch->width);
		}
}

static int digit(int c)
{
	return c >= '0' && c <= '9';
}

static void tell_string(const unsigned char *text, unsigned width, int masked)
{
	tell(" \"");
	for (unsigned i = 0; i < width && text[i]; i++)
		if (masked && digit(text[i])) {
			if (!i || !digit(text[i - 1]))
				tell("#");
		} else {
			tell("%c", text[i] <= ' ' || text[i] > '~' || text[i] == '"' ? '?' : text[i]);
		}
	tell("\"");
}

static void tell_output(struct call *call, struct output *output)
{
	const unsigned char *at = call->memory[output->block] + output->offset;
	unsigned shift = 64 - 8 * output->width;
	uint64_t value = 0;

	if (output->offset + output->width > call->step->block[output->block].size)
		return;
	if (output->kind == 's' || output->kind == '#') {
		tell_string(at, output->width, output->kind == '#');
		return;
	}
	memcpy(&value, at, output->width);
	if (output->kind == 'i')
		tell(" %lld", (long long)((int64_t)(value << shift) >> shift));
	else if (output->kind == 't')
		tell(" %d", value != 0);
	else
		tell(" %llu", (unsigned long long)value);
}

static void finish(struct call *call)
{
	struct step *step = call->step;

	tell("%d", call->error);
	if (!call->error && step->code != IOCTL)
		tell(" %lld", (long long)call->result);
	else if (!call->error && call->result)
		tell(" ret %lld", (long long)call->result);
	for (unsigned o = 0; o < step->outputs; o++)
		tell_output(call, &step->output[o]);
	tell("\n");
	if (step->store >= 0 && !call->error) {
		int64_t value = call->result;

		if (step->from >= 0) {
			struct output *output = &step->output[step->from];
			int32_t word = -1;

			if (output->offset + 4 <= step->block[output->block].size)
				memcpy(&word, call->memory[output->block] + output->offset, 4);
			value = word;
		}
		shared->slots[step->store] = value;
	}
	for (unsigned b = 0; b < step->blocks; b++)
		unfence(call->memory[b], step->block[b].size);
}

/* -- threads ---------------------------------------------------------------------------------- */

/* Whether the thread sleeps. */
static int sleeps(struct thread *thread)
{
	char path[64], text[256], *at;
	ssize_t n;
	int fd;

	if (!thread->tid)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", thread->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n < 0 ? 0 : n] = 0;
	at = strrchr(text, ')');
	return at && at[1] && at[2] == 'S';
}

/* Until the thread has ended, or sleeps and goes on sleeping: the kernel's own locks are held for less. */
static void follow(struct thread *thread)
{
	for (int asleep = 0; thread->used && !thread->done && asleep < 3;) {
		asleep = sleeps(thread) ? asleep + 1 : 0;
		usleep(asleep ? 50 : 200);
	}
}

/* Until nothing happens any more by itself. */
static void rest(void)
{
	uint64_t argument = 0;

	for (int process = 0; process < 2; process++)
		for (int i = 0; i < THREADS; i++)
			follow(&shared->threads[process][i]);
	ioctl(settle_fd, SETTLE_NR, &argument);
}

static void begin(struct step *step)
{
	struct call *call = &calls[step->background - 1];
	struct thread *thread = &shared->threads[self][step->background - 1];

	if (thread->used) {
		tell("%d\n", EBUSY);
		return;
	}
	prepare(call, step);
	memset((void *)thread, 0, sizeof(*thread));
	thread->used = 1;
	call->state = thread;
	if (pthread_create(&call->thread, NULL, run_call, call))
		die("thread");
	follow(thread);
	tell("0\n");
}

static void join(struct step *step)
{
	struct call *call = &calls[step->args[0].number - 1];
	struct thread *thread = &shared->threads[self][step->args[0].number - 1];

	if (!thread->used) {
		tell("%d\n", ESRCH);
		return;
	}
	for (int i = 0; i < 60 && !thread->done; i++)
		usleep(500);
	while (!thread->done) {		/* nobody wakes it: a signal does */
		pthread_kill(call->thread, SIGUSR1);
		usleep(1000);
	}
	pthread_join(call->thread, NULL);
	finish(call);
	thread->used = 0;
}

static void nothing(int signal)
{
}

/* -- programs --------------------------------------------------------------------------------- */

static void fork_now(void)
{
	pid_t pid;

	if (pids[1]) {
		tell("%d\n", EBUSY);
		return;
	}
	pids[0] = getpid();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		self = 1;
		pids[1] = getpid();
	} else {
		pids[1] = pid;
		tell("0\n");
	}
}

/* Who executes step i: process 1 is there only after the first fork. */
static unsigned owner(unsigned i)
{
	for (unsigned earlier = 0; earlier < i; earlier++)
		if (steps[earlier].code == FORK)
			return steps[i].process;
	return 0;
}

static void execute(struct step *step)
{
	struct call call;

	if (step->process != self) {
		tell("%d\n", ESRCH);
	} else if (step->code == FORK) {
		fork_now();
	} else if (step->code == JOIN) {
		join(step);
	} else if (step->background) {
		begin(step);
	} else {
		prepare(&call, step);
		run_call(&call);
		finish(&call);
	}
}

static void run(void)
{
	struct sigaction action = { .sa_handler = nothing };
	char token;

	sigaction(SIGUSR1, &action, NULL);
	for (unsigned i = 0; i < count; i++) {
		if (owner(i) != self)
			continue;
		if (i && owner(i - 1) != self && read(turn[self][0], &token, 1) != 1)
			die("turn");
		execute(&steps[i]);
		if (self != owner(i))
			continue;	/* the child, just forked */
		rest();
		if ((i + 1 < count ? owner(i + 1) : 0) != self && write(turn[!self][1], "", 1) != 1)
			die("turn");
	}
	if (self == 1)
		pause();	/* its files stay open until the program ends */
	if (pids[1]) {
		if (count && owner(count - 1) == 1 && read(turn[0][0], &token, 1) != 1)
			die("turn");
		kill(pids[1], SIGKILL);
		waitpid(pids[1], NULL, 0);
	}
	_exit(0);
}

static int status_of(pid_t pid)
{
	int status;

	for (int i = 0; i < 20000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(i < 100 ? 200 : 1000);
	}
	kill(-pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static void program(FILE *out)
{
	pid_t pid;
	int status, fd;

	memset(shared->slots, 0xff, sizeof(shared->slots));
	memset(shared->threads, 0, sizeof(shared->threads));
	shared->used = 0;
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_NAME, "program");
		for (int i = 0; i < 3; i++)
			dup2(eventfd(0, 0), i);
		for (int i = 3; i < 16; i++)
			close(i);
		for (int i = 0; i < 2; i++) {
			int ends[2];

			if (pipe(ends))
				die("pipe");
			for (int end = 0; end < 2; end++) {
				turn[i][end] = fcntl(ends[end], F_DUPFD, FDS);
				close(ends[end]);
			}
		}
		fd = open(render_path, O_RDWR | O_CLOEXEC);
		shared->slots[0] = fd;
		run();
	}
	status = status_of(pid);
	fwrite(shared->answers, 1, shared->used, out);
	if (status)
		fprintf(out, "died %d\n", status);
	fprintf(out, "end\n");
	fflush(out);
}

/* -- the machine ------------------------------------------------------------------------------ */

static void mount_all(void)
{
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
}

static const char *find_render(void)
{
	static char path[32], name[16];
	struct { int32_t v[4]; uint64_t name_len, name, date_len, date, desc_len, desc; } version;

	for (int i = 128; i < 136; i++) {
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/renderD%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		memset(&version, 0, sizeof(version));
		version.name_len = sizeof(name) - 1;
		version.name = (intptr_t)name;
		if (fd >= 0 && !ioctl(fd, VERSION_NR, &version) && !strcmp(name, "ring3_mock")) {
			close(fd);
			return path;
		}
		close(fd);
	}
	die("no render node of ring3_mock");
	return NULL;
}

int main(int argc, char **argv)
{
	FILE *in, *out;
	int init = getpid() == 1;

	if (argc < 5)
		return 2;
	in = fopen(argv[1], "re");
	out = fopen(argv[2], "we");
	if (!in || !out)
		die("programs and answers");
	if (init)
		mount_all();
	if (argc > 5) {
		int fd = open(argv[5], O_RDONLY | O_CLOEXEC);

		if (syscall(SYS_finit_module, fd, "", 0))
			die(argv[5]);
		close(fd);
	}
	render_path = strcmp(argv[3], "-") ? argv[3] : find_render();
	sw_sync_path = argv[4];
	settle_fd = fcntl(open(render_path, O_RDWR | O_CLOEXEC), F_DUPFD_CLOEXEC, FDS + 20);
	steps = calloc(STEPS, sizeof(*steps));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!steps || shared == MAP_FAILED || settle_fd < 0)
		die("set-up");
	for (int64_t programs = number(in); programs > 0; programs--) {
		count = bounded(in, STEPS);
		for (unsigned i = 0; i < count; i++)
			read_step(in, &steps[i]);
		program(out);
	}
	fclose(out);
	if (init) {
		sync();
		reboot(RB_POWER_OFF);
	}
	return 0;
}
