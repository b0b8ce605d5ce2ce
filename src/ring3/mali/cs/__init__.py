"""Command streams: the instruction table and the queues that execute it."""
