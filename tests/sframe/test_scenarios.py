"""What happens to processes while they are recorded: fork, exec, dlopen, deleted files, the vDSO, JIT."""

import json
import subprocess
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sframe_programs import SPIN, build

from ring3.errors import MissingPart
from ring3.sframe import outputs, profile, record, samples, stack
from ring3.sframe.bulk import Traces
from ring3.sframe.profile import Profile
from ring3.sframe.record import Settings
from ring3.sframe.samples import Samples
from ring3.sframe.unwind import How, Stop


def recorded(command: list[str], tmp_path: Path) -> tuple[Samples, Traces, Profile]:
    path = tmp_path / "scenario.data"
    try:
        record.record_command([str(word) for word in command], path, Settings())
    except MissingPart as error:
        pytest.skip(str(error))
    found = samples.read(path)
    made, traces = profile.of_recording(found)
    return found, traces, made


def stacks_with(made: Profile, *names: str) -> int:
    """Samples in whose stack all these functions are, in this order from the outside."""
    total = 0
    for stack_, count in zip(made.stacks, made.counts, strict=True):
        on_it = iter([made.functions[index].name for index in stack_])
        total += count if all(name in on_it for name in names) else 0
    return total


def test_fork_and_exec(tmp_path, needs):
    source = """
    #include <sys/wait.h>
    #include <unistd.h>
    N void in_child(void) { middle(0.3); work_done++; }
    N void in_other_program(void) { middle(0.3); work_done++; }
    int main(int argc, char **argv) {
      if (argc > 1) { in_other_program(); return 0; }
      if (!fork()) { in_child(); _exit(0); }
      if (!fork()) { execl(argv[0], "other", "again", (char *)0); _exit(1); }
      wait(0); wait(0); return 0;
    }
    """
    program = build(tmp_path, needs, "forks", SPIN + textwrap.dedent(source))
    found, traces, made = recorded([program], tmp_path)
    assert len(set(found.samples["pid"])) >= 2
    assert stacks_with(made, "main", "in_child", "middle", "innermost") > 100
    assert stacks_with(made, "main", "in_other_program", "middle", "innermost") > 100
    assert (traces.stop <= Stop.CHAIN_END).mean() > 0.95


def test_threads_and_the_vdso(tmp_path, needs):
    source = """
    #include <pthread.h>
    N void *worker(void *argument) {
      double end = used() + 0.4, sum = 0;
      while (used() < end) for (int n = 0; n < 2000; n++) sum += at(CLOCK_MONOTONIC);
      work_done += sum;
      return argument;
    }
    int main(void) {
      pthread_t id; pthread_create(&id, 0, worker, 0); worker(0); pthread_join(id, 0); return 0;
    }
    """
    needs("package:libc6-dbg")  # names start_thread
    program = build(tmp_path, needs, "threads", SPIN + textwrap.dedent(source), "-pthread")
    found, traces, made = recorded([program], tmp_path)
    assert len(set(found.samples["tid"])) == 2
    assert stacks_with(made, "start_thread", "worker") > 50
    assert stacks_with(made, "main", "worker") > 50
    inside = [name for name in (image.path for image in found.images) if name == "[vdso]"]
    number = [image.path for image in found.images].index(inside[0])
    mapping = found.mappings[traces.mapping]
    leaf = traces.first[:-1][np.diff(traces.first) > 0]
    in_vdso = mapping["image"][leaf] == number
    assert in_vdso.sum() > 20  # the clock is read there
    # A frame of the vDSO is followed by its caller, by rules.
    assert set(traces.how[leaf[in_vdso] + 1].tolist()) == {How.CONVERTED}


@pytest.mark.parametrize("fate", ["kept", "deleted", "replaced"])
def test_dlopen_of_a_file_that_changes(tmp_path, needs, fate):
    library = build(tmp_path, needs, "libplugin.so", SPIN, "-shared", "-fPIC")
    other = build(tmp_path, needs, "libother.so", SPIN + "int more;", "-shared", "-fPIC")
    source = """
    #include <dlfcn.h>
    #include <stdio.h>
    int main(int argc, char **argv) {
      void *plugin = dlopen(argv[1], RTLD_NOW);
      if (argc == 3) rename(argv[2], argv[1]);
      if (argc == 4) remove(argv[1]);
      void (*middle)(double) = (void (*)(double))dlsym(plugin, "middle");
      middle(0.4); return 0;
    }
    """
    program = build(tmp_path, needs, "opens", source)
    arguments = {"kept": [], "replaced": [other], "deleted": ["-", "-"]}[fate]
    found, traces, made = recorded([program, library, *arguments], tmp_path)
    assert stacks_with(made, "main", "middle", "innermost") > 100
    assert (traces.stop <= Stop.CHAIN_END).mean() > 0.95
    kept = [name for name, _, _ in found.extras.images if name.endswith("libplugin.so")]
    assert len(kept) == (fate != "kept")


def test_a_replaced_file_is_not_believed(tmp_path, needs):
    """After the recording the program is built anew: its new rules must not be used for old code."""
    program = build(tmp_path, needs, "changes", SPIN + "int main(void) { middle(0.3); return 0; }")
    path = tmp_path / "x.data"
    try:
        record.record_command([str(program)], path, Settings())
    except MissingPart as error:
        pytest.skip(str(error))
    build(tmp_path, needs, "changes", "int main(void) { return 7; }")
    found = samples.read(path)
    made, _ = profile.of_recording(found)
    assert stacks_with(made, "innermost") == 0
    assert stacks_with(made, "[changes]") > 50


@pytest.mark.parametrize("stack_of_its_own", [False, True])
def test_signal_handlers(tmp_path, needs, stack_of_its_own):
    """Samples inside a handler go on through the frame that the signal interrupted."""
    source = """
    #include <signal.h>
    #include <stdlib.h>
    N void handler(int number) { middle(0.3); work_done += number; }
    N void interrupted(void) { raise(SIGUSR1); work_done++; }
    int main(int argc, char **argv) {
      stack_t own = { .ss_sp = malloc(1 << 17), .ss_size = 1 << 17 };
      struct sigaction action = { .sa_handler = handler, .sa_flags = argc > 1 ? SA_ONSTACK : 0 };
      sigaltstack(&own, 0); sigaction(SIGUSR1, &action, 0);
      interrupted(); return 0;
    }
    """
    needs("package:libc6-dbg")  # names __restore_rt
    program = build(tmp_path, needs, "signals", SPIN + textwrap.dedent(source))
    command = [program, "own"] if stack_of_its_own else [program]
    _, traces, made = recorded(command, tmp_path)
    signals = [function.name for function in made.functions if function.name == "__restore_rt"]
    assert signals == ["__restore_rt"]
    if stack_of_its_own:
        # A sample holds one stack; that the other is missing is what the trace says.
        assert stacks_with(made, "__restore_rt", "handler", "middle") > 100
        assert (traces.stop == Stop.NO_MEMORY).sum() > 100
    else:
        wanted = ("main", "interrupted", "__restore_rt", "handler", "middle", "innermost")
        assert stacks_with(made, *wanted) > 100
        assert (traces.stop <= Stop.CHAIN_END).mean() > 0.95
        assert (traces.how == How.SIGNAL).sum() > 100


def test_jit_code(tmp_path, needs):
    """Node's compiled JavaScript: by frame pointers, named by its /tmp/perf-PID.map."""
    script = tmp_path / "fib.js"
    script.write_text(
        "function fibonacci(n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }\n"
        "while (process.cpuUsage().user < 7e5) fibonacci(20);"
    )
    log = ["--no-logfile-per-isolate", f"--logfile={tmp_path}/v8.log"]
    node = [needs("node"), "--perf-basic-prof", *log, script]
    found, traces, made = recorded(node, tmp_path)
    pid = int(found.samples["pid"][0])
    Path(f"/tmp/perf-{pid}.map").unlink(missing_ok=True)
    named = [f.name for f in made.functions if "fibonacci" in f.name]
    assert named
    assert (traces.how == How.FRAME_POINTER).sum() > 500
    assert (traces.stop <= Stop.CHAIN_END).mean() > 0.9
    assert stacks_with(made, "main") + stacks_with(made, "node::Start(int, char**)") > 100


def test_a_live_process_whose_files_are_gone(tmp_path, needs):
    program = build(tmp_path, needs, "gone", SPIN + "int main(void) { middle(60); return 0; }")
    with subprocess.Popen([program]) as child:
        try:
            program.unlink()  # Popen returns when exec is done
            names: list[str] = []
            while "innermost" not in names:
                (thread,) = stack.of_process(child.pid)
                names = [f.module.function(f.lookup)[0] for f in thread.trace.frames if f.module]
        finally:
            child.kill()
    assert [n for n in names if n in ("innermost", "middle", "main")] == [
        "innermost",
        "middle",
        "main",
    ]
    assert thread.trace.complete


def test_exports_are_what_their_readers_want(tmp_path, needs):
    program = build(tmp_path, needs, "spin", SPIN + "int main(void) { middle(0.3); return 0; }")
    _, _, made = recorded([program], tmp_path)
    for ending in outputs.FORMATS:
        outputs.write(made, tmp_path / f"out{ending}")
    lines = (tmp_path / "out.collapsed").read_text().splitlines()
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == made.total
    assert any(";main;middle;innermost" in line for line in lines)
    scope = json.loads((tmp_path / "out.speedscope.json").read_text())
    (shown,) = scope["profiles"]
    assert shown["endValue"] == sum(shown["weights"])
    frames = len(scope["shared"]["frames"])
    assert all(0 <= index < frames for stack_ in shown["samples"] for index in stack_)
    page = (tmp_path / "out.html").read_text()
    assert "innermost" in page
    assert "http://" not in page and "https://" not in page
