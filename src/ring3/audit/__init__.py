"""Static analysis of kernel source as it is: paths from memory reclaim into allocations and locks.

``facts`` reads one file, ``store`` a tree (cached by content), ``program`` joins the files, ``flow``
interprets one function, ``reclaim`` walks from reclaim's roots, ``findings`` says what is believed.
"""
