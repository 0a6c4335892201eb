"""The benchmark that says whether made images teach: its bookkeeping, and one short run."""

from __future__ import annotations

import csv
import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile
from scipy import ndimage

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
KINDS = ("real", "made", "later")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("labelled", "measuring", "teaching", "synthesize")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("synthesize")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for number, kind in enumerate(KINDS):
        for at in range(6):
            rng = np.random.default_rng([number, at])
            spots = ndimage.gaussian_filter(rng.normal(size=(96, 96)), 4)
            labels = ndimage.label(spots > spots.std())[0].astype(np.uint8)
            image = np.clip(200 * spots / spots.max() + rng.normal(20, 3, labels.shape), 0, 255)
            for part, values in (("images", image), ("masks", labels)):
                (tmp_path / kind / part).mkdir(parents=True, exist_ok=True)
                path = tmp_path / kind / part / f"{kind}{at}.tif"
                tifffile.imwrite(path, values.astype(np.uint8))
    return tmp_path


def main(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, *given: object) -> None:
    monkeypatch.setattr(sys, "argv", ["synthesize.py", *map(str, given)])
    benchmark.main()


def teaching(folders: Path) -> list[object]:
    real, later = (
        [folders / kind / part for part in ("images", "masks")] for kind in ("real", "later")
    )
    made = ["--synthetic", folders / "made", "--held-out", *later]
    return ["training", *real, *made, "--sizes", 2, 9, "--seeds", 1, "--steps", 2, "--batch", 1]


def test_each_training_is_scored_once_and_kept(
    benchmark: ModuleType,
    folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = folders / "scores.csv"
    module = importlib.import_module("teaching")
    kept = [(2, 0, 0.4), (0, 1, 0.6), (6, 0, 0.8)]
    lines = [",".join(module.COLUMNS), *(f"{n},{made},0,2,0.5,{ap},9" for n, made, ap in kept)]
    out.write_text("\n".join([*lines, "2,1,0,999,0.5,1.0,9", ""]))  # the last had other steps
    main(benchmark, monkeypatch, *teaching(folders), "--out", out)
    said = capsys.readouterr()
    assert said.err.count(" in ") == 1
    assert said.err.startswith("2 real + synthetic, seed 0: ")
    with out.open(newline="") as table:
        row = list(csv.DictReader(table))[-1]
    assert (row["real"], row["synthetic"], row["seed"], row["steps"]) == ("2", "1", "0", "2")
    gain = float(row["AP50"]) - 0.4
    assert (
        f"| 2 real + synthetic | 1 | {0.4 + gain:.3f} |  | {gain:+.3f} ({gain:+.3f}) |" in said.out
    )
    assert "| 6 real | 1 | 0.800 |" in said.out
    assert "Synthetic alone reaches 75% of all 6 real images." in said.out
    main(benchmark, monkeypatch, *teaching(folders), "--out", out)
    assert not capsys.readouterr().err


def test_real_and_made_images_share_the_crops(benchmark: ModuleType, folders: Path) -> None:
    """However many made ones there are; and each arm sees what it says it does."""
    labelled, module = (importlib.import_module(name) for name in ("labelled", "teaching"))
    real, made = (labelled.pairs_within(folders / kind) for kind in ("real", "made"))
    options = benchmark.parser().parse_args([str(one) for one in teaching(folders)])
    seen = []

    def noted(self: object, training: list[object], held_out: list[object]) -> None:
        seen.append((training, held_out))
        raise StopIteration

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_medai.tasks.train_objects.ObjectCourse.objective", noted)
        for few, others in ((real[:2], made), ([], made), (real[:2], [])):
            arm = module.Arm(len(few), bool(others), 0)
            with pytest.raises(StopIteration):
                module.trained(few, others, folders / "model", arm, options)
    mixed, alone, without = seen
    weights = [example.weight for example in mixed[0]]
    assert sum(weights[:2]) == pytest.approx(0.5)
    assert sum(weights[2:]) == pytest.approx(0.5)
    assert [len(training) for training, _ in seen] == [8, 6, 2]
    # the threshold is set on real images where there are some
    assert [len(held_out) for _, held_out in seen] == [2, 6, 2]
    np.testing.assert_array_equal(mixed[1][0].maps, without[1][0].maps)
    np.testing.assert_array_equal(alone[1][0].maps, mixed[0][2].maps)


def test_subsets_are_nested_and_by_the_seed(
    benchmark: ModuleType,
    folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    subset = importlib.import_module("teaching").subset
    few, more = subset(30, size=5, seed=1), subset(30, size=20, seed=1)
    assert more[:5] == few
    assert len(set(more)) == 20
    assert subset(30, size=5, seed=2) != few
    real = [folders / "real" / part for part in ("images", "masks")]
    main(benchmark, monkeypatch, "subsets", *real, "--sizes", 2, "--seeds", 1)
    names = [f"real{at}" for at in subset(6, size=2, seed=0)]
    assert f"| 2 | 0 | {' '.join(names)} |" in capsys.readouterr().out


def test_realism_of_one_part_of_a_table(
    benchmark: ModuleType,
    folders: Path,
    tiny_package: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = folders / "metadata.csv"
    rows = [f"real{at},nuclei,{'val' if at else 'train'}" for at in range(6)]
    table.write_text("\n".join(["id,type,split", *rows]))
    given = ["realism", folders / "made", folders / "real", "--model", tiny_package]
    given += ["--crop", 64, "--crops", 16, "--compared", 16, "--csv", table, "--split", "val"]
    main(benchmark, monkeypatch, *given, "--training", folders / "later")
    said = capsys.readouterr().out.splitlines()
    assert said[2].startswith("| synthetic | ")
    assert said[3].startswith("| other real | ")
    assert [line.split(" | ")[0] for line in said[7:9]] == ["| features", "| pixels"]
    assert "encoder of tiny 1.0.0" in said[-1]
    from napari_medai.core.errors import InputError

    with pytest.raises(InputError, match=r"no image of .* is of the split 'test'"):
        main(benchmark, monkeypatch, *given[:-1], "test")
    learn = teaching(folders)
    at = learn.index("--held-out")
    with pytest.raises(InputError, match="give images to score on"):
        main(benchmark, monkeypatch, *learn[:at], *learn[at + 3 :])
