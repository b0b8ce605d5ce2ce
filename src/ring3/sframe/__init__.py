"""SFrame: the simple stack-trace format, and everything that can be turned into it.

:mod:`table` is the one form in memory.  :mod:`cfi` and :mod:`orc` fill it from .eh_frame, .debug_frame
and the kernel's ORC; :mod:`decode` and :mod:`encode` are SFrame's own bytes.
"""
