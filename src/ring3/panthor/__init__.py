"""Panthor, the kernel-mode driver for Mali GPUs with a command-stream frontend."""
