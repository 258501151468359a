"""A window that shows pictures while a clip is being read or written."""

import importlib
import time
from typing import Any, Optional

import numpy as np
from PIL import Image

from utils.errors import first_line, log_notes

_LARGEST = (1280, 720)  # pixels of a picture in the window; larger ones are shrunk
_INTERVAL = 0.05  # seconds; pictures that come sooner are left out


class PreviewWindow:
    """A window, opened by Tk.

    Args:
        root: ``tkinter.Tk``.
        title: of the window.

    Attributes:
        is_open: False once the user has closed it.
    """

    def __init__(self, root: Any, title: str) -> None:
        self.is_open = True
        self._root = root
        self._shown = 0.0
        self._picture: Any = None  # Tk keeps no reference to it
        root.title(title)
        root.resizable(False, False)
        root.protocol("WM_DELETE_WINDOW", self.close)
        for key in ("<Escape>", "q"):
            root.bind(key, lambda event: self.close())
        self._label = importlib.import_module("tkinter").Label(root, borderwidth=0)
        self._label.pack()

    def show(self, picture: np.ndarray) -> None:
        """Show a picture, [H, W, 3] uint8 RGB."""
        if not self.is_open or time.monotonic() - self._shown < _INTERVAL:
            return
        image = Image.fromarray(picture)
        image.thumbnail(_LARGEST)
        self._picture = importlib.import_module("PIL.ImageTk").PhotoImage(image, master=self._root)
        self._label.configure(image=self._picture)
        self._root.update()
        self._shown = time.monotonic()

    def close(self) -> None:
        """Close the window, unless the user has done so."""
        if self.is_open:
            self.is_open = False
            self._picture = None
            self._root.destroy()


def open_preview(title: str) -> Optional[PreviewWindow]:
    """Open a window; return None, with a note, where none can be opened.

    Args:
        title: of the window.
    """
    try:
        tkinter = importlib.import_module("tkinter")
    except ImportError:
        log_notes(["--preview: Python has no Tk here (Debian: apt install python3-tk); no window"])
        return None
    try:
        return PreviewWindow(tkinter.Tk(), title)
    except tkinter.TclError as error:
        log_notes(["--preview: no window can be opened here ({})".format(first_line(error))])
        return None
