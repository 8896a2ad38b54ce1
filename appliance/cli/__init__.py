"""The command line, and the only composition root: one command group a module.

Every command prints data on standard output and everything else on standard
error; ``--json`` where it prints data. Exit codes: 0 done, 1 a failure without
a better code, 2 wrong usage, others by the error's class (``sysexits.h``).
"""
