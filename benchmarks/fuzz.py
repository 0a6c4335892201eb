"""Read files that were damaged at random: each gives an image or one sentence, soon and in bounds.

    python benchmarks/fuzz.py FILE_OR_FOLDER… [--count 2000] [--seed 0]

Small files (up to 300 kB) that can be read are taken as they are, damaged (bits turned, bytes
overwritten, cut short, parts repeated, mostly in the first kilobytes, where headers are), and read
with all their values in a process of its own. Prints how often each outcome came, and what went
wrong: an error that is no sentence of ours, a crash, more than 10 seconds, more than 2 GB.
POSIX only.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

LARGEST = 300_000
SECONDS = 10
MEMORY = 2 << 30
HEADER = 4096
READ, REFUSED, RAISED = 0, 3, 4
OUTCOMES = {READ: "read", REFUSED: "refused in a sentence", RAISED: "another error"}


def read_whole(path: Path) -> None:
    from napari_medai.io.images import read_image

    for image in read_image(path):
        np.asarray(image.levels[0])


def outcome(path: Path) -> str:
    """What reading a file comes to, in a child process within its limits."""
    child = os.fork()
    if child == 0:
        os._exit(attempt(path))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "too long" if number == signal.SIGALRM else f"crash ({signal.Signals(number).name})"
    return OUTCOMES[os.WEXITSTATUS(status)]


def attempt(path: Path) -> int:
    from napari_medai.core.errors import InputError

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read_whole(path)
        except InputError:
            return REFUSED
        except BaseException as error:
            print(f"{path.name}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
            return RAISED
    return READ


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The bytes of a file with one to eight faults."""
    found = bytearray(content)
    for _ in range(rng.integers(1, 9)):
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


def good_files(given: list[Path]) -> list[Path]:
    from napari_medai.io.images import _is_image

    every = [p for one in given for p in ([one] if one.is_file() else sorted(one.rglob("*")))]
    small = [p for p in every if p.is_file() and p.stat().st_size <= LARGEST and _is_image(p)]
    return [path for path in small if outcome(path) == OUTCOMES[READ]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = good_files(options.files)
    if not files:
        sys.exit("no small file that can be read was given")
    print(f"{len(files)} files, {options.count} damaged copies")
    found: Counter[str] = Counter()
    try:
        fuzz(files, found, count=options.count, seed=options.seed)
    except KeyboardInterrupt:
        print("stopped")
    for what, count in found.most_common():
        print(f"| {what} | {count} |")


def fuzz(files: list[Path], found: Counter[str], *, count: int, seed: int) -> None:
    """Read damaged copies of the files and count what it comes to."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(count):
            source = files[int(rng.integers(len(files)))]
            path = Path(scratch) / source.name
            path.write_bytes(damaged(source.read_bytes(), rng))
            what = outcome(path)
            found[what] += 1
            if what not in (OUTCOMES[READ], OUTCOMES[REFUSED]):
                kept = Path(tempfile.gettempdir()) / f"fuzz-{seed}-{number}-{source.name}"
                shutil.copy(path, kept)
                print(f"{what}: {kept}", flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
