"""Packages of trained nets, and what is shared of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_medai.models.package import read_model
from napari_medai.nn.runner import built_net, load_weights
from napari_medai.tasks.trained import share_model


# PyTorch calls TorchScript deprecated; other programs still read it.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_shared_torchscript_answers_as_the_net_at_any_size(
    box_package: Path, tmp_path: Path
) -> None:
    model = read_model(box_package)
    shared = read_model(share_model(model, tmp_path / "shared.zip"))
    net = built_net(*model.architecture)
    load_weights(net, model.weights_path)
    script = torch.jit.load(str(shared.exports["torchscript"]))
    for size in ((64, 64), (48, 104), (128, 16)):
        image = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            assert torch.allclose(script(image), net.eval()(image), atol=1e-5)
    # what has it already is packed as it is
    again = share_model(shared, tmp_path / "again.zip")
    assert again.read_bytes() == (tmp_path / "shared.zip").read_bytes()
