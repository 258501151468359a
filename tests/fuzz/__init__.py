"""A seeded fuzzer: damaged files of every kind, read by the real commands in disposable processes.

    python -m tests.fuzz --cases 5000            # `make fuzz`
    python -m tests.fuzz --seed 7 --case 1234    # one case again; its files are kept, its output is shown

A case is a function of seed and number: a kind of file (``kinds``), what is done to it
(``damage``, ``forgeries``, ``places``) and a command whose arguments name it among whole files. The command's
``main`` runs in a forked child (``sandbox``) of a process that has imported everything and started
nothing (``runner``), and ``verdict`` judges what it left behind.
"""
