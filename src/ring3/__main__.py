"""``python -m ring3`` is the same as ``ring3``."""

from ring3.cli import main

main()
