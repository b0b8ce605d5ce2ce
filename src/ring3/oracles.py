"""Real parts from other Debian suites that ring3 is checked against or runs, unpacked beside the system.

One line declares a tree; ``scripts/oracles NAME...`` brings it; :func:`find` says where it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ring3.debian import Tree, unpack
from ring3.errors import MissingPart, Ring3Error, Unsupported, one_of

#: name -> (tree, what it is for)
ORACLES: dict[str, tuple[Tree, str]] = {
    tree.name: (tree, purpose)
    for tree, purpose in (
        (
            Tree(
                "binutils",
                "sid",
                "amd64",
                (
                    "binutils",
                    "binutils-aarch64-linux-gnu",
                    "binutils-s390x-linux-gnu",
                ),
                closure=True,
            ),
            "assembler, linker, objdump and readelf that know SFrame V3",
        ),
        (
            Tree("llvm-23", "sid", "amd64", ("llvm-23",), closure=True),
            "an assembler that writes SFrame V2",
        ),
        (
            Tree("go", "bookworm", "amd64", ("golang-1.19-go",)),
            "pprof, which reads exported profiles, and programs of another linker to add .sframe to",
        ),
        (
            Tree("kernel", "sid", "amd64", ("linux-image-cloud-amd64",), closure=True),
            "a kernel image and modules with ORC (layout of Linux 6.4 and later)",
        ),
        (
            Tree(
                "kernel-6.1",
                "bookworm",
                "amd64",
                ("linux-image-cloud-amd64", "linux-kbuild-6.1"),
                closure=True,
            ),
            "modules with the ORC layout of Linux 6.1, and the objtool that prints it",
        ),
        (
            Tree("qemu", "sid", "amd64", ("qemu-user",)),
            "user-mode emulators whose mremap works with pages larger than the host's",
        ),
        (
            Tree("linux-7.2", "sid", "amd64", ("linux-source-7.2",)),
            "kernel source for the audit, the UAPI headers and the selftests",
        ),
        (
            Tree("uapi-7.2", "sid", "amd64", ("linux-libc-dev",)),
            "the kernel's user headers that the DRM, Panthor and dma-buf layouts are checked against",
        ),
        (
            Tree("linux-6.12", "trixie", "amd64", ("linux-source-6.12",)),
            "kernel source in which bugs of 6.1 are fixed",
        ),
        (
            Tree(
                "mesa",
                "trixie",
                "arm64",
                ("mesa-vulkan-drivers", "vulkan-tools", "libvulkan1"),
                closure=True,
            ),
            "Mesa's Vulkan drivers for Mali and for the CPU, with a system root to run them in",
        ),
        (
            Tree(
                "mesa-newer",
                "sid",
                "arm64",
                ("mesa-vulkan-drivers", "libvulkan1"),
                closure=True,
            ),
            "the same of a newer Mesa: what its compiler and driver do otherwise",
        ),
        (
            Tree(
                "mesa-native",
                "sid",
                "amd64",
                ("mesa-vulkan-drivers", "libvulkan1"),
                closure=True,
            ),
            "a newer Mesa's lavapipe, without an emulator: what Vulkan programs must give",
        ),
    )
}


def find(name: str) -> Path:
    """The folder of the unpacked tree ``name``; MissingPart with the command that brings it."""
    tree, purpose = _declared(name)
    if not tree.present:
        raise MissingPart(f"{name} is not here: {purpose}", remedy=f"run scripts/oracles {name}")
    return tree.path


def _declared(name: str) -> tuple[Tree, str]:
    if name not in ORACLES:
        raise Unsupported(f"no oracle {name!r}", remedy=one_of(name, ORACLES))
    return ORACLES[name]


def main(names: list[str]) -> int:
    """Bring the trees ``names`` (all when empty); one line each; 2 when one cannot be had."""
    worst = 0
    for name in names or ORACLES:
        try:
            print(f"{name}: {unpack(_declared(name)[0])}")
        except Ring3Error as error:
            print(f"oracles: {error}", file=sys.stderr)
            worst = 2
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
