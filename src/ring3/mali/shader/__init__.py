"""The shader core: Valhall programs executed by all threads at once."""
