"""``ring3``, which is the same as ``python -m ring3``."""

import sys

from ring3.errors import exit_code


def main() -> None:
    """Run the command line.  ``ring3 stack PID`` alone goes without it: see :mod:`ring3.sframe.stack`."""
    words = sys.argv[1:]
    if len(words) == 2 and words[0] == "stack" and words[1].isdecimal():
        sys.exit(exit_code(lambda: _stack(int(words[1]))))
    from ring3.cli import run

    sys.exit(exit_code(run))


def _stack(pid: int) -> int:
    from ring3.sframe import stack

    print("\n".join(thread.text() for thread in stack.of_process(pid)))
    return 0


if __name__ == "__main__":
    main()
