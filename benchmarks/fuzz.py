"""Read files that were damaged at random: each gives an image or one sentence, soon and in bounds.

    python benchmarks/fuzz.py FILE_OR_FOLDER… [--count 2000] [--seed 0]

Small files (up to 300 kB) that can be read are taken as they are, damaged (bits turned, bytes
overwritten, cut short, parts repeated, mostly in the first kilobytes, where headers are), and read
with all their values by another process, which is replaced when it dies or takes too long. Prints
how often each outcome came, and what went wrong: an error that is no sentence of ours, a crash,
more than 10 seconds of computing (or 2 minutes in all), more than 2 GB. Linux only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

LARGEST = 300_000
SECONDS = 10
PATIENCE = 120
MEMORY = 2 << 30
HEADER = 4096
RENEWED_AFTER = 200
READ, REFUSED, LATE = "read", "refused in a sentence", "too long"
PROGRESS = 100


class Reader:
    """Reads files in a process of its own, one after the other."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("fork")
        self._start()

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=read_many, args=(theirs, self._pipe), daemon=True
        )
        self._process.start()
        theirs.close()
        self._done = 0

    def outcome(self, path: Path) -> str:
        """What reading a file comes to."""
        if self._done == RENEWED_AFTER:
            self.stop()
            self._start()
        self._done += 1
        self._pipe.send(path)
        found = LATE
        if self._answers():
            with suppress(EOFError, ConnectionResetError):
                return str(self._pipe.recv())
            self._process.join()
            number = -(self._process.exitcode or 0)
            found = f"crash ({signal.Signals(number).name if number > 0 else -number})"
        self.stop()
        self._start()
        return found

    def _answers(self) -> bool:
        """Whether it answers within the seconds, those of the machine's other work not counted."""
        began, used = time.monotonic(), self._seconds_used()
        while not self._pipe.poll(0.5):
            waited = time.monotonic() - began > PATIENCE
            if waited or self._seconds_used() - used > SECONDS:
                return False
        return True

    def _seconds_used(self) -> float:
        with suppress(OSError, IndexError):
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def read_many(pipe: Connection, other: Connection) -> None:
    """Answer each path that comes with what became of it; end when nobody asks any more."""
    other.close()
    warnings.simplefilter("ignore")
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        found = attempt(path)
        if resident("VmHWM") - before > MEMORY:
            found = "more than 2 GB"
        pipe.send(found)


def resident(kind: str) -> int:
    """Memory of this process in bytes: ``VmRSS`` now, ``VmHWM`` at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(kind)).split()[1])


def attempt(path: Path) -> str:
    from napari_medai.core.errors import InputError
    from napari_medai.io.images import read_image

    try:
        for image in read_image(path):
            np.asarray(image.levels[0])
    except InputError as error:
        return "more than 2 GB" if lacked_memory(error) else REFUSED
    except BaseException as error:
        return f"another error: {type(error).__name__}: {str(error)[:200]}"
    return READ


def lacked_memory(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, is that the limit was met."""
    while error is not None:
        if isinstance(error, MemoryError) or "bad_alloc" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The bytes of a file with one fault, or a few."""
    found = bytearray(content)
    for _ in range(min(int(rng.geometric(0.5)), 8)):
        near = min(len(found), HEADER if rng.random() < 0.8 else len(found))
        if near < 2:
            break
        at = int(rng.integers(near))
        kind = rng.integers(4)
        if kind == 0:
            found[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            size = int(rng.integers(1, 9))
            found[at : at + size] = rng.bytes(size)
        elif kind == 2 and rng.random() < 0.3:
            del found[int(rng.integers(len(found))) :]
        else:
            size = int(rng.integers(1, 65))
            found[at:at] = found[at : at + size]
    return bytes(found)


def good_files(given: list[Path], reader: Reader) -> list[Path]:
    from napari_medai.io.images import _is_image

    every = [p for one in given for p in ([one] if one.is_file() else sorted(one.rglob("*")))]
    small = [p for p in every if p.is_file() and p.stat().st_size <= LARGEST and _is_image(p)]
    return [path for path in small if reader.outcome(path) == READ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    preload()
    reader = Reader()
    files = good_files(options.files, reader)
    if not files:
        sys.exit("no small file that can be read was given")
    print(f"{len(files)} files, {options.count} damaged copies", flush=True)
    found: Counter[str] = Counter()
    began = time.monotonic()
    try:
        fuzz(files, found, reader, count=options.count, seed=options.seed)
    except KeyboardInterrupt:
        print("stopped")
    print(f"\n{found.total()} in {time.monotonic() - began:.0f} s\n")
    for what, count in found.most_common():
        print(f"| {what} | {count} |")
    reader.stop()


def preload() -> None:
    """What readers import, so that processes begin with it."""
    for name in (
        *("nibabel", "SimpleITK", "pydicom.pixels", "dask.array", "tifffile", "imagecodecs"),
        *(f"napari_medai.io.{own}" for own in ("dicom.reader", "images", "itk", "nifti")),
    ):
        __import__(name)


def fuzz(files: list[Path], found: Counter[str], reader: Reader, *, count: int, seed: int) -> None:
    """Read damaged copies of the files and count what it comes to."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(count):
            source = files[int(rng.integers(len(files)))]
            path = Path(scratch) / source.name
            path.write_bytes(damaged(source.read_bytes(), rng))
            what = reader.outcome(path)
            found[what.split(":")[0]] += 1
            if what not in (READ, REFUSED):
                kept = Path(tempfile.gettempdir()) / f"fuzz-{seed}-{number}-{source.name}"
                shutil.copy(path, kept)
                print(f"{what}: {kept}", flush=True)
            elif number % PROGRESS == 0:
                print(f"{number}: {dict(found)}", flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
