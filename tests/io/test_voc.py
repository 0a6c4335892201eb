from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_medai.core.errors import InputError
from napari_medai.io import voc
from napari_medai.io.image_index import ImageIndex
from napari_medai.io.voc import read_voc

OBJECT = """<object><name> cell </name><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>6.5</ymax></bndbox></object>"""
SIZE = "<size><width>40</width><height>20</height><depth>3</depth></size>"


@pytest.fixture
def images(tmp_path: Path) -> ImageIndex:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("L", (40, 20)).save(tmp_path / "images" / name)
    return ImageIndex.of(tmp_path / "images")


def _write(path: Path, inner: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"<annotation>{inner}</annotation>")
    return path


def test_objects_are_read(images: ImageIndex, tmp_path: Path) -> None:
    hard = OBJECT.replace("<difficult>0", "<difficult>1")
    _write(tmp_path / "voc" / "a.xml", SIZE + OBJECT + hard)
    found = read_voc(tmp_path / "voc", images)
    (plane,) = found.planes
    assert plane.boxes.corners.tolist() == [[[1.5, 0.5], [6, 3.5]]] * 2
    assert plane.boxes.kinds.tolist() == ["cell", "cell"]
    assert (plane.image, plane.size, list(plane.rows)) == ("a", (20, 40), ["object 1", "object 2"])
    assert found.notes == ("used 1 object marked as difficult like the others",)


@pytest.mark.parametrize(
    ("stem", "named", "image"),
    [("a", "b.png", "a"), ("7", "b.png", "b.png"), ("7", "", "7"), ("7", "x.jpg", "x.jpg")],
)
def test_a_file_belongs_to_the_image_of_its_name_first(
    stem: str, named: str, image: str, images: ImageIndex, tmp_path: Path
) -> None:
    path = _write(tmp_path / f"{stem}.xml", f"<filename>{named}</filename>")
    (plane,) = read_voc(path, images).planes
    assert (plane.image, len(plane.boxes), plane.size) == (image, 0, None)


@pytest.mark.parametrize(
    ("inner", "complaint"),
    [
        (OBJECT + "<object/>", r"object 2 of .*a\.xml: it has no name"),
        (OBJECT.replace("4", "four"), "object 1 of .*'four'"),
        (OBJECT.replace("xmin", "left"), "object 1 of .*'None' is not a number"),
        ("<b>", "cannot be read as XML"),
    ],
)
def test_what_does_not_fit_is_named(
    inner: str, complaint: str, images: ImageIndex, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        read_voc(_write(tmp_path / "a.xml", inner), images)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_not_expanded(encoding: str, images: ImageIndex, tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>'
    (tmp_path / "a.xml").write_bytes(f'<?xml version="1.0"?>{bomb}'.encode(encoding))
    with pytest.raises(InputError, match="declares a document type"):
        read_voc(tmp_path / "a.xml", images)


@pytest.mark.parametrize("start", ['<?xml version="1.0" encoding="odd"?>', "", "<html>"])
def test_other_xml_is_refused(start: str, images: ImageIndex, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(f"{start}<a/>" + "</html>" * (start == "<html>"))
    with pytest.raises(InputError, match=r"cannot be read as XML|is not Pascal VOC"):
        read_voc(tmp_path / "a.xml", images)


def test_a_huge_file_is_refused_unread(
    images: ImageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voc, "LARGEST_XML", 10)
    with pytest.raises(InputError, match="are read up to"):
        read_voc(_write(tmp_path / "a.xml", OBJECT), images)


@settings(max_examples=100, deadline=None)
@given(end=st.integers(0, 300), tail=st.binary(max_size=12), middle=st.integers(0, 200))
def test_a_cut_file_never_breaks_the_reader(
    end: int, tail: bytes, middle: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "voc"
    folder.mkdir(exist_ok=True)
    Image.new("L", (40, 20)).save(folder / "a.png")
    whole = f"<annotation>{SIZE}{OBJECT}</annotation>".encode()
    (folder / "a.xml").write_bytes(whole[:middle] + tail + whole[middle:end])
    try:
        (plane,) = read_voc(folder, ImageIndex.of(folder)).planes
    except InputError as error:
        problem = str(error)
    else:
        assert np.isfinite(plane.boxes.corners).all()
        return
    assert "a.xml" in problem
