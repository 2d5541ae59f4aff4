"""One image file: its header, and its pixels in a given format."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skdeep._optional_dependencies import import_optional

_ORIENTATION = 0x0112  # the tag of EXIF
# What turns an image of each EXIF orientation upright (names of PIL.Image.Transpose).
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_SIDEWAYS = (5, 6, 7, 8)  # these orientations swap height and width

_GRAY = ("1", "L", "LA", "La")
# JPEG files are decoded at a fraction of their size that is at least this many times
# the size needed; the antialiasing of the second step then hides the first one.
_DRAFT = 2


@dataclass(frozen=True)
class FileFormat:
    """The arrays that image files become; learned by ``fit``, applied by ``predict``.

    Parameters
    ----------
    size : tuple of int
        Height and width.
    n_channels : int
        1 for grayscale, 3 for RGB.
    dtype : str
        "uint8"; "uint16" if all files of the training data are 16-bit grayscale.
    """

    size: tuple[int, int]
    n_channels: int
    dtype: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image: (height, width) or (height, width, 3)."""
        return self.size if self.n_channels == 1 else (*self.size, 3)


class Header(NamedTuple):
    """What the header of an image file tells.

    ``size`` is (height, width) of the upright image, ``is_color`` whether it is other
    than grayscale, and ``is_deep`` whether it has 16 bits per pixel.
    """

    size: tuple[int, int]
    is_color: bool
    is_deep: bool


class _Unreadable(Exception):
    """Its text is why a file cannot be read."""


def pillow() -> Any:
    """Return the module ``PIL.Image``.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    """
    return import_optional("PIL.Image", extra="images", user="CNNClassifier")


def read_header(path: str, with_size: bool = True) -> Header:
    """Return what the header of a file tells; pixels are not decoded where possible.

    Parameters
    ----------
    path : str
        The file.
    with_size : bool, default=True
        Whether the size is needed. The orientation of a PNG file may follow its
        pixels, which have to be decoded then.
    """
    with _open(path) as image:
        is_deep = _is_deep(image)
        is_color = not is_deep and image.mode not in _GRAY
        size = _upright_size(image) if with_size else (0, 0)
    return Header(size, is_color, is_deep)


def decode(path: str, format: FileFormat) -> np.ndarray:
    """Return the pixels of a file.

    The first frame is turned upright by its EXIF orientation, composited over white if
    it has transparency, and resized with antialiasing, without regard to its aspect
    ratio.

    Parameters
    ----------
    path : str
        The file.
    format : FileFormat
        Size, channels and type of the array.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, 3)
        In the format's type.
    """
    with _open(path) as image:
        box = _draft(image, format)
        image.load()
        # After the loading, which turns TIFF files upright, and which reads the EXIF
        # data behind the pixels of PNG files.
        orientation = _orientation(image)
        plain = _deep(image) if format.dtype == "uint16" else _plain(image, format)
    height, width = format.size
    size = (height, width) if orientation in _SIDEWAYS else (width, height)
    if plain.size != size:
        plain = plain.resize(size, pillow().Resampling.BILINEAR, box=box)
    if orientation in _UPRIGHT:
        plain = plain.transpose(pillow().Transpose[_UPRIGHT[orientation]])
    pixels = np.asarray(plain)
    return np.rint(pixels).astype(np.uint16) if format.dtype == "uint16" else pixels


def attempt(function: Callable[[], Any]) -> tuple[Any, str | None]:
    """Return the result of a function that reads a file, or why it failed.

    Returns
    -------
    result : object
        None if the function failed.
    reason : str or None
        The end of a sentence that begins with the path; None for a result.
    """
    try:
        return function(), None
    except MemoryError:
        raise
    # Pillow raises many types of errors for corrupt files: SyntaxError, struct.error...
    except Exception as error:
        return None, _reason(error)


@contextlib.contextmanager
def _open(path: str) -> Iterator[Any]:
    """Open a file that holds an image."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise _Unreadable("does not exist" + _hint(path)) from None
    if stat.S_ISDIR(status.st_mode):
        raise _Unreadable("is a folder")
    if not stat.S_ISREG(status.st_mode):  # reading a pipe may never end
        raise _Unreadable("is not a regular file")
    if status.st_size == 0:
        raise _Unreadable("is empty")
    # Given a path, Pillow maps uncompressed files into memory, and scrambles the pixels
    # of TIFF files that are sideways.
    with open(path, "rb") as file, pillow().open(file) as image:
        yield image


def _hint(path: str) -> str:
    """Return what may be wrong with the path of a missing file."""
    if "://" in path:
        return ": it is a URL; download the file and pass its path"
    if path.startswith("~"):
        return ": '~' is not expanded; pass os.path.expanduser(path)"
    if not os.path.isabs(path):
        return f" in the working folder {os.getcwd()!r}"
    return ""


def _reason(error: Exception) -> str:
    module = pillow()
    if isinstance(error, _Unreadable):
        return str(error)
    if isinstance(error, module.UnidentifiedImageError):
        return "is not an image that Pillow can read"
    if isinstance(
        error, (module.DecompressionBombError, module.DecompressionBombWarning)
    ):
        return (
            f"has more than {module.MAX_IMAGE_PIXELS} pixels, which Pillow takes for a "
            "decompression bomb. If you trust it, raise PIL.Image.MAX_IMAGE_PIXELS"
        )
    if isinstance(error, FileNotFoundError):  # deleted since ``_open`` looked at it
        return "does not exist"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be opened: {error.strerror}"
    return f"cannot be decoded: {str(error) or type(error).__name__}"


def _is_deep(image) -> bool:
    """Return whether an image has 16 bits per pixel (raise for floats)."""
    if image.mode == "F":
        raise _Unreadable(
            "holds floats, whose range is unknown; pass an array of its pixels"
        )
    return image.mode == "I" or image.mode.startswith("I;16")


def _orientation(image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # Broken EXIF data need not mean broken pixels.
        return 1


def _upright_size(image) -> tuple[int, int]:
    width, height = image.size
    if width != height and _orientation(image) in _SIDEWAYS:
        if image.format == "TIFF":
            image.load()  # turns it upright; older versions change the size only here
            width, height = image.size
        else:
            width, height = height, width
    return height, width


def _draft(image, format: FileFormat) -> tuple[float, ...] | None:
    """Let a JPEG decoder reduce a large image; return the box that it then fills."""
    if image.format not in ("JPEG", "MPO"):
        return None
    height, width = (_DRAFT * length for length in format.size)
    size = (height, width) if _orientation(image) in _SIDEWAYS else (width, height)
    drafted = image.draft(None, size)
    return None if drafted is None else drafted[1]


def _plain(image, format: FileFormat) -> Any:
    """Return an image of 8 bits per channel, in the mode "L" or "RGB"."""
    if _is_deep(image):
        # 65535 / 255 = 257; the sum rounds to the nearest.
        image = pillow().fromarray(((_sixteen_bits(image) + 128) // 257).astype("u1"))
    elif image.has_transparency_data:
        image = _over_white(image)
    elif image.mode not in ("1", "L"):
        image = image.convert("RGB")
    return image.convert("L" if format.n_channels == 1 else "RGB")


def _deep(image) -> Any:
    """Return a grayscale image of floats from 0 to 65535, which Pillow can resize."""
    if _is_deep(image):
        values = _sixteen_bits(image)
    else:
        values = np.asarray(_plain(image, FileFormat((0, 0), 1, "uint8")), "f4") * 257
    return pillow().fromarray(values.astype(np.float32))


def _over_white(image) -> Any:
    layer = image.convert("RGBA")
    white = pillow().new("RGBA", layer.size, "white")
    return pillow().alpha_composite(white, layer).convert("RGB")


def _sixteen_bits(image) -> np.ndarray:
    """Return the pixels from 0 to 65535 as int64, transparent ones as white."""
    values = np.asarray(image).astype(np.int64)
    low, high = values.min(), values.max()
    if low < 0 or high > 65535:
        raise _Unreadable(
            f"holds integers from {low} to {high}, more than 16 bits; pass an array of "
            "its pixels"
        )
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        values[values == transparent] = 65535
    return values
