"""The command: ``python -m tests.fuzz``."""

import argparse
import collections
import os
import shutil
import sys
import tempfile
import time
from typing import List, Optional

from tests.fuzz.cases import WHOLE, make_case
from tests.fuzz.runner import ENVIRONMENT, Runner
from tests.fuzz.verdict import REFUSED, RESULT


def parse_arguments(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--cases",
        type=int,
        default=5000,
        help="how many, besides {} in which nothing is damaged, which must end in a result".format(
            len(WHOLE)
        ),
    )
    parser.add_argument("--seed", type=int, default=1, help="of all damages")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument(
        "--case", type=int, action="append", help="run this case, show and keep it; repeatable"
    )
    parser.add_argument("--kind", help="only cases of this kind of file")
    parser.add_argument(
        "--at_once", type=int, default=os.cpu_count(), help="cases run beside each other"
    )
    parser.add_argument(
        "--folder", help="where the files go; kept; by default a temporary folder, removed"
    )
    parser.add_argument("--verbose", action="store_true", help="a line for each case")
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> int:
    """Run the cases; the exit status is 1 if any ended as it may not."""
    arguments = parse_arguments(argv)
    folder = arguments.folder or tempfile.mkdtemp(prefix="fuzz-")
    if arguments.folder:
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    start = time.monotonic()
    runner = Runner(folder, arguments.seed)
    numbers = arguments.case or list(range(-len(WHOLE), 0)) + list(
        range(arguments.first, arguments.first + arguments.cases)
    )
    if arguments.kind:
        numbers = [
            number for number in numbers if make_case(arguments.seed, number).kind == arguments.kind
        ]
    faulty, counts, ends = [], collections.Counter(), []
    for end in runner.run(
        numbers, arguments.at_once, keep=lambda end: _is_fault(end) or bool(arguments.case)
    ):
        counts[end.verdict] += 1
        ends.append(end)
        if _is_fault(end):
            faulty.append(end)
        if _is_fault(end) or arguments.verbose or arguments.case:
            print(_line(end), flush=True)
        if arguments.case:
            _show(runner.root(end.number))
    print(_summary(counts, ends, time.monotonic() - start, arguments.seed))
    if arguments.verbose:
        print(_by_kind(ends))
    if not (faulty or arguments.folder or arguments.case):
        shutil.rmtree(folder)
    elif faulty:
        print(
            "files in {}; once more: python -m tests.fuzz --seed {} --case {}".format(
                folder, arguments.seed, faulty[0].number
            )
        )
    return 1 if faulty else 0


def _is_fault(end):
    return end.verdict not in (RESULT, REFUSED)


def _line(end):
    return "case {}: {}, {}: {}: {}".format(
        end.number, end.case.kind, end.case.damage, end.verdict, end.detail
    )


def _show(root):
    for name in ("stdout", "stderr", "acts"):
        path = os.path.join(root, name)
        if os.path.exists(path):
            with open(path, errors="backslashreplace") as file:
                print("--- {}\n{}".format(path, file.read()))


def _by_kind(ends):
    """Return a line for each kind of file, the slowest first."""
    kinds = collections.defaultdict(list)
    for end in ends:
        kinds[end.case.kind + (", own process" if end.case.whole else "")].append(end)
    return "\n".join(
        "{:40} {:4} cases, {:3} refused, {:.2f} s of processor time each".format(
            kind,
            len(found),
            sum(end.verdict == REFUSED for end in found),
            sum(end.work for end in found) / len(found),
        )
        for kind, found in sorted(
            kinds.items(), key=lambda item: -sum(end.work for end in item[1]) / len(item[1])
        )
    )


def _summary(counts, ends, seconds, seed):
    work = sum(end.work for end in ends) + time.process_time()
    lines = [
        "{} cases in {:.0f} s ({:.0f} s of processor time), seed {}: ".format(
            len(ends), seconds, work, seed
        )
        + ", ".join(
            "{} {}".format(counts[name], name)
            for name in sorted(counts, key=lambda name: (name not in (RESULT, REFUSED), name))
        )
    ]
    if ends:
        longest, largest = (
            max(ends, key=lambda end: end.seconds),
            max(ends, key=lambda end: end.memory),
        )
        lines.append(
            "longest: case {}, {:.1f} s; largest: case {}, {:.2f} GiB".format(
                longest.number, longest.seconds, largest.number, largest.memory
            )
        )
    return "\n".join(lines)


if __name__ == "__main__":
    if not ENVIRONMENT.items() <= os.environ.items():
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.fuzz"] + sys.argv[1:],
            dict(os.environ, **ENVIRONMENT),
        )
    sys.exit(main())
