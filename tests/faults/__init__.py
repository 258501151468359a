"""Faults from outside: commands killed at random moments, full disks, forbidden folders, two writers.

    python -m tests.faults --count 50            # `make faults`
    python -m tests.faults --count 3 --only demo
"""
