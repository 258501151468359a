"""Faults from outside: commands killed at random, full disks, forbidden folders, two writers.

    python -m tests.faults --count 50    # `make faults`
    python -m tests.faults --count 3 --only demo

The commands are killed (``disturbances``) as processes of their own (``processes``); afterwards
their folders must hold the files of an undisturbed run (``commands``).
"""
