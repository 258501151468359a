"""Faults of files with whole content: names, types, permissions."""

import os
import socket

# Legal file names that must not break a line or a terminal when they are printed.
NAMES = {
    "a name with spaces": "a  b ",
    "a name with quotes": 'it\'s "so" `x` $(id)',
    "a name with tags": "<b>&amp;<script>",
    "a name beyond ASCII": "\u00fcn\u00ef\u6f22\U0001f600",
    "a name with a newline": "two\nlines",
    "a name with a tab": "tab\there",
    "a name with terminal codes": "\x1b[31mred\x07",
    "a name that is not UTF-8": "latin-\udce9\udcff",
    "a name like a flag": "--output",
    "a name with braces": "{0}{x}%s%n",
    "a long name": "n" * 200,
    "a name with a comma": "a,b;c",
    "a name with dots": "..a..",
}


def _folder(path, outside):
    os.remove(path)
    os.mkdir(path)


def _dangling(path, outside):
    os.remove(path)
    os.symlink(os.path.join(outside, "nothing"), path)


def _loop(path, outside):
    os.remove(path)
    os.symlink(os.path.basename(path), path)


def _link_out(path, outside):
    """A link to the whole file, which lies outside of the folder."""
    target = os.path.join(outside, "target" + os.path.splitext(path)[1])
    os.rename(path, target)
    os.symlink(target, path)


def _device(path, outside):
    os.remove(path)
    os.symlink("/dev/zero", path)


def _pipe(path, outside):
    os.remove(path)
    os.mkfifo(path)


def _socket(path, outside):
    os.remove(path)
    short = os.path.join(outside, "s")  # addresses are at most 107 bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(short)
    os.rename(short, path)


def _unreadable(path, outside):
    os.chmod(path, 0)


def _missing(path, outside):
    os.remove(path)


def _sparse(path, outside):
    """As the file, then a hole of eight gigabytes."""
    os.truncate(path, os.path.getsize(path) + (8 << 30))


def _closed_folder(path, outside):
    os.chmod(os.path.dirname(path), 0)


def _linked_folder(path, outside):
    """A link in the place of its folder, which lies outside: who writes into it writes there."""
    folder, target = os.path.dirname(path), os.path.join(outside, "target")
    os.rename(folder, target)
    os.symlink(target, folder)


def _linked_bystander(path, outside):
    """A link to a file that has nothing to do with it."""
    os.remove(path)
    os.symlink(os.path.join(outside, "bystander"), path)


# For files whose folder is made by the command that writes into it.
FOLDERS = {"a link in the place of its folder": _linked_folder}

PLACES = {
    "a folder in its place": _folder,
    "a dangling link in its place": _dangling,
    "a link to itself": _loop,
    "a link out of the folder": _link_out,
    "a link to another file": _linked_bystander,
    "a folder not to be read": _closed_folder,
    "an endless device": _device,
    "a pipe": _pipe,
    "a socket": _socket,
    "not to be read": _unreadable,
    "missing": _missing,
    "eight gigabytes of zeros appended": _sparse,
}
