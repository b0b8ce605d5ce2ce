"""Reading kernel reports: a WARN, a lockdep report, a hung task, a page allocation failure.

Formats: kernel/panic.c (__warn), lib/dump_stack.c, kernel/locking/lockdep.c,
kernel/hung_task.c, mm/page_alloc.c (warn_alloc), Linux 6.1 to 7.2; `decode_stacktrace.sh` and syzbot
add FILE:LINE and [inline].
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ring3.errors import BadInput
from ring3.reclaim import log_text

MAX_FRAMES = 2000


@dataclass(frozen=True)
class SplatFrame:
    """One line of a stack.  ``place`` is FILE:LINE where the report has it; ``line`` is the input's."""

    function: str
    place: str = ""
    module: str = ""
    inline: bool = False
    line: int = 0


@dataclass
class Splat:
    """One report.  ``frames`` are innermost first, without the ones marked unreliable (?).

    ``kind`` is "warn", "lockdep", "hung task" or "allocation failure".  ``chain`` holds lockdep's
    dependencies as (lock, frames), the newest first; ``wanted`` and ``held`` are its two locks.
    ``mode`` is a gfp mask as printed.
    """

    kind: str
    headline: str
    line: int
    task: str = ""
    pid: int = 0
    mode: str = ""
    wanted: str = ""
    held: str = ""
    frames: list[SplatFrame] = field(default_factory=list)
    chain: list[tuple[str, list[SplatFrame]]] = field(default_factory=list)


_FRAME = re.compile(
    r"""\s{0,40} (?:</?[A-Z]{1,12}>\s{0,8})?
    (?:\[<[0-9a-f]{4,16}>\]\s|\[[0-9a-f]{8,16}\]\s\[[0-9a-f]{8,16}\]\s)?
    (?P<unsure>\?\s)?
    (?P<function>[A-Za-z_][\w.$]{0,200})
    (?:\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8}|\s\((?P<model>[\w.]{1,80}:\d{1,6})\))?
    (?:\s\[(?P<module>[\w-]{1,64})[^\]]{0,80}\])?
    (?:\s(?P<place>[\w./+-]{1,200}\.[chSr]s?:\d{1,6}))?
    (?:\s\[(?P<inline>inline)\])?\s{0,8}""",
    re.VERBOSE,
)
_SUFFIX = re.compile(r"(?:\.(?:constprop|isra|part|cold|llvm)(?:\.\d+)?)+$|_noprof(?=$|\.)")
_WARN = re.compile(r"WARNING: (?:CPU: |\S{1,200}:\d{1,7} at |at )")
_WARN_OURS = re.compile(
    r"WARNING: page allocation: .{0,200} \((?P<task>[^()/]{1,64})/(?P<pid>\d{1,9})\)$"
)
_HEADLINE_WORDS = ("WARNING: ", "INFO: ", " BUG: ", "page allocation failure")
_LOCKDEP = re.compile(
    r"(?:WARNING|INFO|\[ INFO): (?:possible (?:circular locking|recursive locking|irq lock inversion)"
    r"|inconsistent lock state|.{0,20}-safe -> .{0,20}-unsafe lock order)|\[ BUG: Invalid wait context"
)
_HUNG = re.compile(
    r"INFO: task (?P<task>.{1,64}):(?P<pid>\d{1,10}) blocked .{0,20}for more than \d+"
)
_FAILURE = re.compile(
    r"(?P<task>.{1,64}): page allocation failure[:.] order:\d+, mode:(?P<mode>\S{1,400})"
)
_LOCK = re.compile(r"\((?P<name>.{1,200}?)\)\{")
_USAGE = re.compile(r"inconsistent \{[^}]{0,40}RECLAIM_FS")
_TAKES = re.compile(r"(?P<task>\S{1,64})/(?P<pid>\d{1,10}) \[HC.{0,40}\] takes:")
_COMM = re.compile(r"PID: (?P<pid>\d{1,10}) Comm: (?P<task>.{1,64}?)(?: Tainted| Not tainted|$)")
_WARN_TASK = re.compile(r", CPU#\d{1,5}: (?P<task>.{1,64})/(?P<pid>\d{1,10})$")
_AT = re.compile(
    r"WARNING: .{0,200}? at (?:(?P<place>\S{1,200}:\d{1,7}) )?(?P<function>[A-Za-z_][\w.]{0,200})"
)
_RIP = re.compile(r"RIP: [0-9a-f]{4}:(?P<function>[A-Za-z_][\w.]{0,200})\+0x")
_MODE = re.compile(r"mode:(0x[0-9a-f]{1,8}(?:\([\w|]{0,400}\))?)")


def read(path: Path) -> list[Splat]:
    """The reports in a file, however it is wrapped (ring3.reclaim.log_text).  Raises BadInput for one without
    any, or for more lines than can be read."""
    found = _parse(log_text.read(path))
    if not found:
        raise BadInput(
            "no WARN, lockdep report, hung task or allocation failure in it",
            where=str(path),
            remedy="the text from the headline to the end of the call trace",
        )
    return found


def parse(text: str) -> list[Splat]:
    """The reports in ``text``, in order."""
    return _parse(log_text.lines(text))


def _parse(lines: Iterable[tuple[int, str]]) -> list[Splat]:
    found: list[Splat] = []
    section: list[SplatFrame] | None = None
    expect = ""
    for number, line in lines:
        begun = _begin(line, number)
        if begun is not None:
            found.append(begun)
            section, expect = begun.frames, ""
            continue
        if not found or section is None:
            continue
        splat = found[-1]
        if "---[ end trace" in line:
            section = None
            continue
        section, expect, consumed = _context(splat, line, section, expect)
        if consumed:
            continue
        frame = _frame(line, number)
        if frame is not None and len(section) < MAX_FRAMES:
            section.append(frame)
    for splat in found:
        splat.frames = [f for f in splat.frames if f.function not in _REPORTING]
    return found


#: Frames of the reporting itself, on top of what is reported.
_REPORTING = {
    "dump_stack",
    "dump_stack_lvl",
    "__dump_stack",
    "__warn",
    "report_bug",
    "handle_bug",
    "exc_invalid_op",
    "asm_exc_invalid_op",
    "print_circular_bug",
    "check_noncircular",
    "check_prev_add",
    "check_prevs_add",
    "validate_chain",
    "__lock_acquire",
    "lock_acquire",
    "warn_alloc",
    "show_regs",
}


def _begin(line: str, number: int) -> Splat | None:
    """The report that ``line`` is the headline of."""
    text = line.strip()
    if not any(word in text for word in _HEADLINE_WORDS):
        return None
    if hit := _LOCKDEP.search(text):
        return Splat("lockdep", text, number)
    if hit := _HUNG.search(text):
        return Splat("hung task", text, number, hit["task"], int(hit["pid"]))
    if hit := _FAILURE.search(text):
        return Splat("allocation failure", text, number, hit["task"].strip(), mode=hit["mode"])
    if hit := _WARN_OURS.search(text):
        return _with_mode(Splat("warn", text, number, hit["task"], int(hit["pid"])), text)
    if not _WARN.search(text):
        return None
    splat = _with_mode(Splat("warn", text, number), text)
    if hit := _WARN_TASK.search(text):
        splat.task, splat.pid = hit["task"], int(hit["pid"])
    if hit := _AT.search(text):
        splat.frames.append(SplatFrame(_plain(hit["function"]), hit["place"] or "", line=number))
    return splat


def _with_mode(splat: Splat, line: str) -> Splat:
    if hit := _MODE.search(line):
        splat.mode = hit[1]
    return splat


def _context(
    splat: Splat, line: str, section: list[SplatFrame], expect: str
) -> tuple[list[SplatFrame], str, bool]:
    """What ``line`` says besides being a frame: (where frames go now, what comes next, was it used)."""
    text = line.strip()
    frames: list[SplatFrame]
    if not splat.mode:
        _with_mode(splat, text)
    if hit := _COMM.search(text):
        splat.task, splat.pid = splat.task or hit["task"].strip(), splat.pid or int(hit["pid"])
        return section, expect, True
    if hit := _RIP.search(text):
        function = _plain(hit["function"])
        if all(frame.function != function for frame in splat.frames[:1]):
            splat.frames.insert(0, SplatFrame(function))
        return section, expect, True
    if splat.kind != "lockdep":
        return section, expect, False
    if hit := _USAGE.match(text):  # before Linux 4.14 reclaim was no lock, but bits of usage
        splat.held = "fs_reclaim"
        return section, "", True
    if hit := _TAKES.match(text):
        splat.task, splat.pid = hit["task"], int(hit["pid"])
        return section, "wanted", True
    if text.endswith("state was registered at:"):
        frames = []
        splat.chain.append((splat.wanted, frames))
        return frames, "", True
    if "is trying to acquire" in text or text.startswith("but task is already holding"):
        name = re.match(r"(?P<task>.{1,64})/(?P<pid>\d{1,10}) is trying", text)
        if name:
            splat.task, splat.pid = name["task"], int(name["pid"])
        return section, "wanted" if "trying" in text else "held", True
    if text.startswith("stack backtrace"):
        return splat.frames, "", True
    lock = _LOCK.search(text)
    if text.startswith("-> #") and lock:
        frames = []
        splat.chain.append((lock["name"], frames))
        return frames, "", True
    if lock and expect:
        setattr(splat, expect, lock["name"])
        return section, "", True
    return section, expect, False


def _frame(line: str, number: int) -> SplatFrame | None:
    hit = _FRAME.fullmatch(line)
    if hit is None or hit["unsure"]:
        return None
    if not (hit["place"] or hit["inline"] or hit["model"] or "+0x" in line):
        return None
    function = _plain(hit["function"])
    return SplatFrame(
        function,
        hit["place"] or hit["model"] or "",
        hit["module"] or "",
        bool(hit["inline"]),
        number,
    )


def _plain(function: str) -> str:
    """The name in the source: without what compilers and allocation profiling append."""
    return _SUFFIX.sub("", _SUFFIX.sub("", function)).rpartition(".")[2]
