"""A schedule for people: the interleaving as text, and as a timeline."""

from __future__ import annotations

from ring3.errors import BadInput
from ring3.kernel.explore.outcome import Program, decode, run_once
from ring3.kernel.schedulers import Recorded
from ring3.kernel.trace import Event
from ring3.timeline import Timeline

_STEP_NS = 1_000  # a step is a microsecond wide: virtual time stands still between most of them


def trace(
    program: Program, schedule: str, *, lockdep: bool = False, max_steps: int = 10_000
) -> tuple[list[Event], tuple[str, str] | None]:
    """The events of the run under ``schedule``, and (kind, message) of what went wrong in it."""
    scheduler = Recorded(decode(schedule), strict=True, max_steps=max_steps)
    kernel, wrong = run_once(program, scheduler, lockdep=lockdep, traced=True)
    assert kernel.tracer is not None
    events = kernel.tracer.events
    kernel.tracer = None
    kernel.close()
    return events, wrong


def show(program: Program, schedule: str, *, lockdep: bool = False, max_steps: int = 10_000) -> str:
    """The interleaving: one line a step, a blank line where another task goes on."""
    events, wrong = trace(program, schedule, lockdep=lockdep, max_steps=max_steps)
    tasks = list(dict.fromkeys(event.task for event in events))
    if not tasks:
        raise BadInput("the schedule runs nothing", where="schedule")
    width = max(map(len, tasks)) + 2
    what_width = max(len(event.what) for event in events) + 2
    lines: list[str] = []
    running = ""
    for number, event in enumerate(_steps(events)):
        first, notes = event[0], event[1:]
        name = first.task
        if name != running and lines:
            lines.append("")
        shown = name if name != running else ""
        running = name
        where = f"({first.source.place})" if first.source is not None else ""
        what = first.what if first.kind == "op" else _note(first)
        text = f"{number:4}  {shown:{width}}{what:{what_width}}{where}"
        lines.append(text.rstrip())
        lines += [f"      {'':{width}}  ... {_note(note)}" for note in notes]
    lines.append("")
    lines.append(f"{wrong[0]}: {wrong[1]}" if wrong is not None else "nothing goes wrong")
    return "\n".join(lines)


def timeline(
    program: Program, schedule: str, *, lockdep: bool = False, max_steps: int = 10_000
) -> Timeline:
    """The same as a timeline: a track for each task, an arrow for each wake-up."""
    events, wrong = trace(program, schedule, lockdep=lockdep, max_steps=max_steps)
    out = Timeline()
    root = out.track("schedule")
    tracks = {
        name: out.track(name, parent=root) for name in dict.fromkeys(event.task for event in events)
    }
    asleep: dict[str, tuple[int, str]] = {}
    flow = 0
    end = 0
    for number, group in enumerate(_steps(events)):
        begin, end = number * _STEP_NS, (number + 1) * _STEP_NS
        flows: list[int] = []
        for event in group:
            if event.kind == "sleep":
                asleep[event.task] = (end, event.what)
            elif event.kind == "wake" and event.task in asleep:
                since, what = asleep.pop(event.task)
                if since == end:  # woken by time, before anybody did anything else
                    if group[0].kind == "op":
                        out.instant(tracks[event.task], f"sleeps on {what}", end)
                    continue
                arrow: tuple[int, ...] = ()
                if (
                    event.by == group[0].task
                ):  # not by time, which passes after the last task's step
                    flow += 1
                    arrow = (flow,)
                    flows.append(flow)
                out.slice(tracks[event.task], f"sleeps on {what}", since, end, flows=arrow)
        first = group[0]
        args = {"virtual time (ns)": first.time}
        if first.source is not None:
            out.slice(
                tracks[first.task],
                first.what if first.kind == "op" else _note(first),
                begin,
                end,
                flows=tuple(flows),
                args={**args, "source": first.source.place},
            )
        for event in group:
            if event.kind == "note":
                out.instant(tracks[event.task], event.what, end)
    for name, (since, what) in asleep.items():
        out.slice(tracks[name], f"sleeps on {what} for ever", since, end + 2 * _STEP_NS)
    if wrong is not None:
        out.instant(root, f"{wrong[0]}: {wrong[1]}", end)
    return out


def _steps(events: list[Event]) -> list[list[Event]]:
    """Each visible operation with what it led to."""
    groups: list[list[Event]] = []
    for event in events:
        own = event.kind in ("sleep", "end") and groups and groups[-1][0].task != event.task
        if event.kind == "op" or own or not groups:
            groups.append([event])
        else:
            groups[-1].append(event)
    return groups


def _note(event: Event) -> str:
    if event.kind == "wake":
        return f"{event.task} can run"
    return {"sleep": f"sleeps on {event.what}", "end": "ends"}.get(event.kind, event.what)
