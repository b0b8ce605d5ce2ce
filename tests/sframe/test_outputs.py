"""Exported profiles in the programs that their formats are of: speedscope in a browser, Go's pprof."""

import base64
import html
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import jsonschema
import pytest

from ring3.sframe import outputs
from ring3.sframe.profile import Function, Profile

NAMES = ["main", "std::map<int, char*>::at(int&&)", "[kernel]", "größe::日本", "</td>\"'", "leaf"]
STACKS = [(0, 1, 2), (0, 3), (0, 1, 1, 5), (0,), (0, 3, 4), (0, 1)]
COUNTS = [3, 50, 7, 20, 11, 9]
MADE = Profile(
    "a <title> ü",
    [Function(name, f"/lib/{n}.so") for n, name in enumerate(NAMES)],
    STACKS,
    COUNTS,
    1e6,
    "nanoseconds",
)

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def speedscope(tmp_path_factory):
    """The folder of speedscope's released page, as npm has it."""
    if shutil.which("npm") is None:
        pytest.skip("npm, which brings speedscope, is not here")
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "pack", "--silent", "speedscope@1.25.0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm does not bring speedscope: {done.stderr.strip()[:200]}")
    subprocess.run(["tar", "xf", done.stdout.strip()], cwd=folder, check=True)
    return folder / "package/dist/release"


def shown_by_speedscope(speedscope: Path, profile: Path, chromium: str) -> dict[str, list[int]]:
    """Name -> total and own weight, as its table has them; ms where the profile has times."""
    data = base64.b64encode(profile.read_bytes()).decode()
    load = profile.with_suffix(".js")
    load.write_text(f"speedscope.loadFileFromBase64({profile.name!r}, {data!r})")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
    options += [f"--user-data-dir={profile.parent}/browser", "--window-size=1200,900"]
    options += ["--virtual-time-budget=10000", "--dump-dom"]
    page = f"file://{speedscope}/index.html#view=sandwich&localProfilePath={load}"
    done = subprocess.run(
        [chromium, *options, page], capture_output=True, text=True, check=True, timeout=120
    )
    found = {}
    for row in re.findall(r"<tr class[^>]*>(.*?)</tr>", done.stdout):
        total, own, name = re.findall(r"<td.*?</td>", row)
        weights = [float(re.search(r">([\d.]+)", cell)[1]) for cell in (total, own)]
        found[html.unescape(re.sub(r"<.*?>", "", name))] = weights
    return found


@pytest.mark.parametrize("ending", [".speedscope.json", ".pb.gz", ".collapsed"])
def test_speedscope_shows_the_same_times(ending, speedscope, needs, tmp_path):
    path = tmp_path / f"p{ending}"
    outputs.write(MADE, path)
    total, own = Counter(), Counter()
    for stack, count in zip(STACKS, COUNTS, strict=True):
        total.update({NAMES[index]: count for index in set(stack)})
        own[NAMES[stack[-1]]] += count
    wanted = {name: [total[name], own[name]] for name in NAMES}
    assert shown_by_speedscope(speedscope, path, needs("chromium")) == wanted


def test_speedscopes_schema(speedscope):
    schema = json.loads((speedscope / "file-format-schema.json").read_text())
    empty = Profile("nothing", [], [], [], 0.0, "count")
    for profile in (MADE, empty):
        jsonschema.validate(json.loads(outputs.speedscope(profile)), schema)


def test_pprof_reads_the_same_stacks(needs, tmp_path):
    outputs.write(MADE, tmp_path / "p.pb.gz")
    pprof = Path(needs("oracle:go"), "usr/lib/go-1.19/pkg/tool/linux_amd64/pprof")
    command = [pprof, "-raw", "-symbolize=none", tmp_path / "p.pb.gz"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = dict(re.findall(r"^ +(\d+): 0x0 M=1 (.*) /lib/\d\.so:0 s=0$", text, re.M))
    read = []
    for count, time, stack in re.findall(r"^ +(\d+) +(\d+): ([\d ]+)$", text, re.M):
        read.append(([names[number] for number in reversed(stack.split())], int(count), int(time)))
    assert read == [
        ([NAMES[index] for index in stack], count, count * 1_000_000)
        for stack, count in zip(STACKS, COUNTS, strict=True)
    ]
