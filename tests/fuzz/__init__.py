"""A seeded fuzzer: damaged files of every kind, read by the real commands in disposable processes.

    python -m tests.fuzz --cases 5000            # `make fuzz`
    python -m tests.fuzz --seed 7 --case 1234    # repeat one case, show its output, keep its files

A case is a function of seed and number: a kind of file (``kinds``), a damage (``damage``,
``forgeries``, ``places``) and a command whose arguments name the file among whole ones. The
command's ``main`` runs in a forked child (``sandbox``) of a process that has imported everything
and started nothing (``runner``), and ``verdict`` judges its output and its files.
"""
