"""Memory that was freed, back to the system."""

import ctypes


def give_back_freed_memory():
    """Let the system have what this process has freed, as far as its C library can (glibc).

    glibc keeps freed blocks in one heap for every few threads, so that large arrays made by this thread now and by
    another then leave each heap as large as it ever was. Takes some milliseconds.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(ctypes.c_size_t(0))
