"""What a running training says, and how it is asked to stop."""

import contextlib
import signal
import sys
import threading

from tqdm import tqdm

from utils.errors import printable


class Progress:
    """A progress line on stderr with rate and time left; notices go above it.

    Args:
        first_step, last_step: where the run begins and is to end.
        quiet: no progress line; notices are still written.
    """

    def __init__(self, first_step, last_step, quiet=False):
        self._bar = tqdm(total=last_step, initial=first_step, unit="step", disable=quiet, dynamic_ncols=True,
                         file=sys.stderr, leave=False)

    def step(self, loss):
        """Count a step and show its loss."""
        self._bar.set_postfix_str("loss {:.4g}".format(loss), refresh=False)
        self._bar.update(1)

    def notice(self, text):
        """Write a line of its own."""
        with self._bar.external_write_mode(file=sys.stderr):
            sys.stderr.write(printable(text) + "\n")

    def close(self):
        """Remove the progress line."""
        self._bar.close()


class StopRequest:
    """Notes Ctrl-C and SIGTERM while active, instead of being interrupted by them.

    The second signal acts as it would have without this.

    Attributes:
        signal: number of the signal that came, or None.

    Args:
        on_signal: called with a sentence when the first one comes.
    """

    def __init__(self, on_signal):
        self.signal = None
        self._on_signal = on_signal
        self._previous = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():  # the only one that may set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        self._restore()

    def _note(self, number, _):
        self.signal = number
        self._restore()
        with contextlib.suppress(RuntimeError):  # the signal came while something was being written
            self._on_signal("{}: finishing this step and saving; once more stops at once".format(
                "Ctrl-C" if number == signal.SIGINT else "SIGTERM"))

    def _restore(self):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
