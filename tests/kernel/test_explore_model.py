"""Exploration against an explicit-state model checker written here, which shares nothing with it.

Programs are drawn at random.  The model checker knows states, not schedules: it visits every state that some
interleaving reaches.  Exploration must see the same ends: the same final values, the same deadlocks.
"""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ring3.kernel import Completion, Kernel, Mutex, RwSem, Semaphore, Shared
from ring3.kernel.explore import exhaustive, sample
from ring3.kernel.explore.outcome import decode, encode

LOCKS, VARS = 2, 2
FAILED = 90
FOR_GOOD = 1000  # completions done, after complete_all

OPS = st.one_of(
    st.tuples(st.just("read"), st.integers(0, VARS - 1)),
    st.tuples(st.just("write"), st.integers(0, VARS - 1)),  # the register's value + 1
    st.tuples(st.just("wait"), st.just(0)),
    st.tuples(st.just("complete"), st.just(0)),
    st.tuples(st.just("down"), st.just(0)),
    st.tuples(st.just("up"), st.just(0)),
    # Those that fail put FAILED into the register.
    st.tuples(st.sampled_from(["trywait", "trydown"]), st.just(0)),
    st.tuples(st.sampled_from(["complete_all", "reinit"]), st.just(0)),
)


@st.composite
def critical_section(draw):
    kind = draw(st.sampled_from(["lock", "trylock", "rd", "wr"]))
    which = draw(st.integers(0, LOCKS - 1))
    body = draw(st.lists(OPS, max_size=2))
    if draw(st.booleans()) and kind in ("lock", "wr"):
        inner = draw(st.sampled_from(["lock", "rd", "wr"]))
        body = [(inner, 1 - which), *body, (f"un{inner}", 1 - which)]
    unlock = {"lock": "unlock", "trylock": "unlock", "rd": "unrd", "wr": "unwr"}[kind]
    if kind == "trylock":
        return [("trylock", which, len(body) + 1), *body, ("unlock", which)]
    return [(kind, which), *body, (unlock, which)]


@st.composite
def thread(draw):
    increment = st.integers(0, VARS - 1).map(lambda v: [("read", v), ("write", v)])
    single = OPS.map(lambda op: [op])
    parts = draw(st.lists(st.one_of(critical_section(), single, increment), max_size=3))
    return [op for part in parts for op in part]


PROGRAMS = st.lists(thread(), min_size=2, max_size=3)


def ends_of_model(program):
    """Every end some interleaving reaches: (finished, final values) or (stuck, tasks, values).

    A state is program counters, registers, owners of mutexes, rwsems (writer, readers, queue), variables,
    completions done, semaphore count.  A blocked task stands in front of its operation; only rwsems have a
    queue, as their readers go behind waiting writers.
    """
    count = len(program)
    start = (
        (0,) * count,
        tuple(10 * (me + 1) for me in range(count)),
        (None,) * LOCKS,
        ((None, (), ()),) * LOCKS,
        (0,) * VARS,
        0,
        0,
    )
    seen, todo, ends = {start}, [start], set()
    while todo:
        state = todo.pop()
        successors = [s for me in range(count) for s in _step(program, state, me)]
        if not successors:
            pcs, values = state[0], state[4]
            stuck = tuple(me for me in range(count) if pcs[me] < len(program[me]))
            ends.add((stuck, values))
        for successor in successors:
            if successor not in seen:
                seen.add(successor)
                todo.append(successor)
    return ends


def _put(items, at, value):
    return (*items[:at], value, *items[at + 1 :])


def _settle(sem):
    """Hand a free rwsem to the head of its queue: a writer, or all readers in front."""
    writer, readers, queue = sem
    while queue and writer is None:
        me, writes = queue[0]
        if writes:
            if readers:
                break
            writer = me
        else:
            readers = (*readers, me)
        queue = queue[1:]
    return writer, readers, queue


def _step(program, state, me):
    """The states after one step of task ``me``: none when it is blocked or over."""
    pcs, regs, owners, sems, values, done, count = state
    if pcs[me] == len(program[me]):
        return []
    op, which, *skip = program[me][pcs[me]]
    pcs = _put(pcs, me, pcs[me] + 1)
    if op == "read":
        regs = _put(regs, me, values[which])
    elif op == "write":
        values = _put(values, which, regs[me] + 1)
    elif op == "lock":
        if owners[which] is not None:
            return []
        owners = _put(owners, which, me)
    elif op == "trylock":
        if owners[which] is not None:
            pcs = _put(pcs, me, pcs[me] + skip[0])
        else:
            owners = _put(owners, which, me)
    elif op == "unlock":
        owners = _put(owners, which, None)
    elif op in ("rd", "wr"):
        writer, readers, queue = sems[which]
        mine = me in readers if op == "rd" else writer == me
        waiting = any(task == me for task, _ in queue)
        if waiting:
            return []
        if not mine:
            sem = _settle((writer, readers, (*queue, (me, op == "wr"))))
            granted = sem[0] == me or me in sem[1]
            sems = _put(sems, which, sem)
            if not granted:
                pcs = state[0]  # in the queue, still in front of the operation
    elif op in ("unrd", "unwr"):
        writer, readers, queue = sems[which]
        if op == "unrd":
            readers = tuple(task for task in readers if task != me)
        else:
            writer = None
        sems = _put(sems, which, _settle((writer, readers, queue)))
    elif op == "wait":
        if not done:
            return []
        done -= done != FOR_GOOD
    elif op == "trywait":
        if done:
            done -= done != FOR_GOOD
        else:
            regs = _put(regs, me, FAILED)
    elif op == "complete":
        done += done != FOR_GOOD
    elif op == "complete_all":
        done = FOR_GOOD
    elif op == "reinit":
        done = 0
    elif op == "trydown":
        if count:
            count -= 1
        else:
            regs = _put(regs, me, FAILED)
    elif op == "down":
        if not count:
            return []
        count -= 1
    else:
        count += 1
    return [(pcs, regs, owners, sems, values, done, count)]


def kernel_program(program):
    def setup(kernel: Kernel):
        mutexes = [Mutex(kernel, f"m{i}") for i in range(LOCKS)]
        sems = [RwSem(kernel, f"s{i}") for i in range(LOCKS)]
        kernel.parts["values"] = values = [Shared(kernel, f"v{i}", 0) for i in range(VARS)]
        done = Completion(kernel, "done")
        semaphore = Semaphore(kernel, "sem", 0)

        def body(me, ops):
            register, pc = 10 * (me + 1), 0
            while pc < len(ops):
                op, which, *skip = ops[pc]
                pc += 1
                if op == "read":
                    register = values[which].read()
                elif op == "write":
                    values[which].write(register + 1)
                elif op == "trylock":
                    if not mutexes[which].trylock():
                        pc += skip[0]
                elif op in ("lock", "unlock"):
                    getattr(mutexes[which], op)()
                elif op in ("rd", "unrd", "wr", "unwr"):
                    down = "up" if op.startswith("un") else "down"
                    way = "read" if op.endswith("rd") else "write"
                    getattr(sems[which], f"{down}_{way}")()
                elif op == "wait":
                    done.wait()
                elif op in ("complete", "complete_all", "reinit"):
                    getattr(done, op)()
                elif op == "trywait":
                    register = register if done.try_wait() else FAILED
                elif op == "trydown":
                    register = register if semaphore.down_trylock() else FAILED
                else:
                    getattr(semaphore, op)()

        for me, ops in enumerate(program):
            kernel.spawn(body, me, ops)

    return setup


def ends_of_kernel(explore, program):
    ends = set()

    def observe(kernel, wrong):
        stuck = tuple(task.tid - 1 for task in kernel.stuck())
        assert (wrong is not None) == bool(stuck), wrong
        ends.add((stuck, tuple(cell.value for cell in kernel.parts["values"])))

    result = explore(kernel_program(program), observe=observe)
    return ends, result


#: The down can use the first up, so that what lies between both may come after it.
TWO_UPS = [
    [("lock", 0), ("up", 0), ("unlock", 0), ("read", 0), ("write", 0), ("up", 0)],
    [("down", 0), ("write", 0)],
]
TWO_COMPLETES = [
    [("complete", 0), ("read", 0), ("write", 0), ("complete", 0)],
    [("wait", 0), ("write", 0)],
]


@settings(max_examples=250, deadline=None)
@given(PROGRAMS)
@example(TWO_UPS)
@example(TWO_COMPLETES)
def test_reduced_exploration_sees_every_end_of_the_model(program):
    ends, result = ends_of_kernel(exhaustive, program)
    assert result.complete
    assert ends == ends_of_model(program)


@settings(max_examples=60, deadline=None)
@given(PROGRAMS)
def test_plain_exploration_sees_the_same_and_runs_no_fewer(program):
    def plain(setup, observe):
        return exhaustive(setup, reduce=False, max_schedules=3000, observe=observe)

    ends, result = ends_of_kernel(plain, program)
    assert ends <= ends_of_model(program)
    if result.complete:
        assert ends == ends_of_model(program)
        assert exhaustive(kernel_program(program)).schedules <= result.schedules


@settings(max_examples=60, deadline=None)
@given(PROGRAMS, st.sampled_from(["random", "pct"]), st.integers(0, 1 << 30))
def test_sampled_schedules_end_where_the_model_can(program, strategy, seed):
    def sampled(setup, observe):
        return sample(setup, strategy, range(seed, seed + 20), observe=observe)

    ends, _ = ends_of_kernel(sampled, program)
    assert ends <= ends_of_model(program)


@settings(max_examples=40, deadline=None)
@given(PROGRAMS, st.integers(0, 3))
def test_bounded_exploration_grows_with_the_bound(program, bound):
    def bounded(limit):
        return lambda setup, observe: exhaustive(
            setup, preemptions=limit, max_schedules=3000, observe=observe
        )

    fewer, small = ends_of_kernel(bounded(bound), program)
    more, large = ends_of_kernel(bounded(bound + 1), program)
    if large.schedules < 3000:
        assert small.schedules <= large.schedules
        assert fewer <= more <= ends_of_model(program)


@given(st.lists(st.integers(1, 2000), max_size=50))
def test_schedule_strings_round_trip(choices):
    assert decode(encode(choices)) == choices
