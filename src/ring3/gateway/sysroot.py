"""A system root with Mesa's Vulkan driver for Mali in it, unpacked beside the system.

What libdrm looks at to find a device is put into it as plain files: qemu-user's ``-L`` shows them to the
guest, and the preload library makes the nodes look like devices.

Source: what xf86drm.c (libdrm 2.4.124) opens, stats and reads for a platform device, as
qemu-user's own -strace shows it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ring3 import oracles
from ring3.debian import Tree, unpack
from ring3.errors import MissingPart
from ring3.files import write_atomically

#: Major number of DRM, minor of the first render node.
RENDER_NODE = (226, 128)
COMPATIBLE = "arm,mali-valhall-csf"


def tree(suite: str | None = None) -> Tree:
    """The packages, of ``suite`` or of the one ring3 is tested with."""
    chosen, _ = oracles.ORACLES["mesa"]
    return chosen if suite in (None, chosen.suite) else replace(chosen, suite=str(suite))


def prepare(suite: str | None = None) -> Path:
    """Download and unpack what is missing, put the device's files in; the root's folder.

    MissingPart when the packages cannot be had.
    """
    root = unpack(tree(suite))
    add_device(root)
    return root


def find(suite: str | None = None) -> Path:
    """The folder of a root that :func:`prepare` has made; MissingPart when it is not there."""
    wanted = tree(suite)
    if not wanted.present:
        raise MissingPart(
            f"no system root of {wanted.suite}",
            remedy="ring3 panthor sysroot" + (f" --suite {suite}" if suite else ""),
        )
    add_device(wanted.path)
    return wanted.path


def add_device(root: Path) -> None:
    """The files by which libdrm finds one platform device with one render node."""
    major, minor = RENDER_NODE
    device = root / f"sys/dev/char/{major}:{minor}/device"
    name = f"renderD{minor}"
    (device / "drm" / name).mkdir(parents=True, exist_ok=True)
    (root / "dev/dri").mkdir(parents=True, exist_ok=True)
    (root / "dev/dri" / name).touch()
    # Programs of others may be reading it at this moment.
    write_atomically(
        device / "uevent",
        "DRIVER=panthor\nOF_NAME=gpu\nOF_FULLNAME=/soc/gpu@fb000000\n"
        f"OF_COMPATIBLE_0={COMPATIBLE}\nOF_COMPATIBLE_N=1\n",
    )
    # The emulator follows only links that lead somewhere.
    (root / "sys/bus/platform").mkdir(parents=True, exist_ok=True)
    subsystem = device / "subsystem"
    with suppress(FileExistsError):
        subsystem.symlink_to("../../../../bus/platform")
