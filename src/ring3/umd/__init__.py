"""A user-mode driver in Python: it owns its address space and every synchronisation, and draws a triangle."""
