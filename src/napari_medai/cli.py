"""The command line: ``napari-medai segment scans/*.tif --model nuclei --out results/``.

Exit status 0; 2 for bad input and 1 for a failed run, with one line that says what to do; 130
after Ctrl-C. Each command is a module of `napari_medai.commands`, imported only when it is named.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from napari_medai.commands.messages import (
    PROGRAM,
    say_in_any_encoding,
    sentence,
    status_of,
    told,
)
from napari_medai.core.errors import InputError

COMMANDS = {
    "segment": "find the objects or classes in images, and write labels and features",
    "detect": "find objects in images as boxes, and write them as COCO JSON and CSV",
    "denoise": "take the noise out of images, and write them in their formats and units",
    "synthesize": "make images whose truth is known, and write them with labels and features",
    "train": "train a model on one's own images, and their masks, boxes or clean versions",
    "evaluate": "score a model on images whose truth is known, or images that it made",
    "measure": "write volume, surface, longest diameter and intensity of labels as a table",
    "models": "list, show, verify, install, remove or export models",
    "convert": "write an image or labels in another format",
    "deidentify": "write copies of DICOM files without the patient's identity",
    "info": "tell what an image file or a model package holds",
    "demo": "segment a sample image, and open napari on the result",
}


class Parser(argparse.ArgumentParser):
    """Complains by raising, so that every error is told in the same way."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    say_in_any_encoding()
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        chosen, rest = parser_for(given).parse_known_args(given)
        if rest:
            raise InputError(
                f"unrecognized arguments: {' '.join(rest)}; see {PROGRAM} {chosen.command} --help"
            )
        status: int = chosen.run(chosen)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return told("stopped", status=130)
    except BrokenPipeError:
        # whoever read the output has closed it; Python would complain at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            raise
        return told(f"error: {sentence(error)}", status=status_of(error))


def parser_for(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with the options of the command that is named alone."""
    parser = Parser(prog=PROGRAM, description="Deep learning on images: the same as in napari.")
    parser.add_argument("--version", action=_Version, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    named = next((word for word in arguments if not word.startswith("-")), None)
    if named is not None and named not in COMMANDS:
        near = difflib.get_close_matches(named, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(COMMANDS)}"
        raise InputError(f"there is no command {named!r}; {hint}")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(
            name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}."
        )
        _add_debug(command, default=argparse.SUPPRESS)  # it may stand before the command, too
        if name == named:
            module = import_module(f"napari_medai.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run, command=name)
    _add_debug(parser, default=False)
    return parser


def _add_debug(parser: argparse.ArgumentParser, *, default: Any) -> None:
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show where an error comes from"
    )


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(PROGRAM, version(PROGRAM))
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
