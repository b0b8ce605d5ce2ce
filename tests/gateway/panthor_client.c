/*
 * A Panthor client without Mesa, for tests: "uapi.h" is made of ring3's declarations.
 *
 *   submit THREADS JOBS   each thread: a group, a buffer, JOBS streams that each store a number, waits
 *   share                 a producer process and a consumer process, reconciled through a dma-buf
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
#include <linux/dma-buf.h>
#include <poll.h>
#include <sys/wait.h>
#include "uapi.h"

struct sw_sync_create_fence_data {
	uint32_t value;
	char name[32];
	int32_t fence;
};
#define SW_SYNC_CREATE_FENCE _IOWR('W', 0, struct sw_sync_create_fence_data)
#define SW_SYNC_INC _IOW('W', 1, uint32_t)

#define STREAM 0x100000ull
#define SHARED 0x200000ull
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

static void submit_after(struct context *c, int words, uint32_t before)
{
	struct drm_panthor_sync_op syncs[2] = { { .handle = before }, { .flags = 1u << 31, .handle = c->done } };
	struct drm_panthor_queue_submit queue = {
		.stream_size = 8 * words,
		.stream_addr = STREAM,
		.syncs = { sizeof(*syncs), 2, (uintptr_t)syncs },
	};
	struct drm_panthor_group_submit submit = {
		.group_handle = c->group,
		.queue_submits = { sizeof(queue), 1, (uintptr_t)&queue },
	};

	check("GROUP_SUBMIT", ioctl(fd, GROUP_SUBMIT, &submit));
}

static void map_shared(struct context *c, uint32_t bo)
{
	struct drm_panthor_vm_bind_op op = { .va = SHARED, .size = 4096, .bo_handle = bo };
	struct drm_panthor_vm_bind bind = { .vm_id = c->vm, .ops = { sizeof(op), 1, (uintptr_t)&op } };

	check("VM_BIND of the shared buffer", ioctl(fd, VM_BIND, &bind));
}

/* The consumer knows nothing of the producer but the dma-buf: what to wait for stands in its reservation. */
static int consume(int buffer, int ready)
{
	struct dma_buf_export_sync_file out = { .flags = DMA_BUF_SYNC_READ };
	struct drm_prime_handle prime = { .fd = buffer };
	struct drm_syncobj_create before = { 0 };
	struct drm_syncobj_handle in = { .flags = 1 };
	struct pollfd pending = { .events = POLLIN };
	struct context c;

	fd = open(RENDER, O_RDWR | O_CLOEXEC);
	set_up(&c);
	check("PRIME_FD_TO_HANDLE", ioctl(fd, PRIME_FD_TO_HANDLE, &prime));
	map_shared(&c, prime.handle);
	check("EXPORT_SYNC_FILE", ioctl(buffer, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out));
	check("SYNCOBJ_CREATE", ioctl(fd, SYNCOBJ_CREATE, &before));
	in.handle = before.handle;
	in.fd = pending.fd = out.fd;
	check("SYNCOBJ_FD_TO_HANDLE", ioctl(fd, SYNCOBJ_FD_TO_HANDLE, &in));
	c.memory[0] = MOVE(10, SHARED);
	c.memory[1] = LOAD_R20_FROM_R10;
	c.memory[2] = WAIT_ALL_SCOREBOARDS;
	c.memory[3] = MOVE(10, STREAM + 4096);
	c.memory[4] = STORE_R20_TO_R10;
	submit_after(&c, 5, before.handle);
	printf("consumer: submitted, its fence is %s\n", poll(&pending, 1, 0) ? "signalled" : "pending");
	fflush(stdout);
	check("tell", write(ready, "", 1) != 1);
	check("SYNCOBJ_WAIT", wait_for(&c, INT64_MAX, 0));
	printf("consumer: read %#x\n", (uint32_t)c.memory[512]);
	fflush(stdout);
	return 0;
}

static void share(void)
{
	struct drm_panthor_bo_create bo = { .size = 4096 };
	struct drm_prime_handle prime = { .flags = O_CLOEXEC | O_RDWR };
	struct drm_syncobj_create gate = { 0 };
	struct drm_syncobj_handle out = { .flags = 1 };
	struct dma_buf_import_sync_file in = { .flags = DMA_BUF_SYNC_WRITE };
	struct sw_sync_create_fence_data point = { .value = 1 };
	struct context c;
	int ready[2], status, timeline = open("/dev/sw_sync", O_RDWR);
	uint32_t one = 1;
	char byte;

	set_up(&c);
	check("BO_CREATE", ioctl(fd, BO_CREATE, &bo));
	prime.handle = bo.handle;
	map_shared(&c, bo.handle);
	check("PRIME_HANDLE_TO_FD", ioctl(fd, PRIME_HANDLE_TO_FD, &prime));
	/* The job waits for a timeline of sw_sync that moves once the consumer has submitted. */
	check("SW_SYNC_CREATE_FENCE", ioctl(timeline, SW_SYNC_CREATE_FENCE, &point));
	check("SYNCOBJ_CREATE", ioctl(fd, SYNCOBJ_CREATE, &gate));
	out.handle = gate.handle;
	out.fd = point.fence;
	check("SYNCOBJ_FD_TO_HANDLE", ioctl(fd, SYNCOBJ_FD_TO_HANDLE, &out));
	c.memory[0] = MOVE(10, SHARED);
	c.memory[1] = MOVE32(20, 0xbeef);
	c.memory[2] = STORE_R20_TO_R10;
	submit_after(&c, 3, gate.handle);
	/* From explicit to implicit: the job's fence becomes the buffer's. */
	out.handle = c.done;
	check("SYNCOBJ_HANDLE_TO_FD", ioctl(fd, SYNCOBJ_HANDLE_TO_FD, &out));
	in.fd = out.fd;
	check("IMPORT_SYNC_FILE", ioctl(prime.fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in));
	check("pipe", pipe(ready));
	if (!fork())
		_exit(consume(prime.fd, ready[1]));
	check("read", read(ready[0], &byte, 1) != 1);
	printf("producer: goes on\n");
	fflush(stdout);
	check("SW_SYNC_INC", ioctl(timeline, SW_SYNC_INC, &one));
	wait(&status);
	exit(WEXITSTATUS(status));
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
	} else if (!strcmp(argv[1], "share")) {
		share();
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
