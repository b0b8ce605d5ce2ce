"""The calls that programs are made of, and what random programs put into them.

One declaration a call: which kind of file it is made on, what each argument may be, and what it makes.  Kinds
of slots: d(rm file), s(w_sync), f(ile of a fence), h(andle of a syncobj), o(bject of a syncobj, as file),
e(ventfd), b(uffer's handle), m(emory: a dma-buf), c(ontext of the mock driver).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ring3.dma_buf import uapi as dma
from ring3.dma_buf.cstruct import CStruct, Ioctl, u32
from ring3.drm import uapi as drm
from ring3.drm.differential import uapi as mock


@dataclass(frozen=True)
class Of:
    """A slot of kind ``kind``, or none (0) with probability ``none``."""

    kind: str
    none: float = 0.0


@dataclass(frozen=True)
class Many:
    """An array of up to three: slots of ``kind`` or, of kind "", numbers out of ``choices``; ``count`` is
    the argument that says how many, a ``null`` address possible."""

    code: str
    kind: str = ""
    choices: tuple[int, ...] = ()
    count: str = "count_handles"
    null: float = 0.02


@dataclass(frozen=True)
class Room:
    """Space for up to a few elements of ``size`` bytes; ``count`` is the argument that says for how many."""

    size: int
    count: str


@dataclass(frozen=True)
class Time:
    """An absolute time-out: mostly none, sometimes one that is over; in a thread, one far away."""


@dataclass(frozen=True)
class Text:
    """A string of at most ``limit`` bytes, or a little more, with its NUL or without."""

    limit: int
    address: bool


Choice = tuple[int, ...] | Of | Many | Room | Time | Text


@dataclass(frozen=True)
class Operation:
    """A call.

    ``on`` is the kind of file, "" for none; ``makes`` the kind of what a slot gets, from the field ``made``
    of an ioctl's structure or from the call itself.  ``pointers`` names the fields that hold addresses,
    with what comes back there: a structure, a number of bytes an element, None for nothing.  An ioctl
    that ``waits`` may sleep for ever; ``weight`` is how often it is chosen.
    """

    name: str
    on: str = ""
    ioctl: Ioctl | None = None
    fields: Mapping[str, Choice] = field(default_factory=dict)
    makes: str = ""
    made: str = ""
    pointers: Mapping[str, type[CStruct] | int | None] = field(default_factory=dict)
    plain: type[CStruct] | None = None
    by_value: bool = False
    waits: bool = False
    weight: int = 4

    @property
    def has_target(self) -> bool:
        """It is made on a file."""
        return bool(self.on)

    @property
    def struct(self) -> type[CStruct]:
        """The argument of an ioctl."""
        assert self.ioctl is not None
        argument = self.plain or self.ioctl.argument
        assert not isinstance(argument, int)
        return argument

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names that a step may give."""
        if self.ioctl is None:
            return tuple(self.fields)
        names = tuple(each.name for each in self.struct.FIELDS)
        return (*names, "_arg", "_size", "value")


class _Word(CStruct, name="u32"):
    step: u32


class _Nothing(CStruct, name=""):
    pass


_PAD = (0,) * 30 + (1,)
_FLAGS = (0, 0, 0, 0, 1, 2, 3)
_POINTS = (0, 1, 2, 3, 4, 5)
_POINT = (*_POINTS, *_POINTS, *_POINTS, 9, (1 << 63) + 1, (1 << 64) - 1)
_VALUES = (0, 1, 1, 2, 2, 3, 3, 4, 5, 8, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFF)
_DEADLINES = (0, 10, 20, 1000, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 5)
_HANDLES = Many("I", "h")


def _drm(name: str, ioctl: Ioctl, fields: Mapping[str, Choice], **more: object) -> Operation:
    return Operation(name, "d", ioctl, fields, **more)  # type: ignore[arg-type]


_DECLARED = (
    # Files.
    Operation("OPEN", fields={"node": (1,)}, makes="s", weight=8),
    Operation("CLOSE", "fsomed", weight=5),
    Operation("DUP", "fsomed", makes="same"),
    Operation("POLL", "ffmmmsoed", fields={"events": (1, 4, 5, 5, 0), "timeout": (0,)}, weight=12),
    Operation(
        "POLL_WAIT",
        "ffffmmmeso",
        fields={"events": (1, 4, 1, 4, 5, 0), "timeout": (10_000,)},
        waits=True,
        weight=5,
    ),
    Operation("READ", "eeefm", weight=4),
    Operation(
        "LSEEK",
        "mmmmfsoed",
        fields={"offset": (0, 0, 0, 1, (1 << 64) - 1), "whence": (0, 1, 2, 2, 3, 9)},
    ),
    Operation(
        "MMAP",
        "mmmmmmfsoed",
        fields={
            "length": (4096, 4096, 4096, 8192, 1, 0),
            "offset": (0, 0, 0, 4096, 8192, 1),
            "poke": tuple(range(1, 9)),
        },
        weight=8,
    ),
    Operation("EVENTFD", fields={"count": (0, 0, 3), "flags": (0,)}, makes="e"),
    Operation("FORK", weight=1),
    Operation("GETFD", "fsomed", makes="same", weight=2),
    Operation("JOIN", fields={"thread": (1, 2, 3)}, weight=0),
    # sw_sync and sync_file.
    Operation(
        "SW_SYNC_IOC_CREATE_FENCE",
        "s",
        dma.SW_SYNC_IOC_CREATE_FENCE,
        {"value": _VALUES},
        makes="f",
        made="fence",
        weight=16,
    ),
    Operation(
        "SW_SYNC_IOC_INC",
        "s",
        dma.SW_SYNC_IOC_INC,
        {"step": (0, 1, 1, 1, 1, 2, 2, 3, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)},
        plain=_Word,
        weight=12,
    ),
    Operation(
        "SW_SYNC_GET_DEADLINE",
        "s",
        dma.SW_SYNC_GET_DEADLINE,
        {"deadline_ns": (0,) * 20 + (1,), "pad": _PAD, "fence_fd": Of("f")},
    ),
    Operation(
        "SYNC_IOC_MERGE",
        "f",
        dma.SYNC_IOC_MERGE,
        {"name": Text(32, False), "fd2": Of("f"), "flags": _PAD, "pad": _PAD},
        makes="f",
        made="fence",
        weight=12,
    ),
    Operation(
        "SYNC_IOC_FILE_INFO",
        "f",
        dma.SYNC_IOC_FILE_INFO,
        {
            "flags": _PAD,
            "pad": _PAD,
            "sync_fence_info": Room(dma.SyncFenceInfo.SIZE, "num_fences"),
        },
        pointers={"sync_fence_info": dma.SyncFenceInfo},
        weight=12,
    ),
    Operation(
        "SYNC_IOC_SET_DEADLINE",
        "f",
        dma.SYNC_IOC_SET_DEADLINE,
        {"deadline_ns": _DEADLINES, "pad": _PAD},
        weight=8,
    ),
    # dma-bufs.
    Operation(
        "DMA_BUF_IOCTL_SYNC",
        "m",
        dma.DMA_BUF_IOCTL_SYNC,
        {"flags": (1, 2, 3)},
        waits=True,
    ),
    Operation(
        "DMA_BUF_IOCTL_SYNC_END",
        "m",
        dma.DMA_BUF_IOCTL_SYNC,
        {"flags": (5, 6, 7, 0, 4, 8, 1 << 40)},
    ),
    Operation(
        "DMA_BUF_SET_NAME_A",
        "m",
        dma.DMA_BUF_SET_NAME_A,
        {"value": Text(32, True)},
        plain=_Nothing,
        by_value=True,
    ),
    Operation(
        "DMA_BUF_SET_NAME_B",
        "m",
        dma.DMA_BUF_SET_NAME_B,
        {"value": Text(32, True)},
        plain=_Nothing,
        by_value=True,
    ),
    Operation(
        "DMA_BUF_IOCTL_EXPORT_SYNC_FILE",
        "m",
        dma.DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
        {"flags": (1, 2, 3, 1, 2, 3, 0, 4, 7)},
        makes="f",
        made="fd",
        weight=12,
    ),
    Operation(
        "DMA_BUF_IOCTL_IMPORT_SYNC_FILE",
        "m",
        dma.DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
        {"flags": (1, 2, 3, 1, 2, 3, 0, 4, 7), "fd": Of("f")},
        weight=14,
    ),
    # Buffers.
    _drm(
        "MOCK_CREATE_BO",
        mock.CREATE_BO,
        {"size": (4096, 4096, 8192, 1, 0, 1 << 30), "pad": _PAD},
        makes="b",
        made="handle",
        weight=8,
    ),
    _drm("GEM_CLOSE", drm.GEM_CLOSE, {"handle": Of("b"), "pad": _PAD}, weight=2),
    _drm(
        "PRIME_HANDLE_TO_FD",
        drm.PRIME_HANDLE_TO_FD,
        {"handle": Of("b"), "flags": (0o2000002, 0o2000002, 0o2000002, 2, 0, 0o2000000, 1, 4)},
        makes="m",
        made="fd",
        weight=12,
    ),
    _drm(
        "PRIME_FD_TO_HANDLE",
        drm.PRIME_FD_TO_HANDLE,
        {"fd": Of("m"), "flags": (0, 0, 1)},
        makes="b",
        made="handle",
        weight=6,
    ),
    # Sync objects.
    _drm(
        "SYNCOBJ_CREATE",
        drm.SYNCOBJ_CREATE,
        {"flags": (0, 0, 0, 1, 2)},
        makes="h",
        made="handle",
        weight=12,
    ),
    _drm("SYNCOBJ_DESTROY", drm.SYNCOBJ_DESTROY, {"handle": Of("h"), "pad": _PAD}, weight=2),
    _drm(
        "SYNCOBJ_HANDLE_TO_FD",
        drm.SYNCOBJ_HANDLE_TO_FD,
        {"handle": Of("h"), "flags": (0, 0, 0, 2, 4), "pad": _PAD, "point": (0, 0, 0, 1)},
        makes="o",
        made="fd",
    ),
    _drm(
        "SYNCOBJ_EXPORT_SYNC_FILE",
        drm.SYNCOBJ_HANDLE_TO_FD,
        {"handle": Of("h"), "flags": (1, 3, 1, 3, 5), "pad": _PAD, "point": _POINT},
        makes="f",
        made="fd",
        weight=10,
    ),
    _drm(
        "SYNCOBJ_FD_TO_HANDLE",
        drm.SYNCOBJ_FD_TO_HANDLE,
        {"fd": Of("o"), "flags": (0, 0, 0, 2, 4), "pad": _PAD, "point": (0, 0, 0, 1)},
        makes="h",
        made="handle",
    ),
    _drm(
        "SYNCOBJ_IMPORT_SYNC_FILE",
        drm.SYNCOBJ_FD_TO_HANDLE,
        {
            "fd": Of("f"),
            "handle": Of("h"),
            "flags": (1, 3, 1, 3, 5),
            "pad": _PAD,
            "point": _POINT,
        },
        weight=14,
    ),
    _drm(
        "SYNCOBJ_WAIT",
        drm.SYNCOBJ_WAIT,
        {
            "handles": _HANDLES,
            "timeout_nsec": Time(),
            "flags": (0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 11, 4, 16),
            "pad": _PAD,
            "deadline_nsec": _DEADLINES,
        },
        pointers={"handles": None, "timeout_nsec": None},
        waits=True,
        weight=10,
    ),
    _drm(
        "SYNCOBJ_TIMELINE_WAIT",
        drm.SYNCOBJ_TIMELINE_WAIT,
        {
            "handles": _HANDLES,
            "points": Many("Q", choices=_POINT, count=""),
            "timeout_nsec": Time(),
            "flags": (0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 15, 16),
            "pad": _PAD,
            "deadline_nsec": _DEADLINES,
        },
        pointers={"handles": None, "points": None, "timeout_nsec": None},
        waits=True,
        weight=12,
    ),
    _drm(
        "SYNCOBJ_RESET",
        drm.SYNCOBJ_RESET,
        {"handles": _HANDLES, "pad": _PAD},
        pointers={"handles": None},
    ),
    _drm(
        "SYNCOBJ_SIGNAL",
        drm.SYNCOBJ_SIGNAL,
        {"handles": _HANDLES, "pad": _PAD},
        pointers={"handles": None},
        weight=6,
    ),
    _drm(
        "SYNCOBJ_TIMELINE_SIGNAL",
        drm.SYNCOBJ_TIMELINE_SIGNAL,
        {"handles": _HANDLES, "points": Many("Q", choices=_POINT, count=""), "flags": _PAD},
        pointers={"handles": None, "points": None},
        weight=10,
    ),
    _drm(
        "SYNCOBJ_QUERY",
        drm.SYNCOBJ_QUERY,
        {
            "handles": _HANDLES,
            "points": Many("Q", choices=(7, 77), count="", null=0.05),
            "flags": (0, 0, 1, 1, 2),
        },
        pointers={"handles": None, "points": 8},
        weight=12,
    ),
    _drm(
        "SYNCOBJ_TRANSFER",
        drm.SYNCOBJ_TRANSFER,
        {
            "src_handle": Of("h"),
            "dst_handle": Of("h"),
            "src_point": _POINT,
            "dst_point": _POINT,
            "flags": (0, 0, 0, 0, 1, 4, 8),
            "pad": _PAD,
        },
        weight=14,
    ),
    _drm(
        "SYNCOBJ_TRANSFER_WAIT",
        drm.SYNCOBJ_TRANSFER,
        {
            "src_handle": Of("h"),
            "dst_handle": Of("h"),
            "src_point": _POINT,
            "dst_point": _POINT,
            "flags": (2,),
            "pad": _PAD,
        },
        waits=True,
        weight=3,
    ),
    _drm(
        "SYNCOBJ_EVENTFD",
        drm.SYNCOBJ_EVENTFD,
        {
            "handle": Of("h"),
            "flags": (0, 0, 0, 4, 4, 1),
            "point": _POINT,
            "fd": Of("e"),
            "pad": _PAD,
        },
        weight=10,
    ),
    # The scheduler.
    _drm(
        "MOCK_CREATE_CONTEXT",
        mock.CREATE_CONTEXT,
        {"priority": (0, 1, 2, 2, 3, 4)},
        makes="c",
        made="id",
        weight=8,
    ),
    _drm("MOCK_DESTROY_CONTEXT", mock.DESTROY_CONTEXT, {"id": Of("c"), "pad": _PAD}, weight=3),
    _drm(
        "MOCK_SUBMIT",
        mock.SUBMIT,
        {
            "context": Of("c"),
            "credits": (1, 1, 1, 2, 3, 4, 0),
            "wait": Of("h", 0.6),
            "signal": Of("h", 0.2),
            "wait_point": (0, 0, 0, 1, 2, 3),
            "signal_point": (0, 0, 0, 1, 2, 3, 4),
            "bo": Of("b", 0.6),
            "write": (0, 1),
        },
        weight=20,
    ),
    _drm(
        "MOCK_ADVANCE",
        mock.ADVANCE,
        {"count": (0, 1, 1, 1, 2, 3, 9), "error": (0, 0, 0, (1 << 64) - 5, 1)},
        weight=10,
    ),
)

OPERATIONS = {operation.name: operation for operation in _DECLARED}

#: What a random program is about: the kinds of files and objects that it uses.
THEMES: Mapping[str, str] = {
    "everything": "dsfhoebmc",
    "syncobj": "dhoe",
    "syncobj and fences": "dsfhoe",
    "fences": "sf",
    "buffers": "dsfbm",
    "scheduler": "dhbmcf",
}
