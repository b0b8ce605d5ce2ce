// SPDX-License-Identifier: MIT
/*
 * A DRM driver for hardware that does nothing until it is told to: buffers, sync objects and one ring behind
 * the GPU scheduler, for a real kernel.  ring3/drm/differential/mock.py is the same driver on ring3.drm;
 * random programs run on both.  The interface is declared in ring3/drm/differential/uapi.py.
 *
 * SETTLE returns when the kernel has nothing left to do by itself, so that what a program sees need not depend
 * on timing.
 */
#include <linux/device/faux.h>
#include <linux/dma-mapping.h>
#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/workqueue.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_syncobj.h>
#include <drm/gpu_scheduler.h>

#define RING_CREDITS 4
#define MAX_CONTEXTS 8

struct mock_create_bo {
	__u64 size;
	__u32 handle;
	__u32 pad;
};

struct mock_create_context {
	__u32 priority;
	__u32 id;
};

struct mock_destroy_context {
	__u32 id;
	__u32 pad;
};

struct mock_submit {
	__u32 context;
	__u32 credits;
	__u32 wait;
	__u32 signal;
	__u64 wait_point;
	__u64 signal_point;
	__u32 bo;
	__u32 write;
};

struct mock_advance {
	__u32 count;
	__s32 error;
	__u32 done;
	__u32 last;
};

struct mock_settle {
	__u64 pad;
};

static struct mock_device {
	struct drm_device drm;
	struct workqueue_struct *wq;	/* of all schedulers */
	atomic_t jobs;			/* not freed yet */
} *mock;

struct mock_job {
	struct drm_sched_job base;
	struct list_head link;
	struct dma_fence hw;
	struct mock_file *owner;
	u32 number;
	bool ran;
};

struct mock_file {
	struct kref ref;		/* the open file's and each job's: a killed job outlives the file */
	struct drm_gpu_scheduler sched;
	struct mutex lock;		/* the calls below, one after the other */
	struct xarray contexts;
	spinlock_t ring_lock;		/* ring, and the hardware fences */
	struct list_head ring;
	u64 fence_context;
	u64 fence_seqno;
	u32 jobs;
};

static const char *mock_name(struct dma_fence *fence)
{
	return "mock";
}

static void mock_file_free(struct kref *ref)
{
	kfree(container_of(ref, struct mock_file, ref));
}

static void mock_job_free(struct mock_job *job)
{
	struct mock_file *file = job->owner;

	kfree(job);
	kref_put(&file->ref, mock_file_free);
}

static void mock_fence_release(struct dma_fence *fence)
{
	mock_job_free(container_of(fence, struct mock_job, hw));
}

static const struct dma_fence_ops mock_fence_ops = {
	.get_driver_name = mock_name,
	.get_timeline_name = mock_name,
	.release = mock_fence_release,
};

static struct mock_job *to_job(struct drm_sched_job *base)
{
	return container_of(base, struct mock_job, base);
}

static struct dma_fence *mock_run_job(struct drm_sched_job *base)
{
	struct mock_job *job = to_job(base);
	struct mock_file *file = job->owner;

	dma_fence_init(&job->hw, &mock_fence_ops, &file->ring_lock, file->fence_context,
		       ++file->fence_seqno);
	job->ran = true;	/* the first reference is the job's, until free_job */
	spin_lock_irq(&file->ring_lock);
	list_add_tail(&job->link, &file->ring);
	spin_unlock_irq(&file->ring_lock);
	return dma_fence_get(&job->hw);	/* the scheduler's */
}

static enum drm_gpu_sched_stat mock_timedout_job(struct drm_sched_job *base)
{
	return DRM_GPU_SCHED_STAT_NO_HANG;
}

static void mock_free_job(struct drm_sched_job *base)
{
	struct mock_job *job = to_job(base);

	drm_sched_job_cleanup(base);
	atomic_dec(&mock->jobs);
	if (job->ran)
		dma_fence_put(&job->hw);
	else
		mock_job_free(job);
}

static void mock_cancel_job(struct drm_sched_job *base)
{
	struct mock_job *job = to_job(base);
	struct mock_file *file = job->owner;

	spin_lock_irq(&file->ring_lock);
	list_del_init(&job->link);
	if (!dma_fence_is_signaled_locked(&job->hw)) {
		dma_fence_set_error(&job->hw, -ECANCELED);
		dma_fence_signal_locked(&job->hw);
	}
	spin_unlock_irq(&file->ring_lock);
}

static const struct drm_sched_backend_ops mock_sched_ops = {
	.run_job = mock_run_job,
	.timedout_job = mock_timedout_job,
	.free_job = mock_free_job,
	.cancel_job = mock_cancel_job,
};

/* A killed job's end queues the work that ends the next one: as often as there are jobs. */
static void mock_rest(void)
{
	int rounds = atomic_read(&mock->jobs) + 2;

	while (rounds--) {
		local_irq_disable();
		irq_work_run();		/* fence containers signal from there */
		local_irq_enable();
		drain_workqueue(mock->wq);
		__flush_workqueue(system_percpu_wq);
	}
}

static int mock_create_bo(struct drm_device *dev, void *data, struct drm_file *drm)
{
	struct mock_create_bo *args = data;
	struct drm_gem_shmem_object *obj;
	int ret;

	if (args->pad || !args->size || args->size > SZ_1M)
		return -EINVAL;
	obj = drm_gem_shmem_create(dev, PAGE_ALIGN(args->size));
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ret = drm_gem_handle_create(drm, &obj->base, &args->handle);
	drm_gem_object_put(&obj->base);
	return ret;
}

static int mock_create_context(struct drm_device *dev, void *data, struct drm_file *drm)
{
	struct mock_create_context *args = data;
	struct mock_file *file = drm->driver_priv;
	struct drm_gpu_scheduler *sched = &file->sched;
	struct drm_sched_entity *entity;
	int ret;

	if (args->priority >= DRM_SCHED_PRIORITY_COUNT)
		return -EINVAL;
	entity = kzalloc_obj(*entity);
	if (!entity)
		return -ENOMEM;
	mutex_lock(&file->lock);
	ret = drm_sched_entity_init(entity, args->priority, &sched, 1, NULL);
	if (!ret)
		ret = xa_alloc(&file->contexts, &args->id, entity,
			       XA_LIMIT(1, MAX_CONTEXTS), GFP_KERNEL);
	mutex_unlock(&file->lock);
	if (ret)
		kfree(entity);
	return ret;
}

static int mock_destroy_context(struct drm_device *dev, void *data, struct drm_file *drm)
{
	struct mock_destroy_context *args = data;
	struct mock_file *file = drm->driver_priv;
	struct drm_sched_entity *entity;

	if (args->pad)
		return -EINVAL;
	mutex_lock(&file->lock);
	entity = xa_erase(&file->contexts, args->id);
	if (entity) {
		drm_sched_entity_fini(entity);
		kfree(entity);
		mock_rest();
	}
	mutex_unlock(&file->lock);
	return entity ? 0 : -ENOENT;
}

static int mock_submit(struct drm_device *dev, void *data, struct drm_file *drm)
{
	struct mock_submit *args = data;
	struct mock_file *file = drm->driver_priv;
	struct drm_gem_object *bo = NULL;
	struct drm_syncobj *signal = NULL;
	struct dma_fence_chain *chain = NULL;
	struct drm_sched_entity *entity;
	struct mock_job *job;
	int ret;

	if (args->write > 1 || (args->write && !args->bo))
		return -EINVAL;
	job = kzalloc_obj(*job);
	if (!job)
		return -ENOMEM;
	INIT_LIST_HEAD(&job->link);
	kref_get(&file->ref);
	job->owner = file;
	mutex_lock(&file->lock);
	entity = xa_load(&file->contexts, args->context);
	if (!entity) {
		ret = -ENOENT;
		goto free;
	}
	ret = drm_sched_job_init(&job->base, entity, args->credits, file, drm->client_id);
	if (ret)
		goto free;
	if (args->wait) {
		ret = drm_sched_job_add_syncobj_dependency(&job->base, drm, args->wait,
							   args->wait_point);
		if (ret)
			goto cleanup;
	}
	if (args->signal) {
		signal = drm_syncobj_find(drm, args->signal);
		ret = signal ? 0 : -ENOENT;
		if (!ret && args->signal_point) {
			chain = dma_fence_chain_alloc();
			ret = chain ? 0 : -ENOMEM;
		}
		if (ret)
			goto cleanup;
	}
	if (args->bo) {
		bo = drm_gem_object_lookup(drm, args->bo);
		if (!bo) {
			ret = -ENOENT;
			goto cleanup;
		}
		dma_resv_lock(bo->resv, NULL);
		ret = dma_resv_reserve_fences(bo->resv, 1);
		if (!ret)
			ret = drm_sched_job_add_implicit_dependencies(&job->base, bo, args->write);
		if (ret) {
			dma_resv_unlock(bo->resv);
			goto cleanup;
		}
	}
	drm_sched_job_arm(&job->base);
	atomic_inc(&mock->jobs);
	job->number = ++file->jobs;
	if (bo) {
		dma_resv_add_fence(bo->resv, &job->base.s_fence->finished,
				   args->write ? DMA_RESV_USAGE_WRITE : DMA_RESV_USAGE_READ);
		dma_resv_unlock(bo->resv);
	}
	if (chain) {
		drm_syncobj_add_point(signal, chain, &job->base.s_fence->finished,
				      args->signal_point);
		chain = NULL;
	} else if (signal) {
		drm_syncobj_replace_fence(signal, &job->base.s_fence->finished);
	}
	drm_sched_entity_push_job(&job->base);
	mock_rest();
	goto out;
cleanup:
	drm_sched_job_cleanup(&job->base);
free:
	mock_job_free(job);
out:
	mutex_unlock(&file->lock);
	dma_fence_chain_free(chain);
	if (bo)
		drm_gem_object_put(bo);
	if (signal)
		drm_syncobj_put(signal);
	return ret;
}

static int mock_advance(struct drm_device *dev, void *data, struct drm_file *drm)
{
	struct mock_advance *args = data;
	struct mock_file *file = drm->driver_priv;

	if (args->error > 0 || args->error < -4095)
		return -EINVAL;
	args->done = 0;
	args->last = 0;
	mutex_lock(&file->lock);
	while (args->done < args->count) {
		struct mock_job *job;

		spin_lock_irq(&file->ring_lock);
		job = list_first_entry_or_null(&file->ring, struct mock_job, link);
		if (job) {
			list_del_init(&job->link);
			args->last = job->number;
			if (args->error)
				dma_fence_set_error(&job->hw, args->error);
			dma_fence_signal_locked(&job->hw);
		}
		spin_unlock_irq(&file->ring_lock);
		if (!job)
			break;
		args->done++;
		mock_rest();
	}
	mutex_unlock(&file->lock);
	return 0;
}

static int mock_settle(struct drm_device *dev, void *data, struct drm_file *drm)
{
	mock_rest();
	return 0;
}

static int mock_open(struct drm_device *dev, struct drm_file *drm)
{
	struct drm_sched_init_args args = {
		.ops = &mock_sched_ops,
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
		.credit_limit = RING_CREDITS,
		.timeout = MAX_SCHEDULE_TIMEOUT,
		.submit_wq = mock->wq,
		.name = "mock",
		.dev = dev->dev,
	};
	struct mock_file *file = kzalloc_obj(*file);
	int ret;

	if (!file)
		return -ENOMEM;
	kref_init(&file->ref);
	mutex_init(&file->lock);
	xa_init_flags(&file->contexts, XA_FLAGS_ALLOC1);
	spin_lock_init(&file->ring_lock);
	INIT_LIST_HEAD(&file->ring);
	file->fence_context = dma_fence_context_alloc(1);
	ret = drm_sched_init(&file->sched, &args);
	if (ret) {
		kfree(file);
		return ret;
	}
	drm->driver_priv = file;
	return 0;
}

static void mock_postclose(struct drm_device *dev, struct drm_file *drm)
{
	struct mock_file *file = drm->driver_priv;
	struct drm_sched_entity *entity;
	unsigned long id;

	xa_for_each(&file->contexts, id, entity) {
		drm_sched_entity_fini(entity);
		kfree(entity);
	}
	xa_destroy(&file->contexts);
	mock_rest();
	drm_sched_fini(&file->sched);
	kref_put(&file->ref, mock_file_free);
}

/* A structure and what serves it have one name. */
#define MOCK(nr, what) \
	[nr] = { .cmd = DRM_IOWR(DRM_COMMAND_BASE + (nr), struct what), .func = what, \
		 .flags = DRM_RENDER_ALLOW, .name = #what }

static const struct drm_ioctl_desc mock_ioctls[] = {
	MOCK(0, mock_create_bo),
	MOCK(1, mock_create_context),
	MOCK(2, mock_destroy_context),
	MOCK(3, mock_submit),
	MOCK(4, mock_advance),
	MOCK(5, mock_settle),
};

DEFINE_DRM_GEM_FOPS(mock_fops);

static const struct drm_driver mock_driver = {
	.driver_features = DRIVER_GEM | DRIVER_RENDER | DRIVER_SYNCOBJ | DRIVER_SYNCOBJ_TIMELINE,
	.open = mock_open,
	.postclose = mock_postclose,
	.ioctls = mock_ioctls,
	.num_ioctls = ARRAY_SIZE(mock_ioctls),
	.fops = &mock_fops,
	DRM_GEM_SHMEM_DRIVER_OPS,
	.name = "ring3_mock",
	.desc = "hardware that waits to be told",
	.major = 1,
};

static int __init mock_init(void)
{
	struct faux_device *faux = faux_device_create("ring3_mock", NULL, NULL);
	int ret;

	if (!faux)
		return -ENODEV;
	if (!devres_open_group(&faux->dev, NULL, GFP_KERNEL)) {
		ret = -ENOMEM;
		goto destroy;
	}
	dma_coerce_mask_and_coherent(&faux->dev, DMA_BIT_MASK(64));
	mock = devm_drm_dev_alloc(&faux->dev, &mock_driver, struct mock_device, drm);
	if (IS_ERR(mock)) {
		ret = PTR_ERR(mock);
		goto release;
	}
	mock->wq = alloc_ordered_workqueue("mock", 0);
	if (!mock->wq) {
		ret = -ENOMEM;
		goto release;
	}
	ret = drm_dev_register(&mock->drm, 0);
	if (ret)
		goto release;
	return 0;
release:
	devres_release_group(&faux->dev, NULL);
destroy:
	faux_device_destroy(faux);
	return ret;
}

module_init(mock_init);
MODULE_DESCRIPTION("DRM hardware that waits to be told, to compare a simulated kernel with");
MODULE_LICENSE("Dual MIT/GPL");
