"""Progress of a script: a bar on stderr, skipped files with reasons, a summary."""

import sys
import time
from typing import Any, Callable, Iterable, List, Optional, Tuple

from tqdm import tqdm

from utils.errors import log_notes, printable

Call = Tuple[str, Tuple[Any, ...]]  # method of a Report, and its arguments


class Report:
    """Counts finished and skipped items, and shows a progress bar.

    Args:
        total: number of items, or None if unknown.
        unit: name of one item, e.g. ``"face"``.
        done: past participle for the summary, e.g. ``"reconstructed"``.
        quiet: hide the progress bar (it is always hidden where stderr is not a terminal).

    Attributes:
        done_count: number of finished items.
        skipped: (name, reason) of each skipped item.
        doubtful: names of items whose results are doubtful.
    """

    def __init__(self, total: Optional[int], unit: str, done: str, quiet: bool = False) -> None:
        self.done_count = 0
        self.skipped: List[Tuple[str, str]] = []
        self.doubtful: List[str] = []
        self._unit = unit
        self._done = done
        self._start = time.monotonic()
        self._bar = tqdm(
            total=total,
            unit=unit,
            disable=quiet or None,
            dynamic_ncols=True,
            file=sys.stderr,
            leave=False,
        )

    def step(self, count: int = 1) -> None:
        """Count finished items."""
        self.done_count += count
        self._bar.update(count)

    def skip(self, name: str, reason: object) -> None:
        """Count a skipped item and print the reason, without disturbing the bar."""
        self.skipped.append((name, str(reason)))
        with self._bar.external_write_mode(file=sys.stderr):
            sys.stderr.write("skipped: {}\n".format(printable(reason)))
        self._bar.update(1)

    def doubt(self, name: str) -> None:
        """Count an item whose result is doubtful and print its name."""
        self.doubtful.append(name)
        with self._bar.external_write_mode(file=sys.stderr):
            sys.stderr.write(
                "doubtful: {}: little of the face is seen surely; look at its picture\n".format(
                    printable(name)
                )
            )

    def message(self, text: str) -> None:
        """Print a line on stdout, without disturbing the bar."""
        with self._bar.external_write_mode(file=sys.stdout):
            sys.stdout.write("{}\n".format(printable(text)))

    def remark(self, sentence: str) -> None:
        """Write a note that needs no action to stderr, without disturbing the bar."""
        log_notes([sentence])

    def expect(self, count: int) -> None:
        """Add items that were unknown at the start to the total."""
        if count and self._bar.total is not None:
            self._bar.total += count
            self._bar.refresh()

    def note(self, text: str, share: Optional[float] = None) -> None:
        """Show the current activity behind the bar.

        Args:
            text: the activity.
            share: its finished share, 0..1, for reports that show it; None if unknown.
        """
        self._bar.set_postfix_str(text, refresh=True)

    def elapsed(self) -> float:
        """Return seconds since the start."""
        return time.monotonic() - self._start

    def close(self) -> None:
        """Remove the progress bar."""
        self._bar.close()

    def summary(self) -> str:
        """Return one line: numbers of finished and of skipped items, and the time taken."""
        seconds = self.elapsed()
        line = "{} {}{} {}".format(
            self.done_count, self._unit, "" if self.done_count == 1 else "s", self._done
        )
        if self.doubtful:
            line += ", {} of them doubtful".format(len(self.doubtful))
        if self.skipped:
            line += ", {} skipped".format(len(self.skipped))
        line += " in {:.1f} s".format(seconds)
        if self.done_count:
            line += " ({:.2f} s per {})".format(seconds / self.done_count, self._unit)
        return line

    def replay(self, calls: Iterable[Call]) -> None:
        """Repeat the calls of a :class:`RecordedReport`."""
        for method, arguments in calls:
            getattr(self, method)(*arguments)


class RecordedReport(Report):
    """Shows nothing, and keeps the calls for the report of another process.

    Args:
        watch: called at each call, to raise an error where the work is not wanted any more.

    Attributes:
        calls: the calls to repeat, for :meth:`Report.replay`.
    """

    def __init__(self, watch: Callable[[], Any]) -> None:
        super().__init__(None, "", "", quiet=True)
        self.calls: List[Call] = []
        self._watch = watch

    def step(self, count: int = 1) -> None:
        """Count finished items."""
        self.done_count += count
        self._keep("step", count)

    def skip(self, name: str, reason: object) -> None:
        """Count a skipped item."""
        self.skipped.append((name, str(reason)))
        self._keep("skip", name, str(reason))

    def doubt(self, name: str) -> None:
        """Count an item whose result is doubtful."""
        self.doubtful.append(name)
        self._keep("doubt", name)

    def message(self, text: str) -> None:
        """Keep a line for stdout."""
        self._keep("message", text)

    def remark(self, sentence: str) -> None:
        """Keep a note for stderr."""
        self._keep("remark", sentence)

    def expect(self, count: int) -> None:
        """Keep a number of items that were unknown at the start."""
        self._keep("expect", count)

    def note(self, text: str, share: Optional[float] = None) -> None:
        """Forget the current activity."""
        self._watch()

    def _keep(self, method: str, *arguments: Any) -> None:
        self._watch()
        self.calls.append((method, arguments))
