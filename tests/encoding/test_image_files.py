"""Image files become arrays: every mode of Pillow, sizes, threads, and bad files."""

import os
import pickle
import re
import sys
import threading
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image, ImageFile
from scipy import sparse

from skdeep.encoding import _image_decoding, _image_files
from skdeep.encoding._image_files import FileFormat, ImageFiles, find_format, is_paths

GIB = 2**30
RNG = np.random.default_rng(0)


def noise(*shape, dtype=np.uint8):
    return RNG.integers(np.iinfo(dtype).max + 1, size=shape).astype(dtype)


def save(image, path, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(path, **options)
    return str(path)


def mode_of(path):
    with Image.open(path) as image:
        return image.mode


def join(mode, pixels):
    """Return an image of a mode that Image.fromarray cannot tell from the shape."""
    bands = [Image.fromarray(pixels[..., i].copy()) for i in range(len(mode))]
    return Image.merge(mode, bands)


def read(*paths, image_size=None, format=None):
    """Return the format of files and their pixels."""
    format = format or find_format(paths, image_size)
    files = ImageFiles(paths, format, GIB)
    pixels = files.take(np.arange(len(paths)))
    assert pixels.shape == files.shape and pixels.dtype == files.dtype == format.dtype
    return format, pixels


@pytest.fixture
def grays(tmp_path):
    """Return ten gray PNG files, and their pixels."""
    pixels = noise(10, 5, 7)
    paths = [save(image, tmp_path / f"{i}.png") for i, image in enumerate(pixels)]
    return paths, pixels


# Paths.

PATHS = ["a.png", "b/ü.jpg"]


@pytest.mark.parametrize(
    "X",
    [
        PATHS,
        tuple(PATHS),
        [Path(path) for path in PATHS],
        np.array(PATHS),
        np.array(PATHS)[:, np.newaxis],
        np.array(PATHS, dtype=object),
        np.array(PATHS, dtype=np.dtypes.StringDType()),
        pd.Series(PATHS, index=[5, 3]),
        pd.Series(PATHS, dtype=object),
        pd.Series(PATHS, dtype="category"),
        pd.Series([Path(path) for path in PATHS]),
        pd.DataFrame({"file": PATHS}),
        pl.Series(PATHS),
        pl.Series(PATHS, dtype=pl.Categorical),
        pl.DataFrame({"file": PATHS}),
    ],
    ids=lambda X: type(X).__module__.partition(".")[0] + "-" + type(X).__name__,
)
def test_paths(X):
    paths = is_paths(X)
    assert paths.dtype == object and paths.shape == (2,)
    assert [str(Path(path).as_posix()) for path in paths] == PATHS
    assert {type(path) for path in paths} == {str}


@pytest.mark.parametrize(
    "X",
    [
        None,
        3,
        "a.png",
        Path("a.png"),
        [],
        np.array([], dtype=str),
        [[1, 2], [3]],
        [["a.png"], ["b.png"]],
        ["a.png", 1],
        [1, "a.png"],
        ["a.png", None],
        [b"a.png"],
        {"a": "a.png"},
        {"a.png"},
        np.array(3),
        np.array("a.png"),
        np.zeros((2, 1)),
        np.zeros((2, 0)),
        np.zeros((2, 3, 4)),
        np.array([["a.png", "b.png"]]),
        np.array([[1], [2]], dtype=object),
        np.array(["2020-01-01"], dtype="M8[D]"),
        pd.DataFrame({"a": ["a.png"], "b": ["b.png"]}),
        pd.DataFrame({"a": [1.0]}),
        pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
        pd.DataFrame(index=range(2)),
        pd.Series(["a.png", None]),
        pl.DataFrame({"a": [[1, 2], [3]]}),
        pl.LazyFrame({"a": ["a.png"]}),
        torch.zeros(2, 1),
        sparse.eye_array(2),
    ],
    ids=lambda X: f"{type(X).__module__.partition('.')[0]}-{type(X).__name__}",
)
def test_not_paths(X):
    assert is_paths(X) is None


# The format.


def test_format_of_grayscale_and_of_colors(tmp_path, grays):
    paths, _ = grays
    assert find_format(paths, None) == FileFormat((5, 7), 1, "uint8")
    color = save(noise(5, 7, 3), tmp_path / "color.png")
    assert find_format([*paths, color], None) == FileFormat((5, 7), 3, "uint8")
    assert find_format(paths, 4).size == (4, 4)
    assert find_format(paths, (np.int64(4), 2)).size == (4, 2)


def test_sizes_that_differ(tmp_path, grays):
    paths, _ = grays
    other = save(noise(7, 5), tmp_path / "other.png")
    message = (
        r"different sizes \(height, width\): '.*0\.png' has \(5, 7\) and "
        r"'.*other\.png' has \(7, 5\)\. Set image_size"
    )
    with pytest.raises(ValueError, match=message):
        find_format([*paths, other], None)
    assert find_format([*paths, other], 6).size == (6, 6)


@pytest.mark.parametrize(
    "size", [0, -1, 2.5, True, "32", (3,), (3, 3, 3), (3, 0), [3, None], {}]
)
def test_invalid_image_size(grays, size):
    with pytest.raises(ValueError, match="^image_size must be None, a positive"):
        find_format(grays[0], size)


def test_no_files():
    with pytest.raises(ValueError, match="no image files"):
        find_format(np.array([], dtype=object), None)


def test_headers_do_not_decode(tmp_path):
    """Only the header of a file that is cut off is read, so that it is quick."""
    path = tmp_path / "cut.png"
    save(noise(40, 40, 3), path)
    path.write_bytes(path.read_bytes()[:200])
    assert find_format([str(path)], None) == FileFormat((40, 40), 3, "uint8")


# Modes.


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "webp", "ppm"])
def test_lossless_colors(tmp_path, ending):
    pixels = noise(6, 5, 3)
    path = save(pixels, tmp_path / f"a.{ending}", lossless=True)
    format, found = read(path)
    assert format == FileFormat((6, 5), 3, "uint8")
    assert_array_equal(found[0], pixels)


def test_grayscale(grays):
    paths, pixels = grays
    assert_array_equal(read(*paths)[1], pixels)


@pytest.mark.parametrize("ending", ["png", "gif"])
def test_palette(tmp_path, ending):
    codes = noise(6, 5) % 3
    palette = np.array([[255, 0, 10], [0, 200, 30], [7, 8, 9]], dtype=np.uint8)
    image = Image.fromarray(codes)
    image.putpalette(palette.ravel().tolist())
    path = save(image, tmp_path / f"a.{ending}")
    assert mode_of(path) == "P"
    assert_array_equal(read(path)[1][0], palette[codes])


def over_white(color, alpha):
    """Composite over white in floats."""
    alpha = alpha[..., np.newaxis] / 255
    return color * alpha + 255 * (1 - alpha)


def test_transparency_is_composited_over_white(tmp_path):
    rgba = noise(6, 5, 4)
    rgba[0, 0, 3], rgba[0, 1, 3] = 0, 255
    found = read(save(rgba, tmp_path / "a.png"))[1][0]
    assert_allclose(found, over_white(rgba[..., :3], rgba[..., 3]), atol=1)
    assert_array_equal(found[0, 0], [255] * 3)
    assert_array_equal(found[0, 1], rgba[0, 1, :3])


def test_gray_transparency(tmp_path):
    la = noise(6, 5, 2)
    path = save(join("LA", la), tmp_path / "a.png")
    format, found = read(path)
    assert format.n_channels == 1
    expected = over_white(la[..., :1], la[..., 1])[..., 0]
    assert_allclose(found[0], expected, atol=1)


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 128])])
def test_palette_with_transparency(tmp_path, transparency):
    codes = np.array([[0, 1, 2]], dtype=np.uint8)
    image = Image.fromarray(codes)
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    found = read(save(image, tmp_path / "a.png", transparency=transparency))[1][0, 0]
    assert_array_equal(found[:2], [[10, 20, 30], [255, 255, 255]])
    last = [70, 80, 90] if transparency == 1 else [162, 167, 172]
    assert_allclose(found[2], last, atol=1)


@pytest.mark.parametrize(
    ("pixels", "transparency", "expected"),
    [
        (np.array([[9, 5]], np.uint8), 5, [9, 255]),
        (np.array([[[9, 9, 1], [1, 2, 3]]], np.uint8), (1, 2, 3), None),
        (np.array([[9, 500]], np.uint16), 500, [9, 65535]),
    ],
    ids=["gray", "RGB", "16 bits"],
)
def test_a_transparent_value_is_white(tmp_path, pixels, transparency, expected):
    path = save(pixels, tmp_path / "a.png", transparency=transparency)
    if expected is None:
        expected = [[9, 9, 1], [255, 255, 255]]
    assert_array_equal(read(path)[1][0, 0], expected)


def test_one_bit(tmp_path):
    bits = noise(6, 5) > 127
    path = save(Image.fromarray(bits), tmp_path / "a.png")
    assert mode_of(path) == "1"
    format, found = read(path)
    assert format == FileFormat((6, 5), 1, "uint8")
    assert_array_equal(found[0], 255 * bits)


@pytest.mark.parametrize("ending", ["tif", "jpg"])
def test_cmyk(tmp_path, ending):
    cmyk = np.zeros((16, 32, 4), dtype=np.uint8)
    cmyk[:, 16:] = [255, 0, 0, 0]  # cyan ink absorbs red
    path = save(join("CMYK", cmyk), tmp_path / f"a.{ending}", quality=100)
    assert mode_of(path) == "CMYK"
    found = read(path)[1][0].astype(int)
    assert_allclose(found[0, 0], [255, 255, 255], atol=2)
    assert_allclose(found[0, 31], [0, 255, 255], atol=2)
    gray = read(path, format=FileFormat((16, 32), 1, "uint8"))[1][0, 0]
    assert_allclose(gray[[0, 31]], [255, 0.701 * 255], atol=2)


def test_ycbcr(tmp_path):
    rgb = Image.new("RGB", (8, 8), (200, 30, 60))
    path = save(rgb.convert("YCbCr"), tmp_path / "a.tif")
    assert mode_of(path) in ("YCbCr", "RGB")  # depending on the version of Pillow
    assert_allclose(read(path)[1][0, 0, 0], [200, 30, 60], atol=2)


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_sixteen_bits(tmp_path, ending):
    pixels = noise(2, 6, 5, dtype=np.uint16)
    paths = [save(p, tmp_path / f"{i}.{ending}") for i, p in enumerate(pixels)]
    format, found = read(*paths)
    assert format == FileFormat((6, 5), 1, "uint16")
    assert_array_equal(found, pixels)


def test_big_endian_sixteen_bits(tmp_path):
    pixels = noise(6, 5, dtype=np.uint16)
    path = save(Image.fromarray(pixels.astype(">u2")), tmp_path / "a.tif")
    assert_array_equal(read(path)[1][0], pixels)


def test_sixteen_bits_beside_eight(tmp_path):
    deep, flat = noise(6, 5, dtype=np.uint16), noise(6, 5)
    deep[0, :3] = 0, 257, 65535
    paths = [save(deep, tmp_path / "a.png"), save(flat, tmp_path / "b.png")]
    format, found = read(*paths)
    assert format.dtype == "uint8"
    assert_array_equal(found[0], np.rint(deep / 257))
    assert_array_equal(found[0, 0, :3], [0, 1, 255])
    assert_array_equal(found[1], flat)


def test_predict_applies_the_depth_of_fit(tmp_path):
    """Eight bits become sixteen for a model of 16 bits, also if they are in color."""
    flat = noise(6, 5)
    color = np.repeat(flat[..., np.newaxis], 3, axis=-1)
    paths = [save(flat, tmp_path / "a.png"), save(color, tmp_path / "b.png")]
    _, found = read(*paths, format=FileFormat((6, 5), 1, "uint16"))
    assert_array_equal(found, [flat.astype(np.uint16) * 257] * 2)


def test_sixteen_bits_for_a_model_of_colors(tmp_path):
    deep = noise(6, 5, dtype=np.uint16)
    path = save(deep, tmp_path / "a.png")
    _, found = read(path, format=FileFormat((6, 5), 3, "uint8"))
    assert_array_equal(found[0], np.rint(deep / 257)[..., np.newaxis].repeat(3, -1))


def test_grayscale_beside_colors(tmp_path):
    gray, color = noise(6, 5), noise(6, 5, 3)
    paths = [save(gray, tmp_path / "a.png"), save(color, tmp_path / "b.png")]
    format, found = read(*paths)
    assert format.n_channels == 3
    assert_array_equal(found[0], np.repeat(gray[..., np.newaxis], 3, axis=-1))
    assert_array_equal(found[1], color)


def test_colors_for_a_model_of_grayscale(tmp_path):
    """The luminance of ITU-R BT.601."""
    color = noise(6, 5, 3)
    path = save(color, tmp_path / "a.png")
    _, found = read(path, format=FileFormat((6, 5), 1, "uint8"))
    assert_allclose(found[0], color @ [0.299, 0.587, 0.114], atol=0.51)


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (5, 6), color) for color in ("red", "blue")]
    path = tmp_path / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert_array_equal(read(str(path))[1][0, 0, 0], [255, 0, 0])


# Orientation and size.

# What a camera must have done to the upright scene to store it (EXIF 2.3, tag 0x0112).
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: a.T[::-1],
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: a.T[:, ::-1],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("ending", ["png", "tif", "webp", "jpg"])
def test_orientation(tmp_path, orientation, ending):
    scene = np.zeros((16, 24), dtype=np.uint8)
    scene[:8, :8], scene[8:, :8] = 255, 100
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](scene))
    options = {"lossless": True} if ending == "webp" else {"quality": 100}
    path = save(stored, tmp_path / f"a.{ending}", exif=exif, **options)
    format, found = read(path)
    assert format.size == (16, 24)
    found = found[0] if format.n_channels == 1 else found[0, ..., 0]
    assert_allclose(found.astype(int), scene, atol=2 if ending == "jpg" else 0)
    _, small = read(path, image_size=(2, 3))
    small = small[0] if format.n_channels == 1 else small[0, ..., 0]
    assert small[0, 0] > 180 > small[1, 0] > 60 > small[:, 2].max()


def test_orientation_behind_the_pixels_of_a_png(tmp_path):
    """The chunk eXIf may follow the chunks of pixels."""
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, tagged = tmp_path / "a.png", tmp_path / "b.png"
    pixels = noise(4, 6)
    save(pixels, plain)
    save(pixels, tagged, exif=exif)
    data = tagged.read_bytes()
    start = data.index(b"eXIf") - 4
    chunk = data[start : start + 12 + int.from_bytes(data[start : start + 4], "big")]
    end = plain.read_bytes()[-12:]
    plain.write_bytes(plain.read_bytes()[:-12] + chunk + end)
    format, found = read(str(plain))
    assert format.size == (6, 4)
    assert_array_equal(found[0], np.rot90(pixels, -1))


def test_broken_exif_is_ignored(tmp_path):
    pixels = noise(4, 6, 3)
    path = save(pixels, tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert_array_equal(read(path)[1][0], pixels)


def test_resizing_averages(tmp_path):
    """A grid of single pixels becomes an even gray, not black or white."""
    grid = np.indices((64, 64)).sum(axis=0) % 2 * 255
    path = save(grid.astype(np.uint8), tmp_path / "a.png")
    found = read(path, image_size=(8, 6))[1]
    assert found.shape == (1, 8, 6)
    assert_allclose(found, 127.5, atol=4)


def test_resizing_of_sixteen_bits(tmp_path):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[np.newaxis].repeat(4, axis=0)
    found = read(save(ramp, tmp_path / "a.png"), image_size=(4, 8))[1][0]
    assert found.dtype == np.uint16
    assert_allclose(found[0, 1:-1], ramp[0].reshape(8, 8).mean(axis=1)[1:-1], atol=2)


def test_larger_images(tmp_path):
    path = save(np.full((2, 3), 77, np.uint8), tmp_path / "a.jpg", quality=100)
    assert_allclose(read(path, image_size=9)[1], 77, atol=1)


@pytest.mark.parametrize("shape", [(1001, 803), (640, 480)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_large_jpeg_is_decoded_at_a_fraction(tmp_path, monkeypatch, shape, orientation):
    rows, columns = np.indices(shape)
    smooth = 127 + 60 * np.sin(rows / 60) + 60 * np.cos(columns / 80)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(smooth.astype(np.uint8), tmp_path / "a.jpg", quality=95, exif=exif)
    sizes = []
    monkeypatch.setattr(
        _image_decoding,
        "_plain",
        lambda image, format, plain=_image_decoding._plain: (
            sizes.append(image.size) or plain(image, format)
        ),
    )
    format = FileFormat((32, 24), 1, "uint8")
    found = _image_decoding.decode(path, format).astype(int)
    monkeypatch.setattr(_image_decoding, "_draft", lambda image, format: None)
    exact = _image_decoding.decode(path, format).astype(int)
    assert np.prod(sizes[0]) < np.prod(sizes[1]) / 15
    assert np.abs(found - exact).max() <= 2


# Files that cannot be read.


def bad_files(folder):
    """Return paths of bad files, and what the error says of each."""
    good = folder / "good.png"
    save(noise(9, 9), good)
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no image")
    (folder / "folder.png").mkdir()
    Image.fromarray(np.zeros((9, 9), np.float32)).save(folder / "float.tif")
    return {
        str(folder / "missing.png"): "does not exist",
        "missing.png": r"does not exist in the working folder '",
        "~/missing.png": r"does not exist: '~' is not expanded",
        "https://x.org/a.png": "does not exist: it is a URL; download",
        str(folder / "empty.png"): "is empty",
        str(folder / "text.png"): "is not an image that Pillow can read",
        str(folder / "folder.png"): "is a folder",
        str(folder / "float.tif"): "holds floats",
        "a\0b": "cannot be decoded: .*null",
        "x" * 5000: "cannot be opened: File name too long",
    }


def test_unreadable_files_are_named_together(tmp_path):
    bad = bad_files(tmp_path)
    paths = [str(tmp_path / "good.png"), *bad]
    format = FileFormat((9, 9), 1, "uint8")
    readers = [
        lambda: find_format(paths, None),
        lambda: find_format(paths, 4),
        lambda: ImageFiles(paths, format, GIB).load(),
        lambda: ImageFiles(paths, format, 0).load(),
        lambda: ImageFiles(paths, format, 0).take(np.arange(len(paths))),
    ]
    for reader in readers:
        with pytest.raises(ValueError, match="^10 of 11 image files cannot") as caught:
            reader()
        lines = str(caught.value).split("\n- ")[1:]
        assert len(lines) == len(bad)
        for line, (path, reason) in zip(lines, bad.items(), strict=True):
            assert line.startswith(repr(path) + " ")
            assert re.search(reason, line)


def test_at_most_ten_files_are_named(tmp_path):
    paths = [str(tmp_path / f"{i:02}.png") for i in range(25)]
    with pytest.raises(ValueError, match="^25 of 25 image files") as caught:
        find_format(paths, 8)
    text = str(caught.value)
    assert all(repr(path) in text for path in paths[:10])
    assert repr(paths[10]) not in text and text.endswith("\n- and 15 more")


def test_a_failed_load_keeps_nothing(grays):
    paths, _ = grays
    files = ImageFiles([*paths, "missing.png"], FileFormat((5, 7), 1, "uint8"), GIB)
    for _ in range(2):
        with pytest.raises(ValueError, match="1 of 11"):
            files.load()
        assert not files.is_kept


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "gif", "bmp", "webp"])
def test_truncated_files_are_found_by_load(tmp_path, ending):
    whole, cut = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    save(noise(40, 40), whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    files = ImageFiles([whole, cut], find_format([str(whole)], None), 0)
    with pytest.raises(ValueError, match=rf"^1 of 2 .*\n- '.*b\.{ending}' "):
        files.load()


def test_corrupt_pixels_are_found_by_load(tmp_path):
    path = tmp_path / "a.png"
    save(noise(40, 40), path)
    data = bytearray(path.read_bytes())
    data[300:400] = bytes(100)
    path.write_bytes(data)
    files = ImageFiles([path], FileFormat((40, 40), 1, "uint8"), GIB)
    with pytest.raises(ValueError, match=r"a\.png' cannot be decoded"):
        files.load()


def test_integers_of_more_than_16_bits(tmp_path):
    path = save(np.array([[-5, 70000]], np.int32), tmp_path / "a.tif")
    with pytest.raises(ValueError, match="holds integers from -5 to 70000, more than"):
        read(path)


@pytest.mark.parametrize("limit", [30, 60])  # beyond it, and beyond its double
def test_decompression_bombs_are_errors(tmp_path, monkeypatch, limit):
    path = save(noise(8, 10), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    filters = list(warnings.filters)
    message = (
        rf"a\.png' has more than {limit} pixels.* raise PIL.Image.MAX_IMAGE_PIXELS"
    )
    format = FileFormat((8, 10), 1, "uint8")
    for reader in (
        lambda: find_format([path], 4),
        lambda: ImageFiles([path], format, 0).load(),
        lambda: ImageFiles([path], format, 0).take(np.arange(1)),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match=message):
                reader()
    assert warnings.filters == filters
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert find_format([path], None) == format


def test_nothing_global_changes(tmp_path, grays):
    paths, _ = grays
    before = list(warnings.filters), ImageFile.LOAD_TRUNCATED_IMAGES
    files = ImageFiles(paths, find_format(paths, None), 0)
    files.load()
    files.take(slice(3))
    assert (list(warnings.filters), ImageFile.LOAD_TRUNCATED_IMAGES) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match="is not a regular file"):
        find_format([str(tmp_path / "pipe.png")], None)


def test_permission_denied(tmp_path, monkeypatch, grays):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(
        ValueError, match=r"10 of 10 .*\n.*may not be read \(permission"
    ):
        find_format(grays[0], None)


def test_lack_of_memory_is_not_blamed_on_the_file(monkeypatch, grays):
    def fail(path):
        raise MemoryError

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(MemoryError):
        find_format(grays[0], None)


def test_without_pillow(monkeypatch, grays):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    message = (
        "^CNNClassifier needs Pillow, which is not installed: "
        r"pip install 'scikit-deep\[images\]'\.$"
    )
    format = FileFormat((5, 7), 1, "uint8")
    files = ImageFiles(grays[0], format, 0)
    for reader in (
        lambda: find_format(grays[0], None),
        files.load,
        lambda: files.take(slice(2)),
        lambda: files.prefetch(slice(2)),
    ):
        with pytest.raises(ImportError, match=message):
            reader()
    assert pickle.loads(pickle.dumps(format)) == format
    assert is_paths(grays[0]) is not None


# Rows.


def test_kept_or_decoded_again_is_the_same(grays):
    paths, pixels = grays
    format = find_format(paths, None)
    budget = pixels.nbytes
    for memory_budget, is_kept in [(budget, True), (budget - 1, False)]:
        files = ImageFiles(paths, format, memory_budget)
        assert files.nbytes == budget and not files.is_kept
        files.load()
        assert files.is_kept == is_kept
        index = np.array([3, 3, 0, 9, -1])
        for _ in range(2):
            assert_array_equal(files.take(index), pixels[index])
        assert_array_equal(files.take(slice(2, 5)), pixels[2:5])
        assert files.take(np.array([], dtype=int)).shape == (0, 5, 7)


def test_kept_files_are_not_read_again(grays):
    paths, pixels = grays
    kept, again = (ImageFiles(paths, find_format(paths, None), b) for b in (GIB, 0))
    for files in (kept, again):
        files.load()
    for path in paths:
        os.remove(path)
    assert_array_equal(kept.take(np.arange(10)), pixels)
    kept.prefetch(np.arange(10))
    with pytest.raises(ValueError, match="2 of 2 image files cannot be read"):
        again.take(np.arange(2))


@pytest.mark.parametrize("budget", [0, GIB])
def test_selections(grays, budget):
    paths, pixels = grays
    files = ImageFiles(paths, find_format(paths, None), budget)
    early = files.rows(np.arange(2, 8))
    files.load()
    late = early.rows(np.array([4, 0]))
    mask = files.rows(pixels[:, 0, 0] > 99)
    assert early.shape == (6, 5, 7) and len(late) == 2
    assert late.paths == [paths[6], paths[2]]
    assert_array_equal(early.take(np.arange(6)), pixels[2:8])
    assert_array_equal(late.take(slice(None)), pixels[[6, 2]])
    assert_array_equal(mask.take(slice(None)), pixels[pixels[:, 0, 0] > 99])
    if budget:
        assert early._store.pixels is files._store.pixels is late._store.pixels


def test_a_selection_keeps_its_own_rows(grays):
    paths, pixels = grays
    files = ImageFiles(paths, find_format(paths, None), pixels[:4].nbytes)
    some = files.rows(np.array([7, 1, 5]))
    some.load()
    assert some.is_kept and not files.is_kept
    assert_array_equal(some.take(np.array([2, 0])), pixels[[5, 7]])
    files.load()
    assert not files.is_kept
    assert_array_equal(files.take(np.array([2, 0])), pixels[[2, 0]])


def test_prefetched_rows_are_the_same(grays):
    paths, pixels = grays
    files = ImageFiles(paths, find_format(paths, None), 0)
    batches = [np.array([0, 4, 2]), np.array([9, 9]), np.array([1]), np.arange(10)]
    files.prefetch(batches[0])
    for batch, following in zip(batches, [*batches[1:], batches[0]], strict=True):
        found = files.take(batch)
        files.prefetch(following)
        files.prefetch(following)
        assert_array_equal(found, pixels[batch])
    assert_array_equal(files.take(np.array([5])), pixels[[5]])  # another index
    assert_array_equal(files.take(batches[0]), pixels[batches[0]])


def test_prefetch_decodes_in_the_background_and_once(grays, monkeypatch):
    paths, pixels = grays
    files = ImageFiles(paths, find_format(paths, None), 0)
    may_decode, threads = threading.Event(), []

    def decode(path, format, decode=_image_files.decode):
        may_decode.wait(10)
        threads.append(threading.current_thread())
        return decode(path, format)

    monkeypatch.setattr(_image_files, "decode", decode)
    index = np.array([1, 8])
    files.prefetch(index)
    index[:] = 0  # the caller may use its memory again
    assert not threads  # prefetch has returned before
    may_decode.set()
    assert_array_equal(files.take(np.array([1, 8])), pixels[[1, 8]])
    assert len(threads) == 2 and threading.main_thread() not in threads
    files.take(np.array([1, 8]))
    assert len(threads) == 4


def test_another_prefetch_replaces_the_first(grays):
    paths, pixels = grays
    files = ImageFiles(paths, find_format(paths, None), 0)
    files.prefetch(np.arange(10))
    files.prefetch(np.array([3]))
    assert len(files._ahead.pixels) == 1
    assert_array_equal(files.take(np.arange(10)), pixels)
    assert_array_equal(files.take(np.array([3])), pixels[[3]])


def test_errors_of_prefetch_are_raised_by_take(grays):
    paths, pixels = grays
    files = ImageFiles(paths, find_format(paths, None), 0)
    os.rename(paths[1], paths[1] + ".away")
    files.prefetch(np.array([0, 1]))
    with pytest.raises(ValueError, match=r"1 of 2 .*\n- '.*1\.png' does not exist"):
        files.take(np.array([0, 1]))
    os.rename(paths[1] + ".away", paths[1])
    assert_array_equal(files.take(np.array([0, 1])), pixels[:2])


def test_threads_end(grays):
    paths, _ = grays
    files = ImageFiles(paths * 30, find_format(paths, None), 0)
    files.load()
    files.prefetch(np.arange(200))
    files.take(np.arange(200))
    until = time.monotonic() + 10
    while any(t.name.startswith("skdeep-images") for t in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.001)


def test_interrupt_cancels_the_rest(grays, monkeypatch):
    """Ctrl-C while files are read is raised at once."""
    paths, _ = grays
    decoded = []

    def decode(path, format):
        decoded.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(_image_files, "decode", decode)
    files = ImageFiles(paths * 200, FileFormat((5, 7), 1, "uint8"), 0)
    with pytest.raises(KeyboardInterrupt):
        files.load()
    assert len(decoded) < len(files)


def test_pickles_hold_no_pixels(grays):
    paths, pixels = grays
    files = ImageFiles(paths, find_format(paths, None), GIB)
    size = len(pickle.dumps(files))
    files.load()
    files.prefetch(np.array([1]))
    assert len(pickle.dumps(files)) == size
    again = pickle.loads(pickle.dumps(files.rows(np.array([4, 2]))))
    assert not again.is_kept and again.paths == [paths[4], paths[2]]
    assert_array_equal(again.take(np.array([1, 0])), pixels[[2, 4]])
    again.load()
    assert again.is_kept


def test_hash_recognizes_the_files(grays):
    paths, _ = grays
    format = find_format(paths, None)

    def make():
        return ImageFiles([Path(path) for path in paths], format, GIB)

    first = joblib.hash(make())
    files = make()
    files.load()
    assert joblib.hash(files) == joblib.hash(files.rows(slice(None))) == first
    assert joblib.hash(pickle.loads(pickle.dumps(files))) == first
    assert joblib.hash(files.rows(np.arange(9))) != first
    assert joblib.hash(files.rows(np.arange(10)[::-1])) != first
    os.utime(paths[3], ns=(1, 1))
    assert joblib.hash(make()) != first


def test_many_threads_at_a_time(grays):
    """Several fits in threads read the same files."""
    paths, pixels = grays
    format = find_format(paths, None)

    def run(_):
        files = ImageFiles(paths, find_format(paths, None), 0)
        files.prefetch(np.arange(5))
        return files.take(np.arange(5)), files.take(np.arange(5, 10))

    filters = list(warnings.filters)
    results = joblib.Parallel(4, backend="threading")(
        joblib.delayed(run)(i) for i in range(12)
    )
    for first, second in results:
        assert_array_equal(np.concatenate([first, second]), pixels)
    assert list(warnings.filters) == filters and format.size == (5, 7)
