"""Random programs: most arguments make sense, and some do not."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from ring3.drm.differential.operations import (
    OPERATIONS,
    THEMES,
    Choice,
    Many,
    Of,
    Operation,
    Room,
    Text,
    Time,
)
from ring3.drm.differential.program import SLOTS, THREADS, Block, Now, Program, Slot, Step, Value

#: Where no memory is: NULL, its page, the kernel's half.
BAD_ADDRESSES = (0, 8, 0xFFFF_8000_0000_0000)
STRAY = 0.02  # how often a slot is any slot, an address bad, a size wrong
_PAST = (1, -1, -(1 << 63))


@dataclass
class _Maker:
    """A program on its way."""

    choose: random.Random
    kinds: str
    steps: list[Step] = field(default_factory=list)
    held: dict[str, list[int]] = field(default_factory=lambda: {"d": [0]})
    forked: bool = False
    threads: dict[int, int] = field(default_factory=dict)  # busy ones, with their process

    def usable(self, operation: Operation) -> bool:
        if operation.name == "FORK":
            return not self.forked and not self.threads
        if operation.name == "GETFD":
            return self.forked
        if operation.makes and operation.makes not in (*self.kinds, "same"):
            return False
        wanted = [choice for choice in operation.fields.values() if isinstance(choice, Of | Many)]
        needed = [choice.kind for choice in wanted if choice.kind and not _optional(choice)]
        if any(kind not in self.kinds for kind in needed):
            return False
        if operation.on and not any(self.held.get(kind) for kind in operation.on):
            return False
        return all(self.held.get(kind) for kind in needed) or self.choose.random() < 0.02

    def slot(self, kind: str) -> Slot:
        slots = self.held.get(kind)
        if not slots or self.choose.random() < STRAY:
            return Slot(self.choose.randrange(SLOTS))
        # Rather the newest ones: what was made is soon used.
        return Slot(
            slots[max(self.choose.randrange(len(slots)), self.choose.randrange(len(slots)))]
        )

    def new(self, kind: str) -> int:
        slot = self.choose.randrange(1, SLOTS)
        for slots in self.held.values():
            if slot in slots:
                slots.remove(slot)
        self.held.setdefault(kind, []).append(slot)
        return slot

    def add(self, operation: Operation) -> None:
        process = int(self.forked and self.choose.random() < 0.25)
        thread = self.thread(operation, process)
        if operation.waits and not thread and not _safe_without_thread(operation):
            return
        on: Value | None = None
        kind = ""
        if operation.on:
            present = [kind for kind in operation.on if self.held.get(kind)]
            if operation.on[0] not in present and self.choose.random() < 0.8:
                return  # rather on what it is meant for, which is named first
            kind = self.choose.choice(present or list(operation.on))
            on = self.slot(kind)
            if kind == "d" and self.choose.random() < 0.85:
                if operation.name == "CLOSE":
                    return  # without its render node a program has little left to do
                on = Slot(0)
        args = self.args(operation, bool(thread))
        to = (
            self.new(kind if operation.makes == "same" else operation.makes)
            if operation.makes
            else None
        )
        if thread:
            self.threads[thread] = process
        if operation.name == "FORK":
            self.forked = True
            process = 0
        self.steps.append(Step(operation.name, on, args, to, process, thread))

    def thread(self, operation: Operation, process: int) -> int:
        """A thread for a call that may sleep, 0 for none."""
        free = [thread for thread in range(1, THREADS + 1) if thread not in self.threads]
        if not operation.waits or not free or self.choose.random() < 0.5:
            return 0
        return free[0]

    def join(self) -> None:
        thread = self.choose.choice(sorted(self.threads))
        process = self.threads.pop(thread)
        self.steps.append(Step("JOIN", None, {"thread": thread}, process=process))

    def args(self, operation: Operation, thread: bool) -> dict[str, Value]:
        args: dict[str, Value] = {}
        length = self.choose.choice((1, 1, 1, 2, 2, 3, 0))
        for name, choice in operation.fields.items():
            if isinstance(choice, Many) and choice.count:
                count = length if self.choose.random() > STRAY else length + 1
                args[choice.count] = count
            if isinstance(choice, Room):
                room = self.choose.choice((0, 1, 2, 3, 8))
                args[choice.count] = room if self.choose.random() > STRAY else room + 1
                if room:
                    args[name] = self.address(Block("Z", (room * choice.size,)))
                continue
            value = self.value(choice, length, thread)
            if value != 0 or operation.ioctl is None:
                args[name] = value
        if operation.ioctl is not None and self.choose.random() < STRAY / 2:
            args["_arg"] = self.choose.choice(BAD_ADDRESSES)
        elif (
            operation.ioctl is not None and operation.on == "d" and self.choose.random() < STRAY / 2
        ):
            size = operation.struct.SIZE
            args["_size"] = max(0, size + self.choose.choice((-8, -4, 4, 8)))
        return args

    def value(self, choice: Choice, length: int, thread: bool) -> Value:
        if isinstance(choice, tuple):  # the first one always makes sense
            return choice[0] if self.choose.random() < 0.4 else self.choose.choice(choice)
        if isinstance(choice, Of):
            return 0 if self.choose.random() < choice.none else self.slot(choice.kind)
        if isinstance(choice, Time):
            if thread:  # (a short time-out would race with the steps that follow)
                return Now(10**10)
            past = (0,) * 12 + (Now(0), Now(-1_000_000), *_PAST, Now(2_000_000))
            return self.choose.choice(past)
        if isinstance(choice, Text):
            size = self.choose.choice((0, 1, 5, choice.limit - 1, choice.limit, choice.limit + 3))
            text = [self.choose.choice(b"abc xyz") for _ in range(size)]
            block = Block("B", (*text, 0) if self.choose.random() < 0.9 else tuple(text))
            return self.address(block) if choice.address else block
        assert isinstance(choice, Many)
        if self.choose.random() < choice.null:
            return 0
        values: list[int | Slot] = [
            self.slot(choice.kind) if choice.kind else self.choose.choice(choice.choices)
            for _ in range(length)
        ]
        return self.address(Block(choice.code, tuple(values)))

    def address(self, block: Block) -> Value:
        return self.choose.choice(BAD_ADDRESSES) if self.choose.random() < STRAY / 2 else block


def _optional(choice: Of | Many) -> bool:
    return isinstance(choice, Of) and choice.none > 0


def _safe_without_thread(operation: Operation) -> bool:
    """Its time-out ends it."""
    return "timeout_nsec" in operation.fields


def random_program(seed: int, length: int = 40) -> Program:
    """A program of about ``length`` steps, the same for the same ``seed``."""
    choose = random.Random(seed)
    theme = choose.choice(sorted(THEMES))
    make = _Maker(choose, THEMES[theme])
    kinds = set(THEMES[theme])
    operations = [
        operation
        for operation in OPERATIONS.values()
        if operation.weight and (not operation.on or set(operation.on) & kinds)
    ]
    weights = [operation.weight for operation in operations]
    while len(make.steps) < length:
        if make.threads and choose.random() < 0.12:
            make.join()
            continue
        (operation,) = choose.choices(operations, weights)
        if make.usable(operation):
            make.add(operation)
    while make.threads:
        make.join()
    return Program(tuple(make.steps))


def final_look(program: Program) -> list[Step]:
    """Look at every slot that ``program`` fills as whatever it may be."""
    looks = []
    for number in sorted({step.to for step in program.steps if step.to is not None}):
        slot = Slot(number)
        one: dict[str, Value] = {"handles": Block("I", (slot,)), "count_handles": 1}
        looks += [
            Step("POLL", slot, {"events": 5}),
            Step("READ", slot),
            Step("LSEEK", slot, {"whence": 2}),
            Step(
                "SYNC_IOC_FILE_INFO",
                slot,
                {"num_fences": 8, "sync_fence_info": Block("Z", (8 * 80,))},
            ),
            Step("SYNCOBJ_WAIT", Slot(0), {**one, "flags": 1}),
            Step("SYNCOBJ_QUERY", Slot(0), {**one, "points": Block("Q", (7,))}),
            Step("SYNCOBJ_QUERY", Slot(0), {**one, "points": Block("Q", (7,)), "flags": 1}),
        ]
    return looks
