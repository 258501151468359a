"""The window of --preview, where one can be opened, and the note where none can."""

import shutil
import subprocess
import sys

import pytest

from utils.paths import REPO_ROOT
from video.preview import open_preview

SHOW = """
import time
import numpy as np
from video.preview import open_preview
window = open_preview("test")
picture = np.zeros((900, 1600, 3), np.uint8)
picture[:, :, 0] = 200
window.show(picture)
root = window._root
print(window.is_open, root.title(), root.winfo_width(), root.winfo_height())
root.after(1, window.close)
time.sleep(0.1)
window.show(picture)
print(window.is_open)
window.show(picture)
window.close()
"""


def test_without_a_display_a_note_says_so(monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert open_preview("test") is None
    assert capsys.readouterr().err.startswith("note: --preview: ")


def test_without_tk_a_note_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tkinter", None)
    assert open_preview("test") is None
    assert "apt install python3-tk" in capsys.readouterr().err


def test_a_window_shows_shrunk_pictures_until_it_is_closed():
    pytest.importorskip("tkinter")
    if not shutil.which("xvfb-run"):
        pytest.skip("xvfb-run is not here")
    said = subprocess.check_output(
        ["xvfb-run", "-a", sys.executable, "-c", SHOW], cwd=REPO_ROOT, universal_newlines=True
    )
    assert said.splitlines() == ["True test 1280 720", "False"]
