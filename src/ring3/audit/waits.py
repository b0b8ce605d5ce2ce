"""What reclaim waits for: work items, completions, threads; followed to what they allocate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ring3.audit.conditions import DUMPS
from ring3.audit.contexts import Context, Edge, Site
from ring3.audit.findings import Finding, Level, Step
from ring3.audit.graph import (
    Chains,
    Graph,
    Node,
    Reach,
    Spread,
    any_of_several,
    beyond_evict,
    doubts,
    long_way,
    one_of_several,
    rare_step,
)
from ring3.audit.program import Program
from ring3.audit.tables import (
    BLOCK_OPS,
    DOUBTED_OPS,
    QUEUE,
    RESCUED,
    SIGNALLERS,
    SUBMISSIONS,
    SUBMITTED_HERE,
    TRANSPORTS,
    UNWAITED,
    WAITED_OPS,
)

RULE = "wait-in-reclaim"
_WORK = re.compile(
    r"^(?:__)?INIT_(?:DELAYED_|DEFERRABLE_|RCU_)?WORK(?:_ONSTACK)?$|^kthread_init_work$"
)
#: Stands for the queue that a function is handed, whichever it is.
_HANDED = "*"
#: Work queued so many calls below an operation is the operation's own.
_NEAR = 3
_MARKS = (b"_WORK", b"complete", b"kthread", b"queue_work", b"queue_delayed_work")


class Other(NamedTuple):
    """Who ends a wait: ``function``, up to ``line`` (0: all of it)."""

    function: int
    line: int
    how: str


def waits(
    program: Program, chains: Chains, graph: Graph, spread: Spread, unit: str, out: list[Finding]
) -> None:
    """Add to ``out`` the waits of ``spread`` in the subject, with the allocations of who ends them."""
    others: dict[str, list[Other]] | None = None
    seen: set[tuple[int, int]] = set()
    for node, walked in spread.walked.items():
        if program.unit[node[0]] != unit or program.functions[node[0]].macro:
            continue
        for site in walked.sites:
            if site.kind != "wait" or (node[0], site.line) in seen:
                continue
            seen.add((node[0], site.line))
            if others is None:
                others = _others(program, unit)
            out.append(_wait(program, chains, graph, spread, unit, node, site, others))
    out += _declared(program, chains, graph, unit)


def _wait(
    program: Program,
    chains: Chains,
    graph: Graph,
    spread: Spread,
    unit: str,
    node: Node,
    site: Site,
    others: dict[str, list[Other]],
) -> Finding:
    before, root = chains.to(spread.ways, node)
    at = chains.step(node, site)
    name = chains.name(node)
    waited = site.name.partition("(")[2][:-1]
    known = others.get(program.lock_class(waited, node[0]), [])
    if not known:  # a completion on the stack: the work that this function sets up ends it
        known = [
            other
            for key, entry in others.items()
            for other in entry
            if key and other.how.endswith(f"set up by {name}()")
        ]
    level: Level = "note"
    message = f"{name}() waits in reclaim: {site.name}"
    why: list[str] = [f"{chains.name(root)}() runs in reclaim"]
    steps: list[Step] = []
    for other in known:
        steps = _allocates(program, chains, graph, unit, other, "__GFP_FS")
        if steps:
            doubted = [
                *doubts([*before, *steps]),
                *any_of_several([*before, *steps]),
                *filter(
                    None,
                    [
                        long_way(beyond_evict(before)),
                        rare_step(before),
                        one_of_several([*before, *steps], rare=True),
                    ],
                ),
            ]
            if any(
                function == other.function and context.reclaim for function, context in spread.ways
            ):
                doubted.append("the task that waits may do this itself, inside reclaim")
            level = "note" if doubted else "warning"
            flags = steps[-1].note.partition(",")[0]
            allocator = program.functions[other.function].name
            message += f"; {allocator}(), {other.how}, allocates with {flags}"
            why += [
                f"{allocator}() runs in a task of its own: its allocation may enter reclaim and wait there",
                *doubted,
            ]
            break
    if known and not steps:
        why.append(
            "who ends the wait was followed, and allocates nothing that may enter the same reclaim: "
            + ", ".join(sorted({program.functions[other.function].name for other in known}))
        )
    return Finding(
        rule=RULE,
        level=level,
        subject=unit,
        message=message,
        chain=(*chains.preamble(root), *before, at),
        at=at,
        other=tuple(steps),
        why=tuple(why),
        id=Finding.identity(RULE, unit, name, site.name),
    )


def _allocates(
    program: Program, chains: Chains, graph: Graph, unit: str, other: Other, needs: str
) -> list[Step]:
    """The steps from ``other`` to an allocation that may enter reclaim that ``needs`` a flag; or none."""
    start = (other.function, Context(unit))
    spread = graph.spread([start])
    reach = graph.reach(spread, lambda site: _enters(program, site, needs))
    for what in _begins(graph, reach, start, other.line, program, needs):
        steps, _ = chains.onward(reach, start, what)
        return steps
    return []


def _begins(
    graph: Graph, reach: Reach, node: Node, last: int, program: Program, needs: str
) -> Iterator[Edge | Site]:
    walked = graph.at(node)
    for site in walked.sites:
        if (
            site.kind == "alloc"
            and _enters(program, site, needs)
            and site.line <= (last or 1 << 30)
        ):
            yield site
    for edge in walked.edges:
        if (edge.callee, edge.context) in reach and edge.line <= (last or 1 << 30):
            yield edge


def _enters(program: Program, site: Site, needs: str) -> bool:
    gfp = program.gfp
    bits = site.flags[0] & site.flags[1]
    needed = gfp[needs.removeprefix("__GFP_")] if needs else bits
    return bool(bits & gfp["DIRECT_RECLAIM"] and bits & needed and not bits & gfp["NOLOCKDEP"])


def _others(program: Program, unit: str) -> dict[str, list[Other]]:
    """Class of a work item, completion or thread -> who does, completes or is it, in the subject."""
    found: dict[str, list[Other]] = {}
    queued: list[tuple[str, str]] = []
    for function in program.unit_functions.get(unit, ()):
        declared = program.functions[function]
        if declared.macro or not any(mark in declared.body for mark in _MARKS):
            continue
        for event in program.events(function):
            if event[0] == "=" and event[4].startswith(("kthread_run(", "kthread_create(")):
                name = event[4].partition("(")[2].partition(",")[0].strip()
                _add(program, found, event[2], function, name, "the thread")
            if event[0] != "c":
                continue
            name, args = event[2], event[3]
            if _WORK.match(name) and len(args) > 1:
                how = f"the work set up by {declared.name}()"
                _add(program, found, args[0], function, args[1], how)
            elif QUEUE.match(name) and len(args) > 1:
                wq, work = (
                    (args[1], args[2]) if name.endswith("_on") and len(args) > 2 else args[:2]
                )
                queue = program.lock_class(wq, function) or _HANDED
                queued += [(queue, kind) for kind in _works(program, function, work)]
            elif name in ("complete", "complete_all") and args:
                key = program.lock_class(args[0], function)
                if key:
                    found.setdefault(key, []).append(
                        Other(function, event[1], "which completes it")
                    )
    for queue, work in queued:
        for other in found.get(work, ()):
            found.setdefault(queue, []).append(other)
    return found


def _works(program: Program, function: int, text: str) -> list[str]:
    """The classes of the work items that ``text`` may be; of a variable those it is assigned."""
    assigned = [
        event[4]
        for event in program.events(function)
        if event[0] == "=" and event[2] == text and event[4][:1] == "&"
    ]
    return [program.lock_class(one, function) for one in assigned or [text]]


def _add(
    program: Program, found: dict[str, list[Other]], text: str, function: int, name: str, how: str
) -> None:
    key = program.lock_class(text, function)
    worker = program.resolve(name.strip("&( )"), program.file[function])
    if key and worker is not None and not program.functions[worker].macro:
        found.setdefault(key, []).append(Other(worker, 0, how))


def _declared(program: Program, chains: Chains, graph: Graph, unit: str) -> list[Finding]:
    """Operations that reclaim always waits for: block I/O, GPU jobs.  They run in tasks of their own."""
    found: list[Finding] = []
    seen: set[tuple[str, str, str]] = set()
    others: dict[str, list[Other]] | None = None
    for struct, field, needs, path, name in _operations(program, graph, unit):
        function = program.resolve(name, path)
        # The block layer's own queues are pass-through ones, never swap's.
        if function is None or (unit == "block" and struct != "submission"):
            continue
        if struct == "address_space_operations" and graph.interpreter.domain(unit).names(
            (UNWAITED,)
        ):
            continue
        why: tuple[str, ...] = (SIGNALLERS[struct], f"{name}() is {field}")
        spread = graph.spread([(function, Context(unit))])
        found += _allocations(program, chains, graph, unit, spread, name, struct, needs, why, seen)
        if struct in SUBMITTED_HERE:
            continue
        if others is None:
            others = _others(program, unit)
        for worker, how in _queued(program, chains, unit, spread, others).items():
            behind = graph.spread([(worker, Context(unit))])
            shown = program.functions[worker].name
            reasons = (*why, f"{shown}() is {how}, which {name}() queues")
            found += _allocations(
                program, chains, graph, unit, behind, shown, struct, needs, reasons, seen
            )
    needs = TRANSPORTS.get(unit) or ("__GFP_FS" if unit.startswith("fs/") else "__GFP_IO")
    why = (f"{unit} carries what reclaim waits for",) if unit in TRANSPORTS else ()
    for worker, reason in _rescued(program, unit, others).items():
        spread = graph.spread([(worker, Context(unit))])
        name = program.functions[worker].name
        struct = "" if unit in TRANSPORTS else RESCUED
        found += _allocations(
            program, chains, graph, unit, spread, name, struct, needs, (*why, reason), seen
        )
    return found


def _rescued(program: Program, unit: str, others: dict[str, list[Other]] | None) -> dict[int, str]:
    """Workers of the subject's workqueues that were made for use in reclaim -> why it is thought so."""
    queues: dict[str, str] = {}
    for function in program.unit_functions.get(unit, ()):
        declared = program.functions[function]
        if not declared.macro and RESCUED.encode() in declared.body:
            made: set[str] = set()  # it may be kept in a variable until it is known not to be NULL
            for event in program.events(function):
                if event[0] == "=" and RESCUED in event[4] and "workqueue(" in event[4]:
                    made.add(event[2])
                elif event[0] != "=" or event[4] not in made:
                    continue
                queues[program.lock_class(event[2], function)] = event[2]
    found: dict[int, str] = {}
    if queues:
        known = _others(program, unit) if others is None else others
        for queue, shown in (
            *queues.items(),
            (_HANDED, "a queue that it is handed, like others here"),
        ):
            for other in known.get(queue, ()) if queue else ():
                if not other.line:
                    name = program.functions[other.function].name
                    reason = f"{name}() is {other.how}, on {shown}, which is made with {RESCUED}"
                    found.setdefault(other.function, reason)
    return found


def _queued(
    program: Program, chains: Chains, unit: str, spread: Spread, others: dict[str, list[Other]]
) -> dict[int, str]:
    """Workers of the work items that functions of ``spread`` in the subject queue -> what they are.

    Only what is queued near its beginning: work that an event far below sets off is not the operation's.
    """
    found: dict[int, str] = {}
    for node in spread.ways:
        function = node[0]
        declared = program.functions[function]
        if program.unit[function] != unit or not any(map(QUEUE.match, declared.callees)):
            continue
        steps, _ = chains.to(spread.ways, node)
        if len(steps) > _NEAR or any_of_several(steps):
            continue
        for event in program.events(function):
            if event[0] == "c" and QUEUE.match(event[2]) and len(event[3]) > 1:
                work = event[3][2 if event[2].endswith("_on") and len(event[3]) > 2 else 1]
                for kind in _works(program, function, work):
                    for other in others.get(kind, ()):
                        name = program.functions[other.function].name
                        if not other.line and not DUMPS.search(name):
                            found.setdefault(other.function, other.how)
    return found


def _allocations(
    program: Program,
    chains: Chains,
    graph: Graph,
    unit: str,
    spread: Spread,
    name: str,
    struct: str,
    needs: str,
    why: tuple[str, ...],
    seen: set[tuple[str, str, str]],
) -> Iterator[Finding]:
    """What is allocated along ``spread`` in the subject and may enter the reclaim that waits.

    Of equal calls of one function the first is told.
    """
    for node, walked in spread.walked.items():
        if program.unit[node[0]] != unit or program.functions[node[0]].macro:
            continue
        for site in walked.sites:
            if site.kind != "alloc" or not _enters(program, site, needs):
                continue
            at = chains.step(node, site)
            if (at.file, at.function, at.call) in seen:
                continue
            seen.add((at.file, at.function, at.call))
            steps, _ = chains.to(spread.ways, node)
            steps.append(at)
            flags = program.flag_names(site.flags)
            doubted = [
                *doubts(steps),
                *any_of_several(steps),
                *filter(None, [long_way(steps), DOUBTED_OPS.get(struct)]),
            ]
            yield Finding(
                rule=RULE,
                level="note" if doubted or len(steps) > 8 else "warning",
                subject=unit,
                message=f"{name}(), for which reclaim waits, allocates with {flags} ({site.name})",
                chain=tuple(steps),
                at=at,
                why=(*why, *doubted),
                id=Finding.identity(RULE, unit, name, at.function, site.name),
            )


def _operations(
    program: Program, graph: Graph, unit: str
) -> Iterator[tuple[str, str, str, str, str]]:
    """(struct, shown as, flag, path, function) of what reclaim waits for in the subject."""
    for struct, field, path, name in program.unit_ops.get(unit, ()):
        if field in WAITED_OPS.get(struct, ()):
            yield struct, f"{struct}.{field}", WAITED_OPS[struct][field], path, name
    if unit == "block":
        for name in SUBMISSIONS:
            yield "submission", "where a bio's way begins", "__GFP_IO", "block/", name
    # Assigned to each object, not in a table.  A block driver's own bios end those handed to it.
    domain = graph.interpreter.domain(unit)
    struct = next((struct for struct in BLOCK_OPS if domain.registers(struct)), "bio")
    for path, name in domain.fields.get(("bio", "bi_end_io"), ()):
        yield struct, "bio.bi_end_io", "__GFP_IO", path, name
