"""What the README shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from napari.layers import Labels

README = Path(__file__).parents[1] / "README.md"


# OpenVINO traces nets, which this PyTorch calls deprecated.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_script_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    names: dict[str, object] = {}
    exec(code, names)
    labels = names["labels"]
    assert isinstance(labels, Labels)
    assert len(labels.features) == 4  # the script draws four
    assert "score" in capsys.readouterr().out
