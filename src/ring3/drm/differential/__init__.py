"""This kernel against a real one: random programs of fence calls, executed by both and compared.

program = random_program(seed)          # readable text: str(program)
answers = run(complete(program))        # here
disagreements(programs, elsewhere)      # elsewhere: User-mode Linux, or a gateway
"""

from ring3.drm.differential.compare import (
    Disagreement,
    complete,
    disagreement,
    disagreements,
    shrink,
)
from ring3.drm.differential.generate import random_program
from ring3.drm.differential.machine import run
from ring3.drm.differential.program import Program

__all__ = [
    "Disagreement",
    "Program",
    "complete",
    "disagreement",
    "disagreements",
    "random_program",
    "run",
    "shrink",
]
