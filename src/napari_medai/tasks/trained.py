"""A trained net as a model package."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medai.core.intensity import intensity_of
from napari_medai.models.package import Export, write_model
from napari_medai.models.spec import ModelSpec

if TYPE_CHECKING:
    from napari_medai.models.model import Model


def write_trained(folder: Path, spec: ModelSpec, net: Any, *, overwrite: bool = False) -> Model:
    """Write the package of a torch net (in evaluation mode): weights, export and test tensors."""
    from napari_medai.nn.export import exported

    with tempfile.TemporaryDirectory(prefix="napari-medai-") as scratch:
        files = exported(net, Path(scratch), intensity=intensity_of(spec.config["intensity"]))
        return write_model(
            folder,
            spec,
            weights=files.weights,
            test_input=files.test_input,
            test_output=files.test_output,
            exports=[Export("torchscript", files.script, files.version)],
            overwrite=overwrite,
        )
