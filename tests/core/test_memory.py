from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest

from napari_medai.core import memory
from napari_medai.core.memory import give_back


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory")
def test_memory_between_what_is_in_use_goes_back() -> None:
    kept = [np.ones(100_000, np.uint8) for _ in range(2000)]
    del kept[::2]
    before = _resident()
    give_back()
    assert before - _resident() > 50e6
    assert len(kept) == 1000


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: None)
    give_back()
