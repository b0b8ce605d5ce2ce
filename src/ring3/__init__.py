"""Linux machinery in user space, where it can be run, measured and broken."""

__version__ = "0.1.0"
