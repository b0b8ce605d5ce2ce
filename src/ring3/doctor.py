"""Which real parts are here, what each is for, and how to get the others.

A :class:`Part` is declared once, in :func:`parts`; the report, the set-up and the Debian package list
are derived from that.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ring3 import debian, oracles, probes
from ring3.arch import ARCHS
from ring3.errors import MissingPart, Ring3Error


@dataclass(frozen=True)
class Part:
    """A real part.  ``probe`` finds it and describes it, or returns None; ``packages`` are the Debian
    packages that supply it, ``remedy`` says how else to get it."""

    group: str
    name: str
    purpose: str
    probe: Callable[[], str | None]
    packages: tuple[str, ...] = ()
    remedy: str = ""

    @property
    def get(self) -> str:
        """The command or the sentence that supplies it."""
        return f"apt-get install {' '.join(self.packages)}" if self.packages else self.remedy


@dataclass(frozen=True)
class Answer:
    """What became of a part: ``found`` describes it, or is None where it is missing."""

    part: Part
    found: str | None


def parts() -> list[Part]:
    """Every part ring3 can use, in the order of the report."""
    return [*_PROGRAMS, *_kernel_parts(), *_compilers(), *_emulators(), *_oracles()]


_PROGRAMS = [
    Part(group, name, purpose, partial(probes.program, *names), packages)
    for group, name, purpose, names, packages in (
        ("programs", "gcc", "builds test programs and nolibc", ("gcc",), ("gcc", "libc6-dev")),
        ("programs", "g++", "C++ programs to unwind", ("g++",), ("g++",)),
        (
            "programs",
            "clang",
            "nolibc and CFI of a second compiler",
            ("clang",),
            ("clang", "lld", "llvm"),
        ),
        (
            "programs",
            "binutils",
            "readelf and objdump to compare with",
            ("readelf",),
            ("binutils",),
        ),
        ("programs", "gdb", "truth for stacks", ("gdb",), ("gdb",)),
        (
            "programs",
            "gdb-multiarch",
            "truth for cores of AArch64 and s390x",
            ("gdb-multiarch",),
            ("gdb-multiarch",),
        ),
        (
            "programs",
            "elfutils",
            "eu-stack, a second truth for stacks",
            ("eu-stack",),
            ("elfutils",),
        ),
        ("programs", "perf", "recordings of others to read", ("perf",), ("linux-perf",)),
        ("programs", "patchelf", "rewrites our programs in tests", ("patchelf",), ("patchelf",)),
        ("programs", "patch", "truth for the audit's patches", ("patch",), ("patch",)),
        ("programs", "chromium", "opens the pages in tests", ("chromium",), ("chromium",)),
        ("programs", "musl", "sizes to compare nolibc with", ("musl-gcc",), ("musl-tools",)),
        ("programs", "astcenc", "truth for ASTC textures", ("astcenc",), ("astcenc",)),
        ("programs", "glslang", "GLSL to SPIR-V", ("glslangValidator",), ("glslang-tools",)),
        ("programs", "rustc", "Rust programs to unwind", ("rustc",), ("rustc",)),
        ("programs", "node", "JavaScript programs to unwind", ("node",), ("nodejs",)),
    )
] + [
    Part(
        "programs",
        "dietlibc",
        "sizes to compare nolibc with",
        # diet prints its usage on any wrong option, with no version; that it is there must do.
        lambda: shutil.which("diet"),
        ("dietlibc-dev",),
    ),
    Part(
        "programs",
        "libc6-dbg",
        "names of the C library's inner functions in stacks",
        lambda: _package("libc6-dbg"),
        ("libc6-dbg",),
    ),
    Part(
        "programs",
        "kernel build",
        "builds kernels for KUnit and as an oracle",
        lambda: "flex, bison, bc" if all(map(shutil.which, ("flex", "bison", "bc"))) else None,
        ("flex", "bison", "bc", "libelf-dev", "libssl-dev", "make", "xz-utils", "cpio"),
    ),
    Part(
        "programs",
        "Vulkan headers",
        "builds the Vulkan client that is run on the simulated GPU",
        lambda: "vulkan.h" if Path("/usr/include/vulkan/vulkan.h").exists() else None,
        ("libvulkan-dev",),
    ),
    Part(
        "programs",
        "zig",
        "Clang and musl for eighteen architectures, without root",
        lambda: "ziglang" if importlib.util.find_spec("ziglang") else None,
        remedy="pip install ziglang",
    ),
]


def _package(name: str) -> str | None:
    return "installed" if debian.installed([name])[name] else None


def _kernel_parts() -> list[Part]:
    paranoid = "set /proc/sys/kernel/perf_event_paranoid to 2 or less"
    return [
        Part("kernel", "perf_event", "ring3 record", probes.perf_event, remedy=paranoid),
        Part(
            "kernel",
            "hardware PMU",
            "samples by cycles instead of the clock",
            partial(probes.perf_event, True),
            remedy="a machine or a virtual machine with a PMU; cpu-clock serves without",
        ),
        Part(
            "kernel",
            "ptrace",
            "ring3 stack on live processes",
            probes.ptrace,
            remedy="set /proc/sys/kernel/yama/ptrace_scope to 0, or be root",
        ),
        Part(
            "kernel",
            "seccomp notification",
            "ring3 panthor run: traps a program's ioctls",
            probes.seccomp_notification,
            remedy="Linux 5.9 or newer with CONFIG_SECCOMP_FILTER",
        ),
        Part(
            "kernel",
            "user namespaces",
            "ring3 panthor run without root",
            probes.user_namespace,
            remedy="set /proc/sys/user/max_user_namespaces above 0; a chroot cannot have them",
        ),
        Part(
            "kernel",
            "KVM",
            "boots kernels faster; QEMU's own emulation serves without",
            probes.kvm,
            remedy="load kvm_amd or kvm_intel on a host with virtualisation",
        ),
    ]


def _compilers() -> list[Part]:
    by_package: dict[str, list[str]] = {}
    prefixes: dict[str, str] = {}
    libraries: dict[str, tuple[str, ...]] = {}
    for arch in ARCHS.values():
        tools = arch.toolchain
        if tools.gcc and tools.gcc_package and tools.gcc_package.startswith("gcc-"):
            by_package.setdefault(tools.gcc_package, []).append(arch.name)
            prefixes[tools.gcc_package] = tools.gcc
            libraries[tools.gcc_package] = _libraries(tools.headers_package)
    return [
        Part(
            "compilers",
            package,
            f"nolibc and kselftests for {', '.join(names)}",
            partial(probes.program, f"{prefixes[package]}-gcc"),
            (package, *libraries[package]),
        )
        for package, names in by_package.items()
    ]


#: C libraries of cross compilers whose names do not follow from the headers'.
_LIBRARIES = {
    "alpha": ("libc6.1-dev-alpha-cross",),
    "sparc64": ("libc6-dev-sparc64-cross", "libc6-dev-sparc-sparc64-cross"),
}


def _libraries(headers: str | None) -> tuple[str, ...]:
    """The packages of the C library that goes with the package of kernel headers ``headers``."""
    if headers is None:
        return ()
    name = headers.removeprefix("linux-libc-dev-").removesuffix("-cross")
    return _LIBRARIES.get(name, (f"libc6-dev-{name}-cross",))


def _emulators() -> list[Part]:
    names = sorted({arch.toolchain.qemu for arch in ARCHS.values() if arch.toolchain.qemu})

    def user() -> str | None:
        there = [name for name in names if shutil.which(f"qemu-{name}")]
        return ", ".join(there) if there else None

    return [
        Part(
            "emulators", "qemu-user", "runs programs of other architectures", user, ("qemu-user",)
        ),
        Part(
            "emulators",
            "qemu-system-x86",
            "boots kernels",
            partial(probes.program, "qemu-system-x86_64"),
            ("qemu-system-x86",),
        ),
    ]


def _oracles() -> list[Part]:
    found: list[Part] = [
        Part(
            "oracles",
            "linux-6.1",
            "kernel source of this Debian, for the audit",
            lambda: _package("linux-source-6.1"),
            ("linux-source-6.1",),
        )
    ]
    for name, (tree, purpose) in oracles.ORACLES.items():

        def probe(tree: debian.Tree = tree) -> str | None:
            return f"{tree.suite}, {tree.architecture}" if tree.present else None

        found.append(Part("oracles", name, purpose, probe, remedy=f"scripts/oracles {name}"))
    return found


def examine() -> list[Answer]:
    """Try every part."""
    return [Answer(part, part.probe()) for part in parts()]


def install() -> list[str]:
    """Install the Debian packages that missing parts name; what could not be had, in words.

    Uses root or sudo; raises MissingPart with one line that names everything when neither is here.
    """
    wanted = [package for part in parts() for package in part.packages]
    missing = sorted(name for name, there in debian.installed(wanted).items() if not there)
    if not missing:
        return []
    line = f"apt-get install {' '.join(missing)}"
    if not shutil.which("apt-get"):
        raise MissingPart("no apt-get here", remedy=f"on a Debian machine: {line}")
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if rights and (
        not shutil.which("sudo") or subprocess.run([*rights, "true"], check=False).returncode
    ):
        raise MissingPart(f"{len(missing)} Debian packages are missing", remedy=f"as root: {line}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run([*rights, "apt-get", "update", "-q"], check=False, env=environment)
    troubles = []
    known = [name for name in missing if _candidate(name)]
    troubles += [f"{name}: not in this Debian" for name in missing if name not in known]
    command = [*rights, "apt-get", "install", "-qy", "--no-install-recommends", *known]
    if known and subprocess.run(command, check=False, env=environment).returncode:
        troubles.append(f"{' '.join(command)} failed")
    return troubles


def bring_oracles(tell: Callable[[str], None]) -> list[str]:
    """Unpack every oracle that is not here, and tell which; what could not be had, in words."""
    troubles = []
    for tree, _ in oracles.ORACLES.values():
        if not tree.present:
            tell(f"{tree.name} of Debian {tree.suite}, unpacked beside the system")
        try:
            debian.unpack(tree)
        except Ring3Error as error:
            troubles.append(str(error))
    return troubles


def prepare(tell: Callable[[str], None]) -> list[str]:
    """Do now what the first job would wait for, and tell which: unpack the newest kernel source, compile
    the hot loops.

    What could not be done, in words.
    """
    from ring3 import linux_source
    from ring3.sframe import warm

    troubles = []
    try:
        if (version := linux_source.newest()) is not None:
            tell(f"kernel source {version}")
            linux_source.kernel_source(version)
    except Ring3Error as error:
        troubles.append(str(error))
    try:
        tell("compiling hot loops")
        warm.compile_loops()
    except Ring3Error as error:  # where the kernel lets nobody sample
        troubles.append(f"some loops are compiled when they are first used: {error}")
    return troubles


def _candidate(package: str) -> bool:
    done = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", package], capture_output=True, check=False
    )
    return done.returncode == 0
