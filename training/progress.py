"""The progress line of a running training, and the request to stop it."""

import contextlib
import signal
import sys
import threading
from typing import Any, Callable, Dict, Optional

from tqdm import tqdm

from utils.errors import printable


class Progress:
    """A progress line on stderr with rate and time left; notices are written above it.

    Args:
        first_step: steps done before the run.
        last_step: steps to be done in all.
        quiet: hide the progress line, but not the notices.
    """

    def __init__(self, first_step: int, last_step: int, quiet: bool = False) -> None:
        self._bar = tqdm(
            total=last_step,
            initial=first_step,
            unit="step",
            disable=quiet,
            dynamic_ncols=True,
            file=sys.stderr,
            leave=False,
        )

    def step(self, loss: float) -> None:
        """Count a step and show its loss."""
        self._bar.set_postfix_str("loss {:.4g}".format(loss), refresh=False)
        self._bar.update(1)

    def notice(self, text: str) -> None:
        """Write a line of text."""
        with self._bar.external_write_mode(file=sys.stderr):
            sys.stderr.write(printable(text) + "\n")

    def close(self) -> None:
        """Remove the progress line."""
        self._bar.close()


class StopRequest:
    """Notes Ctrl-C and SIGTERM while active, instead of being interrupted by them.

    Only the first signal is noted; the second has its usual effect. An ignored signal, such as
    Ctrl-C in the background of a shell, remains ignored.

    Attributes:
        signal: number of the noted signal, or None.

    Args:
        on_signal: called with a sentence when a signal is noted.
    """

    def __init__(self, on_signal: Callable[[str], Any]) -> None:
        self.signal: Optional[int] = None
        self._on_signal = on_signal
        self._previous: Dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():  # others may not set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: Any) -> None:
        self._restore()

    def _note(self, number: int, _: Any) -> None:
        self.signal = number
        self._restore()
        name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        with contextlib.suppress(RuntimeError):  # the signal may have interrupted another write
            self._on_signal(
                "{}: finishing this step and saving; once more stops at once".format(name)
            )

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
