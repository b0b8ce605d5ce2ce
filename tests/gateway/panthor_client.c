/*
 * A Panthor client without Mesa, for tests: "uapi.h" is made of ring3's declarations.
 *
 *   submit THREADS JOBS   each thread: a group, a buffer, JOBS streams that each store a number, waits
 *   spin                  submits a stream that never ends, and says what became of it
 *   timeout               waits 50 ms for a syncobj that nobody signals
 *   wait                  waits for it for ever
 *   fuzz SEED CALLS       random numbers, sizes, pointers and handles, while another thread submits and
 *                         closes
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "uapi.h"

#define STREAM 0x100000ull
#define MOVE(register, value) (1ull << 56 | (uint64_t)(register) << 48 | (value))
#define MOVE32(register, value) (2ull << 56 | (uint64_t)(register) << 48 | (uint32_t)(value))

static int fd, jobs;

static void check(const char *what, int result)
{
	if (result) {
		printf("%s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static int64_t soon(int64_t ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec + ns;
}

struct context {
	uint32_t vm, bo, group, done;
	uint64_t *memory;
};

static void set_up(struct context *c)
{
	struct drm_panthor_vm_create vm = { 0 };
	struct drm_panthor_bo_create bo = { .size = 8192 };
	struct drm_panthor_bo_mmap_offset offset = { 0 };
	struct drm_panthor_vm_bind_op op = { .va = STREAM, .size = 8192 };
	struct drm_panthor_vm_bind bind = { .ops = { sizeof(op), 1, (uintptr_t)&op } };
	struct drm_panthor_queue_create queue = { .priority = 1, .ringbuf_size = 65536 };
	struct drm_panthor_group_create group = {
		.queues = { sizeof(queue), 1, (uintptr_t)&queue },
		.max_compute_cores = 1,
		.max_fragment_cores = 1,
		.max_tiler_cores = 1,
		.priority = 1,
		.compute_core_mask = 1,
		.fragment_core_mask = 1,
		.tiler_core_mask = 1,
	};
	struct drm_syncobj_create syncobj = { 0 };

	check("VM_CREATE", ioctl(fd, VM_CREATE, &vm));
	c->vm = bind.vm_id = group.vm_id = bo.exclusive_vm_id = vm.id;
	check("BO_CREATE", ioctl(fd, BO_CREATE, &bo));
	c->bo = op.bo_handle = offset.handle = bo.handle;
	check("VM_BIND", ioctl(fd, VM_BIND, &bind));
	check("BO_MMAP_OFFSET", ioctl(fd, BO_MMAP_OFFSET, &offset));
	c->memory = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset.offset);
	check("mmap", c->memory == MAP_FAILED);
	check("GROUP_CREATE", ioctl(fd, GROUP_CREATE, &group));
	c->group = group.group_handle;
	check("SYNCOBJ_CREATE", ioctl(fd, SYNCOBJ_CREATE, &syncobj));
	c->done = syncobj.handle;
}

static int submit(struct context *c, int words)
{
	struct drm_panthor_sync_op signal = { .flags = 1u << 31, .handle = c->done };
	struct drm_panthor_queue_submit queue = {
		.stream_size = 8 * words,
		.stream_addr = STREAM,
		.syncs = { sizeof(signal), 1, (uintptr_t)&signal },
	};
	struct drm_panthor_group_submit submit = {
		.group_handle = c->group,
		.queue_submits = { sizeof(queue), 1, (uintptr_t)&queue },
	};

	return ioctl(fd, GROUP_SUBMIT, &submit);
}

static int wait_for(struct context *c, int64_t until, uint32_t flags)
{
	struct drm_syncobj_wait wait = {
		.handles = (uintptr_t)&c->done,
		.count_handles = 1,
		.timeout_nsec = until,
		.flags = flags,
	};

	return ioctl(fd, SYNCOBJ_WAIT, &wait);
}

static void *stores(void *number)
{
	struct context c;
	int n;

	set_up(&c);
	for (n = 0; n < jobs; n++) {
		c.memory[0] = MOVE(10, STREAM + 4096);
		c.memory[1] = MOVE32(20, (intptr_t)number * 1000 + n);
		c.memory[2] = STORE_R20_TO_R10;
		check("GROUP_SUBMIT", submit(&c, 3));
		check("SYNCOBJ_WAIT", wait_for(&c, INT64_MAX, 0));
		if ((uint32_t)c.memory[512] != (intptr_t)number * 1000 + n) {
			printf("thread %d job %d: stored %u\n", (int)(intptr_t)number, n, (uint32_t)c.memory[512]);
			exit(1);
		}
	}
	return 0;
}

static void spin(void)
{
	struct context c;
	struct drm_panthor_group_get_state state = { 0 };

	set_up(&c);
	c.memory[0] = BRANCH_TO_ITSELF;
	check("GROUP_SUBMIT", submit(&c, 1));
	printf("submitted\n");
	fflush(stdout);
	check("SYNCOBJ_WAIT", wait_for(&c, INT64_MAX, 0));
	state.group_handle = c.group;
	check("GROUP_GET_STATE", ioctl(fd, GROUP_GET_STATE, &state));
	printf("state %u\n", state.state);
}

static uint64_t seed;

static uint64_t dice(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed >> 29;
}

static void *racer(void *unused)
{
	int n;

	(void)unused;
	for (n = 0; n < 10; n++) {
		struct context c = { .group = 1, .done = 1 };
		int other = open(RENDER, O_RDWR);

		submit(&c, 1);
		wait_for(&c, 0, 0);
		close(other);
	}
	return 0;
}

static void fuzz(int calls)
{
	static const uint64_t numbers[] = { 0, 1, 2, 3, 4096, 8192, STREAM, 1ull << 31, 1ull << 47, ~0ull };
	/* What the driver writes too far shall hit nothing else of this program. */
	char *area = mmap(0, 3 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + (1 << 16);
	uint64_t *data = (uint64_t *)area, *pointer;
	struct context c;
	pthread_t thread;
	int n, k, refused = 0;

	mprotect(area, 1 << 16, PROT_READ | PROT_WRITE);
	set_up(&c);
	pthread_create(&thread, 0, racer, 0);
	for (n = 0; n < calls; n++) {
		static const unsigned bases[] = { 0x00, 0x09, 0x0c, 0x2d, 0x2e, 0x40, 0xbf, 0xca };
		static const unsigned spans[] = { 1, 1, 1, 1, 1, 17, 7, 6 };
		int row = dice() % 8;
		unsigned nr = dice() % 10 ? bases[row] + dice() % spans[row] : dice() % 256;
		unsigned size = dice() % 4 ? 8 * (1 + dice() % 8) : dice() % 16384;
		unsigned long cmd = (dice() % 8 ? 3ul : dice() % 4) << 30 | size << 16 | 'd' << 8 | nr;

		for (k = 0; k < 64; k++)
			data[k] = dice() % 3 ? numbers[dice() % 10] : dice() % 5 ? dice() : (uintptr_t)data;
		/* A wait without end is no attack. */
		if (nr == 0xc3 || nr == 0xca)
			data[1] = data[2] = 0;
		pointer = dice() % 8 ? data : (uint64_t *)(uintptr_t)(numbers[dice() % 10] + dice() % 2);
		refused += ioctl(dice() % 16 ? fd : (int)(dice() % 64), cmd, pointer) < 0;
	}
	pthread_join(thread, 0);
	printf("%d calls, some refused: %d\n", calls, refused > 0);
}

int main(int argc, char **argv)
{
	struct context c;
	pthread_t threads[16];
	int n, count;

	fd = open(RENDER, O_RDWR | O_CLOEXEC);
	check("open", fd < 0);
	if (!strcmp(argv[1], "submit")) {
		count = atoi(argv[2]);
		jobs = atoi(argv[3]);
		for (n = 0; n < count; n++)
			pthread_create(&threads[n], 0, stores, (void *)(intptr_t)n);
		for (n = 0; n < count; n++)
			pthread_join(threads[n], 0);
		printf("%d threads, %d jobs each\n", count, jobs);
	} else if (!strcmp(argv[1], "spin")) {
		spin();
	} else if (!strcmp(argv[1], "timeout") || !strcmp(argv[1], "wait")) {
		struct drm_syncobj_create syncobj = { 0 };
		int64_t start = soon(0);

		check("SYNCOBJ_CREATE", ioctl(fd, SYNCOBJ_CREATE, &syncobj));
		c.done = syncobj.handle;
		n = wait_for(&c, argv[1][0] == 't' ? soon(50000000) : INT64_MAX, 2);
		printf("%s after %s\n", n ? strerror(errno) : "done",
		       soon(0) - start < 10000000000 ? "a while" : "an age");
	} else {
		seed = strtoull(argv[2], 0, 0);
		fuzz(atoi(argv[3]));
	}
	fflush(stdout);
	return argc < 2;
}
