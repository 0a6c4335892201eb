"""Heavy imports in a thread that leave the viewer running."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBRARIES = ("libtorch_cpu.so", "libtorch_cuda.so")


@contextmanager
def smooth_imports() -> Iterator[None]:
    """Import torch in here, in a thread, and the event loop goes on.

    Two things stop all threads in a large import, some 0.2 s each: linking torch's libraries, and
    the garbage collector, which looks through all of napari whenever enough is new.
    """
    _preload_torch()
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # Modules stay, so they count as old at once, without being looked through.
        gc.freeze()
        gc.unfreeze()
        if collecting:
            gc.enable()


def _preload_torch() -> None:
    """Link torch's libraries without the interpreter's lock, which ``import`` would hold."""
    if "torch" in sys.modules or not sys.platform.startswith("linux"):
        return
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return
    load = ctypes.CDLL(None).dlopen
    load.argtypes, load.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
    for name in LIBRARIES:
        library = Path(spec.origin).parent / "lib" / name
        if library.exists():
            # One that fails here fails in the import, which says why.
            load(os.fsencode(library), os.RTLD_NOW)
