"""A trained net as a model package, and a package to share."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medai.core.intensity import intensity_of
from napari_medai.models.package import Export, add_export, export_zip, write_model
from napari_medai.models.spec import ModelSpec

if TYPE_CHECKING:
    from napari_medai.models.model import Model


def write_trained(
    folder: Path, spec: ModelSpec, net: Any, *, script: bool = True, overwrite: bool = False
) -> Model:
    """Write the package of a torch net (in evaluation mode): weights, export and test tensors.

    Without a ``script`` there is no TorchScript in it, which has twice the size of the weights;
    `share_model` adds it.
    """
    from napari_medai.nn.export import exported

    with tempfile.TemporaryDirectory(prefix="napari-medai-") as scratch:
        intensity = intensity_of(spec.config["intensity"])
        files = exported(net, Path(scratch), intensity=intensity, script=script)
        traced = files.script
        return write_model(
            folder,
            spec,
            weights=files.weights,
            test_input=files.test_input,
            test_output=files.test_output,
            exports=[] if traced is None else [Export("torchscript", traced, files.version)],
            overwrite=overwrite,
        )


def share_model(model: Model, path: Path | str, *, overwrite: bool = False) -> Path:
    """Pack a model into one file that other programs run, too: with TorchScript; returns its path.

    Raises
    ------
    InputError
        If ``path`` exists and ``overwrite`` is false, or a file of the model is missing or changed.
    """
    if "torchscript" in model.exports:
        return export_zip(model, path, overwrite=overwrite)
    from napari_medai.nn.export import script_version, scripted
    from napari_medai.nn.runner import built_net, load_weights

    with tempfile.TemporaryDirectory(prefix="napari-medai-") as scratch:
        net = built_net(*model.architecture)
        load_weights(net, model.weights_path)
        intensity = intensity_of(model.config["intensity"])
        script = scripted(net, Path(scratch), intensity=intensity)
        export = Export("torchscript", script, script_version())
        whole = add_export(model, Path(scratch) / "package", export)
        return export_zip(whole, path, overwrite=overwrite)
