"""The GPU scheduler: jobs with dependencies, pushed to entities, run by a scheduler when they can be.

    job = Job(entity, credits=1)         # may fail
    job.add_dependency(fence)            # may fail
    job.arm()                            # the point of no return: the fences exist
    job.push()                           # the scheduler has it; it can no longer fail

Semantics of drivers/gpu/drm/scheduler (7.2).
"""

from ring3.drm.sched.entity import Entity, Priority
from ring3.drm.sched.job import Job, SchedFence
from ring3.drm.sched.scheduler import Backend, GpuScheduler, Policy, TimeoutStatus

__all__ = [
    "Backend",
    "Entity",
    "GpuScheduler",
    "Job",
    "Policy",
    "Priority",
    "SchedFence",
    "TimeoutStatus",
]
