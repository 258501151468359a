"""The prose of the code: American spelling, and plain sentences in docstrings.

``python -m tests.house.test_prose`` prints the counts, and the places that they come from.
"""

import ast
import functools
import io
import os
import re
import tokenize

import pytest

from utils.paths import REPO_ROOT

_APART = ("tests", "result", "output", "processed_data")  # not code of the project
_OTHER_SOURCES = (".cc", ".cu", ".h", ".js")

# Beginnings of words that are spelled differently in American English.
_BRITISH = re.compile(
    r"colour|centre|grey|neighbour|behaviour|favour|honour|artefact|programme\b|licence|whilst"
    r"|metres?(?![a-z])|(?:fib|lit|theat)re(?![a-z])|(?:ana|para|cata)lys(?:e|ing)"
    r"|(?:label|model|travel|cancel|signal|channel)l(?:ed|ing)"
    r"|(?:normal|initial|raster|optim|regular|minim|maxim|recogn|organ|summar|visual|parametr"
    r"|quant|serial|token|penal|general|special|stabil|local|discret|standard|equal|digit|util"
    r"|categor|character|real|capital|random|vector|parallel|synchron|final|memor|harmon|symmetr"
    r"|linear|polar|triangular|synthes|emphas|hypothes|author|custom)is(?:e|ing|ation|er)",
    re.IGNORECASE,
)
# Strings of file formats and of other programs, which are not ours to spell.
_FOREIGN_STRINGS = frozenset()
_FOREIGN_NAMES = frozenset({"CancelledError"})  # of asyncio

# Phrase -> largest number of its occurrences in 1,000 words of docstrings.
PHRASES = {
    "what": (re.compile(r"\bwhat\b", re.IGNORECASE), 0.5),
    "tell, say": (re.compile(r"\b(?:tell|say)(?:s|ing)?\b", re.IGNORECASE), 0.3),
    "there is, there are": (re.compile(r"\bthere (?:is|are)\b", re.IGNORECASE), 0.5),
    "as of": (re.compile(r"\bas of\b", re.IGNORECASE), 0.05),
}


def _paths(extensions):
    """Return the source files outside of the tests, from the root."""
    found = []
    for folder, folders, names in os.walk(REPO_ROOT):
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith((".", "__")) and (folder != REPO_ROOT or name not in _APART)
        ]
        found += [
            os.path.relpath(os.path.join(folder, name), REPO_ROOT)
            for name in sorted(names)
            if name.endswith(extensions)
        ]
    return found


def _read(path):
    with open(os.path.join(REPO_ROOT, path), encoding="utf-8") as file:
        return file.read()


def british_words(path):
    """Return (line, word) of each British spelling in the names, comments and strings of a file."""
    text = _read(path)
    if not path.endswith(".py"):
        pieces = list(enumerate(text.splitlines(), 1))
    else:
        pieces = [
            (token.start[0], token.string)
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type in (tokenize.NAME, tokenize.COMMENT, tokenize.STRING)
            and token.string.strip("rbf\"'") not in _FOREIGN_STRINGS
            and token.string not in _FOREIGN_NAMES
        ]
    return [
        (line + piece[: match.start()].count("\n"), match.group())
        for line, piece in pieces
        for match in _BRITISH.finditer(piece)
    ]


@functools.lru_cache(maxsize=None)
def docstrings():
    """Return (path, line, text) of all docstrings outside of the tests."""
    found = []
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in _paths((".py",)):
        for node in ast.walk(ast.parse(_read(path))):
            text = ast.get_docstring(node) if isinstance(node, kinds) else None
            if text:
                found.append((path, getattr(node, "lineno", 1), text))
    return found


def count(phrase):
    """Return (occurrences in 1,000 words of docstrings, their places)."""
    pattern = PHRASES[phrase][0]
    places = [
        "{}:{}".format(path, line)
        for path, line, text in docstrings()
        for _ in pattern.finditer(text)
    ]
    words = sum(len(re.findall(r"[A-Za-z]+", text)) for _, _, text in docstrings())
    return 1000.0 * len(places) / words, places


def test_the_spelling_is_american():
    found = [
        "{}:{}: {}".format(path, line, word)
        for path in _paths((".py",) + _OTHER_SOURCES)
        for line, word in british_words(path)
    ]
    assert found == []


@pytest.mark.parametrize("phrase", sorted(PHRASES))
def test_docstrings_are_plain(phrase):
    frequency, places = count(phrase)
    assert frequency <= PHRASES[phrase][1], places


@pytest.mark.parametrize(
    "text, word",
    [
        ("the colours", "colour"),
        ("_normalised_mean", "normalise"),
        ("decimetres", "metres"),
        ("parameters are synthesized", None),
        ("a realistic precise synthesis of geometry", None),
    ],
)
def test_british_words_are_recognized(text, word):
    match = _BRITISH.search(text)
    assert (match and match.group()) == word


if __name__ == "__main__":
    for name in sorted(PHRASES):
        measured, where = count(name)
        print(
            "{:20} {:5.2f} of 1,000 words, at most {:.2f}: {}".format(
                name, measured, PHRASES[name][1], " ".join(where)
            )
        )
    for source in _paths((".py",) + _OTHER_SOURCES):
        for number, spelled in british_words(source):
            print("{}:{}: {}".format(source, number, spelled))
