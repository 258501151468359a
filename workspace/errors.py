"""Errors that a user can mend, told in one sentence and without a traceback."""

import sys


class InputError(Exception):
    """Bad or missing input. The message is one sentence naming the file and the remedy."""


def run_main(main, argv=None):
    """Run a script's ``main(argv)`` and exit with its status.

    An :class:`InputError` becomes one line on stderr and exit status 1; Ctrl-C exits with 130.

    Args:
        main: callable taking the argument list (None means ``sys.argv[1:]``), returning an exit
            status or None for success.
        argv: passed on to ``main``.
    """
    try:
        status = main(argv)
    except InputError as error:
        sys.stderr.write("error: {}\n".format(error))
        status = 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        status = 130
    sys.exit(status or 0)
