"""One way of reporting: a progress bar on stderr, skipped files with reasons, a true last line."""

import sys
import time

from tqdm import tqdm

from utils.errors import printable


class Report:
    """Counts what was done and what was not, and says so.

    Args:
        total: how many things are to be done, or None if unknown.
        unit: what one of them is called, e.g. ``"face"``.
        done: past participle for the summary, e.g. ``"reconstructed"``.
        quiet: no progress bar (there is none either where stderr is not a terminal).
    """

    def __init__(self, total, unit, done, quiet=False):
        self.done_count = 0
        self.skipped = []  # (name, reason)
        self._unit, self._done = unit, done
        self._start = time.monotonic()
        self._bar = tqdm(total=total, unit=unit, disable=quiet or None, dynamic_ncols=True, file=sys.stderr,
                         leave=False)

    def step(self, count=1):
        """Count finished things."""
        self.done_count += count
        self._bar.update(count)

    def skip(self, name, reason):
        """Count a thing that could not be done and say why, without disturbing the bar."""
        self.skipped.append((name, str(reason)))
        with self._bar.external_write_mode(file=sys.stderr):
            sys.stderr.write("skipped: {}\n".format(printable(reason)))
        self._bar.update(1)

    def expect(self, count):
        """Add things to be done that were not known of at the start."""
        if count and self._bar.total is not None:
            self._bar.total += count
            self._bar.refresh()

    def note(self, text):
        """Show what is happening behind the bar."""
        self._bar.set_postfix_str(text, refresh=True)

    def elapsed(self):
        """Return seconds since the start."""
        return time.monotonic() - self._start

    def close(self):
        """Remove the progress bar."""
        self._bar.close()

    def summary(self):
        """Return the last line: what was done, what was skipped, how long it took."""
        seconds = self.elapsed()
        line = "{} {}{} {}".format(self.done_count, self._unit, "" if self.done_count == 1 else "s", self._done)
        if self.skipped:
            line += ", {} skipped".format(len(self.skipped))
        line += " in {:.1f} s".format(seconds)
        if self.done_count:
            line += " ({:.2f} s per {})".format(seconds / self.done_count, self._unit)
        return line
