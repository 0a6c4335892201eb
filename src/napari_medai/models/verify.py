"""The full check of a package: every checksum, and BioImage.IO's own validation."""

from __future__ import annotations

from pathlib import Path

from napari_medai.core.errors import InputError
from napari_medai.models.folder import RDF
from napari_medai.models.model import Model, checksum_problems
from napari_medai.models.rdf import parsed
from napari_medai.models.registry import find_model, shipped_dir, user_models_dir
from napari_medai.models.spec import is_name


def verify_model(path_or_name: Path | str) -> list[str]:
    """What is wrong with a package, one sentence each; empty when all is well.

    Needs no network. Takes about two seconds, for the import of ``bioimageio.spec``.

    Raises
    ------
    InputError
        If there is no such package.
    """
    try:
        model = find_model(path_or_name)
    except InputError as error:
        places = (Path(path_or_name).expanduser(), *_named(str(path_or_name)))
        if any(place.exists() for place in places):
            return [str(error)]
        raise
    return [*checksum_problems(model), *_tensor_problems(model), *format_problems(model)]


def format_problems(model: Model) -> list[str]:
    """What ``bioimageio.spec`` has against the description."""
    from bioimageio.spec import InvalidDescr, ValidationContext, build_description

    # load_description would leave the file open
    context = ValidationContext(
        root=model.path, file_name=RDF, perform_io_checks=False, log_warnings=False
    )
    text = (model.path / RDF).read_text(encoding="utf-8")
    found = build_description(parsed(text), context=context)
    if not isinstance(found, InvalidDescr):
        return []
    summary = found.validation_summary
    errors = [error for detail in summary.details for error in detail.errors]
    return [f"{'.'.join(map(str, error.loc))}: {error.msg}" for error in errors]


def _tensor_problems(model: Model) -> list[str]:
    try:
        tensors = model.test_tensors()
    except (InputError, ValueError, OSError, EOFError) as error:
        return [f"the test tensors cannot be read ({error})"]
    if tensors is None:
        return []
    channels = (len(model.spec.channels_in), len(model.spec.channels_out))
    return [
        f"a test tensor has the shape {tensor.shape}, but (batch, {count}, *space) is needed"
        for tensor, count in zip(tensors, channels, strict=True)
        if tensor.ndim != len(model.axes) + 1 or tensor.shape[1] != count
    ]


def _named(name: str) -> tuple[Path, ...]:
    return () if not is_name(name) else (shipped_dir() / name, user_models_dir() / name)
