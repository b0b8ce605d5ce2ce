"""Building and booting kernels: what can be said without waiting for a whole build."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from ring3.arch import host
from ring3.errors import BadInput, MissingPart
from ring3.kselftest import boot, cpio, kernel
from ring3.kselftest.kernel import Config, Image
from ring3.nolibc import build


def test_options_are_read_as_kconfig_writes_them() -> None:
    lines = [
        "#",
        "# Header",
        "CONFIG_A=y",
        'CONFIG_B="x y"',
        "# CONFIG_C is not set",
        "",
        "CONFIG_D=n",
    ]
    assert kernel.values(lines) == {
        "CONFIG_A": "y",
        "CONFIG_B": '"x y"',
        "CONFIG_C": "n",
        "CONFIG_D": "n",
    }


@pytest.mark.parametrize("line", ["KUNIT=y", "CONFIG_KUNIT", "CONFIG_KUNIT=", "\x00", "rm -rf /"])
def test_what_is_no_option_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(BadInput, match="line 2"):
        kernel.values(["CONFIG_A=y", line])


def test_options_that_did_not_survive() -> None:
    got = ["CONFIG_A=m", "# CONFIG_B is not set", "CONFIG_E=5"]
    asked = ["CONFIG_A=y", "CONFIG_B=n", "CONFIG_C=y", "# CONFIG_D is not set", "CONFIG_E=5"]
    assert kernel.differences(asked, got) == ["CONFIG_A=y", "CONFIG_C=y"]


def test_a_folder_that_is_no_kernel_source(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no kernel source"):
        kernel.build(tmp_path, kernel.UML_KUNIT)


KCONFIG = """\
config MODULES
	bool
	modules
config LEAF
	bool "leaf"
	depends on ROOT
config ROOT
	bool "root"
"""

# A tree of two rules that answers as kbuild does: "olddefconfig" by hand, then a file that is the image.
MAKEFILE = """\
olddefconfig:
	grep -q ROOT=y $(O)/.config || sed -i '/LEAF/d' $(O)/.config
linux:
	@echo '  CC      one.o'
	@test ! -e broken || { echo 'one.c:3:1: error: no such thing' >&2; false; }
	@sleep 0.5; echo built >> $(O)/linux
"""


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tmp_path / "source"
    source.mkdir()
    (source / "Kconfig").write_text(KCONFIG)
    (source / "Makefile").write_text(MAKEFILE)
    return source


def test_a_build_happens_once_and_again_when_the_source_changes(tree: Path) -> None:
    config = Config("toy", "um", None, ("CONFIG_ROOT=y", "CONFIG_LEAF=y"))
    steps: list[str] = []
    image = kernel.build(tree, config, progress=lambda _, what: steps.append(what))
    assert steps == ["CC one.o"]
    assert kernel.build(tree, config) == image
    assert image.path.read_text() == "built\n"
    (tree / "new.c").write_text("int new;\n")
    kernel.build(tree, config)
    assert image.path.read_text() == "built\nbuilt\n"


def test_two_builders_at_once_build_once(tree: Path) -> None:
    config = Config("toy", "um", None, ())
    images: list[Image] = []
    threads = [
        threading.Thread(target=lambda: images.append(kernel.build(tree, config))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(images)) == 1
    assert images[0].path.read_text() == "built\n"


def test_a_lost_option_is_said_with_what_it_depends_on(tree: Path) -> None:
    config = Config("toy", "um", None, ("CONFIG_LEAF=y", "CONFIG_NOWHERE=n"))
    with pytest.raises(BadInput, match=r"CONFIG_LEAF=y \(depends on ROOT\)"):
        kernel.build(tree, config)


def test_a_compiler_that_refuses_is_one_line_and_the_next_build_goes_on(tree: Path) -> None:
    config = Config("toy", "um", None, ())
    (tree / "broken").touch()
    with pytest.raises(BadInput, match=r"one\.c:3:1: error: no such thing"):
        kernel.build(tree, config)
    (tree / "broken").unlink()
    assert kernel.build(tree, config).path.read_text() == "built\n"


def test_an_initramfs_is_what_cpio_reads(tmp_path: Path, needs) -> None:
    needs("cpio")
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/odd name").write_bytes(b"\0\1\2" * 1001)
    (root / "init").symlink_to("bin/odd name")
    (root / "bin/odd name").chmod(0o755)
    data = cpio.archive(root)
    listed = subprocess.run(["cpio", "-t"], input=data, capture_output=True, check=True)
    assert listed.stdout.decode().splitlines() == [
        *("dev", "dev/console", "bin", "bin/odd name", "init"),
    ]
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(
        ["cpio", "-id", "bin/odd name", "init"],
        input=data,
        cwd=out,
        check=True,
        capture_output=True,
    )
    assert (out / "bin/odd name").read_bytes() == b"\0\1\2" * 1001
    assert (out / "init").readlink() == Path("bin/odd name")
    assert (out / "bin/odd name").stat().st_mode & 0o777 == 0o755


def test_a_socket_does_not_go_into_an_initramfs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="pipe"):
        cpio.archive(tmp_path)


def _script(tmp_path: Path, text: str) -> Image:
    """A program in place of User-mode Linux: what matters is how its end is dealt with."""
    path = tmp_path / "linux"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Image(path, "um")


def test_a_kernel_that_hangs_is_killed_with_its_processes(tmp_path: Path) -> None:
    mark = f"86{time.monotonic_ns() % 10**9}"
    began = time.monotonic()
    result = boot.boot(_script(tmp_path, f"echo started; sleep {mark} & sleep {mark}"), timeout=1)
    assert (result.ended, result.log) == ("time-out", "started\n")
    assert time.monotonic() - began < 20
    left = subprocess.run(["pgrep", "-f", f"sleep {mark}"], capture_output=True, check=False)
    assert left.stdout == b""


def test_a_kernel_that_closes_its_console_and_runs_on(tmp_path: Path) -> None:
    result = boot.boot(_script(tmp_path, "exec >&- 2>&-; sleep 60"), timeout=1)
    assert result.ended == "time-out"


def test_a_flood_is_cut(tmp_path: Path) -> None:
    result = boot.boot(_script(tmp_path, "exec yes"), timeout=30, limit=100_000)
    assert (result.ended, len(result.output)) == ("flood", 100_000)


def test_until_ends_a_boot(tmp_path: Path) -> None:
    lines: list[str] = []
    result = boot.boot(
        _script(tmp_path, "echo one; echo two; sleep 60"),
        timeout=30,
        on_line=lines.append,
        until=re.compile("two"),
    )
    assert result.ended == "on request"
    assert lines == ["one", "two"]


def test_images_and_roots_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no kernel image"):
        boot.boot(Image(tmp_path / "absent", "um"))
    image = _script(tmp_path, "exit 0")
    with pytest.raises(BadInput, match="no folder"):
        boot.boot(image, tmp_path / "absent")
    odd = tmp_path / "a b"
    odd.mkdir()
    with pytest.raises(BadInput, match="blank"):
        boot.boot(image, odd)
    image.path.write_bytes(b"\x7fELF not a program")
    with pytest.raises(BadInput, match="does not start"):
        boot.boot(image)


@pytest.mark.oracle
def test_debians_kernel_boots_under_qemu_with_a_nolibc_init(tmp_path: Path, needs) -> None:
    needs("qemu-system-x86_64")
    folder = Path(needs("oracle:kernel-6.1"))
    (image,) = (folder / "boot").glob("vmlinuz-*")
    source = tmp_path / "init.c"
    source.write_text(
        "#include <stdio.h>\n#include <sys/reboot.h>\n#include <unistd.h>\n"
        "int main(void) {\n"
        '\tprintf("init is process %d\\n", (int)getpid());\n'
        "\tfflush(stdout);\n\treboot(RB_AUTOBOOT);\n\treturn 0;\n}\n"
    )
    root = tmp_path / "root"
    root.mkdir()
    try:
        build.build([source], host(), root / "init")
    except MissingPart as missing:
        pytest.skip(str(missing))
    result = boot.boot(Image(image, "x86_64"), root, machine="pc", timeout=120)
    assert result.ended == "by itself"
    assert "init is process 1" in result.log.splitlines()
