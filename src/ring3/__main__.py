"""``ring3``, which is the same as ``python -m ring3``."""

import sys

from ring3.errors import exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ring3.sframe.stack import ThreadStack


def main() -> None:
    """Run the command line.  ``ring3 stack PID`` alone goes without it: see :mod:`ring3.sframe.stack`."""
    words = sys.argv[1:]
    if len(words) == 2 and words[0] == "stack":
        from ring3.sframe import stack

        pid = stack.pid_of(words[1])
        if pid is not None:
            sys.exit(exit_code(lambda: _print(stack.of_process(pid))))
    from ring3.cli import run

    sys.exit(exit_code(run))


def _print(threads: "list[ThreadStack]") -> int:
    print("\n".join(thread.text() for thread in threads))
    return 0


if __name__ == "__main__":
    main()
