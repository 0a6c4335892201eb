from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Shapes
from PIL import Image

from napari_medai.core.boxes import Boxes
from napari_medai.core.errors import InputError
from napari_medai.io.annotated import AnnotatedImage, read_annotated
from napari_medai.io.box_coco import write_boxes_coco
from napari_medai.io.box_csv import write_boxes_csv
from napari_medai.io.box_plane import BoxPlane
from napari_medai.io.shape_layers import write_shapes_coco

DATA = Path(os.environ.get("MEDAI_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
HEAD = "image,label,xmin,ymin,xmax,ymax\n"
CELL = Boxes.of([[[1.5, 0.5], [5.5, 3.5]]], ["cell"], [0.5])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three images of 20 rows and 40 columns."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.jpg"):
        Image.new("L", (40, 20)).save(folder / name)
    return folder


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def _told(found: list[AnnotatedImage]) -> list[tuple[str, list[list[list[float]]]]]:
    return [(one.path.name, one.boxes.corners.tolist()) for one in found]


def _coco(name: str, **changes: object) -> str:
    content = {
        "images": [{"id": 1, "file_name": name}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }
    return json.dumps(content | changes)


VOC = """<annotation><object><name>cell</name><bndbox><xmin>1</xmin><ymin>2</ymin>
<xmax>4</xmax><ymax>6</ymax></bndbox></object></annotation>"""
ALIKE = {
    "marks.json": _coco("some/folder/a.png"),
    "marks.txt": HEAD + "C:\\data\\a.png,cell,1,2,4,6\n",
    "table.csv": "filename,class,score,left,top,right,bottom\na,cell,,0.5,1.5,3.5,5.5\n",
    "yolo/a.txt": "0 0.0625 0.2 0.075 0.2\n",
    "voc/a.xml": VOC,
}


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize("name", ALIKE)
def test_every_format_gives_the_same(name: str, whole: bool, images: Path, tmp_path: Path) -> None:
    path = _write(tmp_path / name, ALIKE[name])
    _write(tmp_path / "classes.txt", "cell")
    given = path.parent if whole and path.parent != tmp_path else path
    found, notes = read_annotated(images, given)
    one = found[0]
    assert (one.path, one.position) == (images / "a.png", {})
    assert np.allclose(one.boxes.corners, [[[1.5, 0.5], [5.5, 3.5]]])
    assert one.boxes.kinds.tolist() == ["cell"]
    if name.startswith("yolo"):
        assert [len(image.boxes) for image in found] == [1, 0, 0]
        assert notes == ("took 2 images (b.png, c.jpg) without a label file to have no objects",)
    else:
        assert len(found) == 1
        other = Path(given).name
        assert notes == (f"left out 2 images (b.png, c.jpg) that {other} does not name",)


def test_what_cannot_be_used_is_told_with_its_row(images: Path, tmp_path: Path) -> None:
    rows = [
        "a.png,cell,4,2,1,6",
        "a.png,cell,1,2,4,6",
        "a.png,cell,1,6,4,2",
        "a.png,cell,3,3,3,3",
        "b.png,cell,40,0,50,9",
        "c.jpg,cell,-5,18,7,22",
        "a.png,cell,9,9,9,12",
        "a.png,cell,9,9,12,9",
    ]
    path = _write(tmp_path / "marks.csv", HEAD + "\n".join(rows))
    found, notes = read_annotated(images, path)
    assert _told(found) == [
        ("a.png", [[[1.5, 0.5], [5.5, 3.5]]]),
        ("b.png", []),
        ("c.jpg", [[[17.5, -0.5], [19.5, 6.5]]]),
    ]
    assert notes == (
        "marks.csv: skipped 6 boxes, line 2 (x2 < x1), line 4 (y2 < y1), line 5 (no area), "
        "line 8 (no area), line 9 (no area) and 1 more",
        "cut 1 box at the edges of images, beyond which they reached",
    )


def test_boxes_outside_are_told_with_their_image(images: Path, tmp_path: Path) -> None:
    marks = [{"id": 7, "image_id": 1, "category_id": 1, "bbox": [40, 2, 3, 4]}]
    found, notes = read_annotated(
        images / "b.png", _write(tmp_path / "m.json", _coco("b.png", annotations=marks))
    )
    assert _told(found) == [("b.png", [])]
    assert notes == ("m.json: skipped 1 box, annotation 7 (outside b.png)",)


def test_many_files_with_faults_are_told_together(tmp_path: Path) -> None:
    for number in range(13):
        _write(tmp_path / "set" / f"{number}.txt", "0 .5 .5 0 1\n")
        Image.new("L", (8, 8)).save(tmp_path / "set" / f"{number}.png")
    _, notes = read_annotated(tmp_path / "set", tmp_path / "set")
    assert len(notes) == 11
    assert notes[0] == "0.txt: skipped 1 box, line 1 (no area)"
    assert notes[-1] == "skipped 3 boxes of 3 more files alike"


def test_a_part_of_a_table_leaves_the_images_of_others_alone(images: Path, tmp_path: Path) -> None:
    text = (
        "image,split,label,xmin,ymin,xmax,ymax\na.png,train,cell,1,2,4,6\nb.png,val,cell,1,2,4,6\n"
        "kept back.png,test,cell,1,2,4,6\n"
    )
    path = _write(tmp_path / "marks.csv", text)
    found, notes = read_annotated(images, path, split="val")
    assert _told(found) == [("b.png", [[[1.5, 0.5], [5.5, 3.5]]])]
    assert notes == ("left out 1 image (c.jpg) that marks.csv does not name",)
    with pytest.raises(InputError, match=r"1 of 3 images .* are missing \(kept back.png\)"):
        read_annotated(images, path)
    with pytest.raises(InputError, match="no row of the split 'dev'"):
        read_annotated(images, path, split="dev")
    with pytest.raises(InputError, match="a split is a part of a table"):
        read_annotated(images, _write(tmp_path / "m.json", _coco("a.png")), split="val")


def test_missing_images_are_counted(images: Path, tmp_path: Path) -> None:
    rows = "".join(f"{name}.png,cell,1,2,4,6\n" for name in "axyzw")
    with pytest.raises(InputError, match=r"4 of 5 images that .* \(x.png, y.png, z.png, \.\.\.\)"):
        read_annotated(images, _write(tmp_path / "m.csv", HEAD + rows))
    _write(tmp_path / "yolo" / "x.txt", "0 .5 .5 1 1")
    with pytest.raises(InputError, match=r"1 of 1 images that .*yolo names are missing \(x\)"):
        read_annotated(images, tmp_path / "yolo")


def test_one_image_under_two_names_is_refused(images: Path, tmp_path: Path) -> None:
    path = _write(tmp_path / "m.csv", HEAD + "a.png,cell,1,2,4,6\na,cell,1,2,4,6\n")
    with pytest.raises(InputError, match=r"a.png and a in .* are the same image"):
        read_annotated(images, path)


def test_two_images_of_one_stem_are_told_apart_by_file_name_alone(
    images: Path, tmp_path: Path
) -> None:
    Image.new("L", (40, 20)).save(images / "a.bmp")
    found, _ = read_annotated(images, _write(tmp_path / "m.csv", HEAD + "a.png,cell,1,2,4,6\n"))
    assert [one.path.name for one in found] == ["a.png"]
    with pytest.raises(InputError, match=r"a.bmp, a.png could all be the image 'a'"):
        read_annotated(images, _write(tmp_path / "m.csv", HEAD + "a,cell,1,2,4,6\n"))


def test_another_size_than_the_file_says_is_noted(images: Path, tmp_path: Path) -> None:
    plane = BoxPlane("a.png", CELL, size=(40, 20))
    _, notes = read_annotated(images / "a.png", write_boxes_coco(tmp_path / "m.json", [plane]))
    assert notes == ("found 1 image (a.png) of another size than the annotations say",)


def test_what_napari_saves_of_shapes_comes_back(images: Path, tmp_path: Path) -> None:
    box = np.array([[2.0, 3], [2, 9], [6, 9], [6, 3]])
    layer = Shapes(
        [box, box[:3] + 1],
        shape_type=["rectangle", "polygon"],
        features={"class": ["cell", "dot"]},
        name="a",
    )
    data, attributes, _ = layer.as_layer_data_tuple()
    write_shapes_coco(str(tmp_path / "m.json"), data, attributes)
    (one,), notes = read_annotated(images / "a.png", tmp_path / "m.json")
    assert one.boxes.corners.tolist() == [[[2, 3], [6, 9]], [[3, 4], [7, 10]]]
    assert one.boxes.kinds.tolist() == ["cell", "dot"]
    assert notes == ()


WRITERS = pytest.mark.parametrize("write", [write_boxes_coco, write_boxes_csv])


@WRITERS
def test_planes_of_a_stack_come_back(write: object, tmp_path: Path) -> None:
    shape = (2, 3, 20, 40)
    tifffile.imwrite(
        tmp_path / "movie.ome.tif", np.zeros(shape, np.uint8), metadata={"axes": "TZYX"}
    )
    planes = [
        BoxPlane("movie", CELL, {"T": 1, "Z": 0}),
        BoxPlane("movie", Boxes.of([]), {"T": 0, "Z": 2}),
    ]
    path = write(tmp_path / "marks", planes)  # type: ignore[operator]
    found, notes = read_annotated(tmp_path / "movie.ome.tif", path)
    assert [one.position for one in found] == [{"T": 0, "Z": 2}, {"T": 1, "Z": 0}]
    assert [len(one.boxes) for one in found] == [0, 1]
    assert found[1].boxes.corners.tolist() == CELL.corners.tolist()
    assert notes == ()


@WRITERS
def test_boxes_of_volumes_come_back(write: object, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.zeros((6, 20, 40), np.uint8))
    solid = Boxes.of([[[0.5, 1, 2], [2.25, 6, 9]], [[-3, 0, 0], [9, 4, 4]]], ["a", "b"], [1, 0.5])
    path = write(tmp_path / "marks", [BoxPlane("v.npy", solid)])  # type: ignore[operator]
    (one,), notes = read_annotated(tmp_path / "v.npy", path)
    assert one.boxes.corners.tolist() == [[[0.5, 1, 2], [2.25, 6, 9]], [[-0.5, 0, 0], [5.5, 4, 4]]]
    assert one.boxes.kinds.tolist() == ["a", "b"]
    assert notes == ("cut 1 box at the edges of images, beyond which they reached",)


@pytest.mark.parametrize(
    ("plane", "complaint"),
    [
        (BoxPlane("v", CELL), r"v.npy is a stack \(Z 6\), but .* does not say for which"),
        (BoxPlane("v", CELL, {"Z": 6}), r"boxes at Z 6 of v, but v.npy has 6 positions along Z"),
        (BoxPlane("v", CELL, {"T": 0}), r"v.npy has no positions along T"),
        (BoxPlane("v", Boxes.of([], ndim=3), {"T": 0}), r"v.npy has no positions along T"),
    ],
)
def test_planes_that_an_image_does_not_have_are_refused(
    plane: BoxPlane, complaint: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "v.npy", np.zeros((6, 20, 40), np.uint8))
    with pytest.raises(InputError, match=complaint):
        read_annotated(tmp_path / "v.npy", write_boxes_coco(tmp_path / "m.json", [plane]))


def test_solid_boxes_do_not_fit_a_plane(images: Path, tmp_path: Path) -> None:
    path = write_boxes_csv(tmp_path / "m.csv", [BoxPlane("a.png", Boxes.of([], ndim=3))])
    with pytest.raises(InputError, match=r"a.png is a stack|no ZYX"):
        read_annotated(images, path)


def test_a_table_without_images_is_of_its_own_name_or_the_only_image(
    images: Path, tmp_path: Path
) -> None:
    text = "top,left,bottom,right\n1.5,0.5,5.5,3.5\n"
    found, _ = read_annotated(images, _write(tmp_path / "b.csv", text))
    assert [one.path.name for one in found] == ["b.png"]
    other = _write(tmp_path / "other.csv", text)
    found, _ = read_annotated(images / "a.png", other)
    assert _told(found) == [("a.png", [[[1.5, 0.5], [5.5, 3.5]]])]
    with pytest.raises(InputError, match="no column image and there are 3 images"):
        read_annotated(images, other)


def test_a_folder_must_say_what_it_is(images: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds neither"):
        read_annotated(images, images)
    _write(tmp_path / "both" / "a.txt", "")
    _write(tmp_path / "both" / "a.xml", VOC)
    with pytest.raises(InputError, match="holds both"):
        read_annotated(images, tmp_path / "both")
    with pytest.raises(InputError, match=r"none.json cannot be read \(No such file"):
        read_annotated(images, tmp_path / "none.json")


def test_a_broken_image_is_told(images: Path, tmp_path: Path) -> None:
    (images / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"a.png cannot be read"):
        read_annotated(images, _write(tmp_path / "m.csv", HEAD + "a.png,cell,1,2,4,6\n"))


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["m.json", "m.csv", "a.txt", "a.xml", "m"]),
    content=st.binary(max_size=40)
    | st.builds(
        lambda text, end, tail: text.encode()[:end] + tail,
        st.sampled_from(list(ALIKE.values())),
        st.integers(0, 200),
        st.binary(max_size=4),
    ),
)
def test_garbage_never_breaks_the_reader(
    name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "garbage"
    folder.mkdir(exist_ok=True)
    Image.new("L", (40, 20)).save(folder / "a.png")
    (folder / name).write_bytes(content)
    try:
        found, _ = read_annotated(folder / "a.png", folder / name)
    except InputError as error:
        problem = str(error)
    else:
        assert all(np.isfinite(one.boxes.corners).all() for one in found)
        return
    assert name in problem


def test_blood_cells() -> None:
    folder = DATA / "detection_bccd"
    if not folder.is_dir():
        pytest.skip("the folder shared/data is not beside the repository; set MEDAI_TEST_DATA")
    found, notes = read_annotated(folder / "images", folder / "boxes.csv")
    with (folder / "boxes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [
        number
        for number, row in enumerate(rows, start=2)
        if row["xmin"] == row["xmax"] or row["ymin"] == row["ymax"]
    ]
    assert len(lines) == 2
    assert notes == (
        f"boxes.csv: skipped 2 boxes, line {lines[0]} (no area), line {lines[1]} (no area)",
    )
    assert len(found) == len({row["image"] for row in rows}) == 292
    assert sum(len(one.boxes) for one in found) == len(rows) - 2
    kinds = {kind for one in found for kind in one.boxes.kinds.tolist()}
    assert kinds == {"RBC", "WBC", "Platelets"}
    part, _ = read_annotated(folder / "images", folder / "boxes.csv", split="val")
    assert len(part) == 87
    first = part[0]
    assert first.path.name == "BloodImage_00000.jpg"
    assert first.boxes.corners[0].tolist() == [[176.5, 259.5], [375.5, 490.5]]
