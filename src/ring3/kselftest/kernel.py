"""Kernels built from source, once for each configuration, and kept.

A :class:`Config` says what to build; :func:`build` makes an :class:`Image` of it out of tree, in the cache,
in a folder of its own for each source tree and configuration.  A folder that is there is brought up to
date by kbuild, so that an interrupted build goes on and an edited file costs what it must.

Sources: Documentation/kbuild/kconfig.rst and kbuild.rst, Documentation/dev-tools/kunit, Linux 7.2.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ring3.errors import BadInput, MissingPart
from ring3.files import cache_folder, write_atomically

#: Called with the number of build steps done so far and the last one ("CC fs/inode.o").
Progress = Callable[[int, str], None]


@dataclass(frozen=True)
class Config:
    """A kernel to build.

    ``arch`` is "um" (User-mode Linux: the kernel as a program) or "x86_64" (for QEMU).  ``base`` is the
    make target that ``options`` are laid over: "tinyconfig", "defconfig" ..., or None for Kconfig's
    defaults.  ``options`` are lines of a .config, ``CONFIG_KUNIT=y``.
    """

    name: str
    arch: Literal["um", "x86_64"]
    base: str | None
    options: tuple[str, ...]


@dataclass(frozen=True)
class Image:
    """A kernel that boots: the file, and what it was built as."""

    path: Path
    arch: Literal["um", "x86_64"]


def _enabled(*names: str) -> tuple[str, ...]:
    return tuple(f"CONFIG_{name}=y" for name in names)


# What a kernel needs to run programs that expect a system: /proc, /sys, /dev, sockets.
_SYSTEM = _enabled(
    *(
        "PROC_FS",
        "SYSFS",
        "DEBUG_FS",
        "SHMEM",
        "TMPFS",
        "DEVTMPFS",
        "UNIX",
        "NET",
        "INET",
        "PACKET",
    ),
    *("FUTEX", "EPOLL", "SIGNALFD", "TIMERFD", "EVENTFD", "AIO", "POSIX_TIMERS", "MEMFD_CREATE"),
    *("FILE_LOCKING", "INOTIFY_USER", "FANOTIFY", "ADVISE_SYSCALLS", "MEMBARRIER", "MULTIUSER"),
    *("NAMESPACES", "USER_NS", "PID_NS", "NET_NS", "UTS_NS", "IPC_NS", "TIME_NS", "CGROUPS"),
    *("SYSVIPC", "POSIX_MQUEUE", "SECCOMP", "CROSS_MEMORY_ATTACH", "BINFMT_ELF", "BINFMT_SCRIPT"),
)

#: User-mode Linux with KUnit as kunit.py configures it (tools/testing/kunit/configs): every suite that
#: these options allow.
UML_KUNIT = Config(
    "uml-kunit",
    "um",
    None,
    (
        *_enabled("KUNIT", "KUNIT_EXAMPLE_TEST", "KUNIT_ALL_TESTS", "KUNIT_UML_PCI"),
        *_enabled("FORTIFY_SOURCE", "HOSTFS", "DEVTMPFS", "DEBUG_FS", "TMPFS", "MAGIC_SYSRQ"),
    ),
)

#: User-mode Linux with DRM's vgem, software fences, udmabuf, and lockdep with its self-test: runs native
#: programs against the real dma-buf and dma_fence code.
UML_DRM = Config(
    "uml-drm",
    "um",
    None,
    (
        *_SYSTEM,
        *_enabled("HOSTFS", "VIRTIO_UML", "UML_PCI_OVER_VIRTIO", "DRM", "DRM_VGEM"),
        *_enabled("SW_SYNC", "SYNC_FILE", "UDMABUF", "DEBUG_KERNEL", "PROVE_LOCKING"),
        *_enabled("DEBUG_LOCKING_API_SELFTESTS", "DEBUG_LOCK_ALLOC", "DEBUG_WW_MUTEX_SLOWPATH"),
        *_enabled("DMABUF_DEBUG"),
        # A module with a driver that has sync objects (vgem has none), and what it is compared with.
        *_enabled("MODULES", "KUNIT", "DMABUF_KUNIT_TEST", "DRM_SCHED_KUNIT_TEST"),
        *_enabled("DRM_KUNIT_TEST", "DMABUF_HEAPS", "DMABUF_HEAPS_SYSTEM", "DEBUG_ATOMIC_SLEEP"),
    ),
)

#: The smallest User-mode Linux with every case of lockdep's self-test: those of queued rwlocks need SMP.
UML_LOCKDEP = Config(
    "uml-lockdep",
    "um",
    "tinyconfig",
    _enabled(
        *(
            "64BIT",
            "PRINTK",
            "BUG",
            "SMP",
            "DEBUG_KERNEL",
            "PROVE_LOCKING",
            "PROVE_RAW_LOCK_NESTING",
        ),
        *("DEBUG_LOCKING_API_SELFTESTS", "KALLSYMS", "FUTEX"),
    ),
)

#: The smallest x86_64 that runs KUnit's own suites and programs from an initramfs, for QEMU.
X86_KUNIT = Config(
    "x86-kunit",
    "x86_64",
    "tinyconfig",
    (
        *_SYSTEM,
        *_enabled("64BIT", "PRINTK", "PRINTK_TIME", "BUG", "TTY", "BLK_DEV_INITRD"),
        *_enabled("SERIAL_8250", "SERIAL_8250_CONSOLE", "KUNIT", "KUNIT_EXAMPLE_TEST"),
        *_enabled("KUNIT_ALL_TESTS", "KALLSYMS", "X86_MPPARSE", "MAGIC_SYSRQ"),
        # What KUnit itself calls slow takes most of a minute of QEMU's CPU; it is reported as skipped.
        'CONFIG_KUNIT_DEFAULT_FILTER="speed>slow"',
        'CONFIG_KUNIT_DEFAULT_FILTER_ACTION="skip"',
    ),
)

CONFIGS = {config.name: config for config in (UML_KUNIT, UML_DRM, UML_LOCKDEP, X86_KUNIT)}

_IMAGES = {"um": "linux", "x86_64": "arch/x86/boot/bzImage"}
_TARGETS = {"um": "linux", "x86_64": "bzImage"}
_TOOLS = {
    "make": "make",
    "gcc": "gcc",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "ld": "binutils",
}
_OPTION = re.compile(r"^(CONFIG_\w+)=(.+)$")
_UNSET = re.compile(r"^# (CONFIG_\w+) is not set$")


def build(
    source: Path, config: Config, *, jobs: int | None = None, progress: Progress | None = None
) -> Image:
    """Build ``config`` from the kernel tree ``source``, or take what an earlier call built of it.

    Minutes the first time (about 4 on two cores), and nothing when neither source nor configuration has
    changed.  Two builders at once wait for each other.  Raises BadInput when the tree is none, when an
    option did not survive or the compiler refused; MissingPart when a tool is missing.
    """
    source = source.resolve()
    if not (source / "Kconfig").is_file() or not (source / "Makefile").is_file():
        raise BadInput("no kernel source: no Kconfig and Makefile", where=str(source))
    missing = sorted({package for tool, package in _TOOLS.items() if not shutil.which(tool)})
    if missing:
        raise MissingPart("a kernel cannot be built", remedy=f"apt-get install {' '.join(missing)}")
    key = hashlib.sha256(repr((str(source), config)).encode()).hexdigest()[:12]
    folder = cache_folder("kernels", f"{config.name}-{key}")
    image = Image(folder / _IMAGES[config.arch], config.arch)
    tell = progress or (lambda _done, _what: None)
    with _locked(folder, tell):
        identity = _identity(source)
        stamp = folder / ".ring3-built"
        if image.path.is_file() and stamp.is_file() and stamp.read_text() == identity:
            return image
        stamp.unlink(missing_ok=True)
        _configure(source, config, folder)
        _make(source, config, folder, jobs or len(os.sched_getaffinity(0)), tell)
        write_atomically(stamp, identity)
    return image


@contextmanager
def _locked(folder: Path, tell: Progress) -> Iterator[None]:
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(0, "waiting for another process that builds this kernel")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _identity(source: Path) -> str:
    """What the tree holds: of an unpacked tarball its stamp, else names, sizes and times of all files;
    with the compiler's version."""
    compiler = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=False)
    stamp = source / ".tarball"  # ring3.linux_source writes it
    if stamp.is_file():
        content = stamp.read_text()
    else:
        digest = hashlib.sha256()
        waiting = [str(source)]
        while waiting:
            for entry in sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != ".git":
                        waiting.append(entry.path)
                else:
                    status = entry.stat(follow_symlinks=False)
                    line = f"{entry.path}\0{status.st_size}\0{status.st_mtime_ns}\n"
                    digest.update(line.encode(errors="surrogateescape"))
        content = digest.hexdigest()
    return f"{content}\n{compiler.stdout.splitlines()[0] if compiler.stdout else ''}\n"


def _command(source: Path, config: Config, folder: Path, *words: str) -> list[str]:
    arch = "um" if config.arch == "um" else "x86_64"
    return ["nice", "-n", "5", "make", "-C", str(source), f"O={folder}", f"ARCH={arch}", *words]


def _environment() -> dict[str, str]:
    # Variables that kbuild reads as its own would make another kernel than the one asked for.
    foreign = ("ARCH", "CROSS_COMPILE", "LLVM", "O", "KBUILD_OUTPUT", "MAKEFLAGS", "KCONFIG_CONFIG")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {**kept, "LC_ALL": "C"}


def _configure(source: Path, config: Config, folder: Path) -> None:
    dotconfig = folder / ".config"
    wanted = "\n".join((*config.options, ""))
    if config.base is None:
        dotconfig.write_text(wanted)
    else:
        _run(_command(source, config, folder, config.base), source)
        with dotconfig.open("a") as out:
            out.write(wanted)
    _run(_command(source, config, folder, "olddefconfig"), source)
    lost = differences(config.options, dotconfig.read_text(errors="replace").splitlines())
    if lost:
        told = "; ".join(f"{line} ({_why_lost(source, line)})" for line in lost)
        raise BadInput(
            f"Kconfig dropped {told}",
            where=f"{source} ({config.name})",
            remedy="ask for what they depend on, too",
        )


def differences(asked: Iterable[str], got: Iterable[str]) -> list[str]:
    """The lines of ``asked`` that a finished .config does not contain; ``=n`` and "is not set" are one."""
    have = values(got)
    return [
        line
        for line in asked
        for name, value in values([line]).items()
        if have.get(name, "n") != value
    ]


def values(lines: Iterable[str]) -> dict[str, str]:
    """Option -> value of the lines of a .config; an option that "is not set" is "n".

    Raises BadInput for a line that is neither an option nor a comment.
    """
    found = {}
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        option, unset = _OPTION.match(line), _UNSET.match(line)
        if option:
            found[option[1]] = option[2]
        elif unset:
            found[unset[1]] = "n"
        elif line and not line.startswith("#"):
            raise BadInput(
                f"no option: {line[:80]!r}", where=f"line {number}", remedy="write CONFIG_NAME=y"
            )
    return found


def _why_lost(source: Path, line: str) -> str:
    """What the tree's Kconfig says of an option: that there is none, or what it depends on."""
    name = line.removeprefix("# ").split("=")[0].split(" ")[0].removeprefix("CONFIG_")
    head = re.compile(rf"^\s*(?:menu)?config {re.escape(name)}\s*$")
    depends: list[str] = []
    found = False
    for path in source.rglob("Kconfig*"):
        inside = False
        for text in path.read_text(errors="replace").splitlines():
            if re.match(r"^\s*(menu)?config ", text):
                inside = bool(head.match(text))
                found = found or inside
            elif inside and text.strip().startswith("depends on "):
                depends.append(text.strip().removeprefix("depends on "))
    if not found:
        return "this tree has no such option"
    return f"depends on {' and '.join(depends)}" if depends else "its menu is off"


def _make(source: Path, config: Config, folder: Path, jobs: int, tell: Progress) -> None:
    words = _command(source, config, folder, f"-j{jobs}", _TARGETS[config.arch])
    last: deque[str] = deque(maxlen=400)
    done = 0
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        env=_environment(),
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        try:
            for line in running.stdout:
                last.append(line)
                if line.startswith("  "):
                    done += 1
                    tell(done, " ".join(line.split()))
            code = running.wait()
        except BaseException:
            os.killpg(running.pid, 15)
            raise
    if code:
        raise _failed(words, "".join(last), folder)


def _run(words: list[str], source: Path) -> None:
    done = subprocess.run(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        check=False,
        env=_environment(),
    )
    if done.returncode:
        raise _failed(words, done.stdout, source)


def _failed(words: list[str], log: str, place: Path) -> BadInput:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or line.startswith("***")]
    first = (telling or lines or ["make failed and said nothing"])[0]
    return BadInput(first[:300], where=str(place), remedy=f"run: {' '.join(words[3:])}")
