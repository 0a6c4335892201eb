"""``napari-medai deidentify``: copies of DICOM files that do not say whose they are."""

from __future__ import annotations

import argparse
from collections import Counter
from contextlib import closing
from pathlib import Path

from napari_medai.commands.messages import told
from napari_medai.core.errors import InputError
from napari_medai.core.progress import ProgressLine
from napari_medai.core.steps import Steps
from napari_medai.io.atomic import check_writable
from napari_medai.io.dicom.deidentify import Outcome, deidentify_steps
from napari_medai.io.dicom.files import Found, find_all
from napari_medai.io.dicom.pseudonyms import Pseudonyms, SecretFile, run_secret


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="IN", help="DICOM files, folders with all in them, or patterns"
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder for the copies, a folder in it for each series",
    )
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="a secret file that new UIDs and patient IDs are made with, so that runs agree; made "
        "if it does not exist. Never pass it on (default: a new secret, thrown away at the end)",
    )
    parser.add_argument(
        "--allow-burnt-in",
        action="store_true",
        help="also write images that may have text, such as a name, in their pixels",
    )


def run(parsed: argparse.Namespace) -> int:
    out = parsed.out.expanduser()
    found = find_all(parsed.files, out=out)
    check_writable(out)
    key = None if parsed.key is None else SecretFile(parsed.key.expanduser())
    names = _names(out, key)
    steps = deidentify_steps(found.files, out, names, allow_burnt_in=parsed.allow_burnt_in)
    outcomes: list[Outcome] = []
    try:
        _show(steps, outcomes)
    except KeyboardInterrupt:
        finished = f"{len(outcomes)} of {len(found.files)} files are finished"
        return told(f"stopped: {finished}; the same command goes on with the others", status=130)
    print(_summary(found, outcomes, out))
    missing = [one for one in outcomes if one.status in ("failed", "skipped")]
    if not missing:
        run_secret(out).forget()
        return 0
    kept = "" if key else "; until the same command writes them all, its secret is kept"
    count = f"{len(missing)} of {len(outcomes)} DICOM files were not written"
    return told(f"{count}{kept}", status=2)


def _names(out: Path, key: SecretFile | None) -> Pseudonyms:
    """The names to use: by the key given, by that of a run to go on with, or by a new one."""
    if key is not None:
        if out.resolve() in key.path.resolve().parents:
            raise InputError(
                f"the key {key.path} would lie in the output folder and be passed on with it; "
                "choose another place for it"
            )
        return Pseudonyms(key.read() if key.path.exists() else key.made())
    own = run_secret(out)
    if own.path.exists():
        return Pseudonyms(own.read())
    earlier = next(out.glob("2.25.*/2.25.*.dcm"), None)
    if earlier is not None:
        raise InputError(
            f"{out} holds files of an earlier run; choose another folder, "
            "or give the --key that they were made with"
        )
    return Pseudonyms(own.made())


def _show(steps: Steps[list[Outcome]], outcomes: list[Outcome]) -> None:
    """Work through the steps, telling of files as they come; outcomes are collected."""
    with ProgressLine() as line, closing(steps):
        for step in steps:
            line(step)
            outcome = step.values.get("outcome")
            if outcome is None:
                continue
            outcomes.append(outcome)
            text = _told(outcome)
            if text:
                line.clear()
                told(text, status=0)


def _told(outcome: Outcome) -> str:
    name = outcome.source.shown
    if outcome.status == "failed":
        return f"error: {name}: {outcome.why}"
    if outcome.status == "skipped":
        return f"warning: {name} was skipped: {outcome.why}"
    return f"warning: {name}: {outcome.warning}; look at it first" if outcome.warning else ""


def _summary(found: Found, outcomes: list[Outcome], out: Path) -> str:
    counts = Counter(one.status for one in outcomes)
    series = {one.path.parent for one in outcomes if one.path is not None}
    parts = [f"{counts['written']} files written to {out}, {len(series)} series in all"]
    if counts["done"]:
        parts.append(f"{counts['done']} done already")
    if counts["repeated"]:
        parts.append(f"{counts['repeated']} given twice")
    if found.others:
        parts.append(f"{found.others} left out that are not DICOM")
    if found.directories:
        parts.append(f"{found.directories} DICOMDIR left out")
    return "; ".join(parts)
