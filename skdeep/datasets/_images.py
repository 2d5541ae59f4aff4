"""load_images: the images in a folder, and the names of their subfolders as classes."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.utils._param_validation import validate_params

from skdeep._messages import did_you_mean, warn

# Formats that Pillow reads in all its builds, and the usual optional ones.
EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp"),
    *(".tif", ".tiff", ".avif", ".jp2", ".pbm", ".pgm", ".ppm", ".pnm", ".tga"),
)


@validate_params(
    {
        "folder": [str, os.PathLike],
        "extensions": [str, list, tuple, set, frozenset, None],
    },
    prefer_skip_nested_validation=True,
)
def load_images(folder, *, extensions=None):
    """Find the images in a folder, with a subfolder for each class.

    The files are not read: the paths can be passed to an estimator, which reads them.

    Parameters
    ----------
    folder : str or path-like
        The folder whose subfolders are the classes. "~" is the user's home folder.

    extensions : str or sequence of str, default=None
        The endings of the files to take, such as ".png", in upper or lower case. None
        takes those of the usual image formats: ".jpg", ".jpeg", ".jpe", ".jfif",
        ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".avif", ".jp2",
        ".pbm", ".pgm", ".ppm", ".pnm" and ".tga".

    Returns
    -------
    paths : ndarray of shape (n_samples,)
        The paths of the images as str, sorted by class and name. They are relative if
        ``folder`` is.

    labels : ndarray of shape (n_samples,)
        The name of each image's subfolder.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder, or it is a file.
    ValueError
        If there are no subfolders, or no images in them.

    Warns
    -----
    UserWarning
        If a subfolder has no images. Its name is not among the labels then.

    Notes
    -----
    Images in folders within a subfolder belong to the class of the subfolder. Files and
    folders whose names begin with "." are left out, and links to folders within a
    subfolder are not followed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from skdeep.datasets import load_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, gray in [("day/1.png", 255), ("night/1.png", 0)]:
    ...         path = Path(folder, name)
    ...         path.parent.mkdir()
    ...         Image.fromarray(np.full((4, 4), gray, dtype=np.uint8)).save(path)
    ...     paths, labels = load_images(folder)
    >>> [Path(path).name for path in paths]
    ['1.png', '1.png']
    >>> labels
    array(['day', 'night'], dtype='<U5')
    """
    endings = _check_extensions(extensions)
    root = _check_folder(folder)
    by_class = {name: _images_below(root / name, endings) for name in _subfolders(root)}
    _check_found(by_class, root, endings)
    paths = [path for found in by_class.values() for path in found]
    labels = [name for name, found in by_class.items() for _ in found]
    return np.array(paths), np.array(labels)


def _check_extensions(extensions: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the endings in lower case, with a dot."""
    if extensions is None:
        return EXTENSIONS
    given = [extensions] if isinstance(extensions, str) else list(extensions)
    if not given or not all(isinstance(e, str) and e.strip(". ") for e in given):
        raise ValueError(
            f"extensions={extensions!r} must hold at least one ending of file names, "
            "such as '.png'; None takes all usual ones."
        )
    return tuple("." + ending.strip().lower().removeprefix(".") for ending in given)


def _check_folder(folder: str | os.PathLike) -> Path:
    if not os.fsdecode(folder).strip():
        raise ValueError(f"folder={folder!r} must name a folder.")
    path = Path(os.path.expanduser(os.fsdecode(folder)))
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            return path
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path) from None
    except (OSError, ValueError) as error:  # such as a null character
        raise ValueError(f"folder={str(path)!r} cannot be read: {error}.") from error
    raise NotADirectoryError(
        f"folder={str(path)!r} is a file. Pass the folder that has a subfolder for "
        "each class."
    )


def _missing(path: Path) -> FileNotFoundError:
    siblings = []
    with contextlib.suppress(OSError):
        siblings = [entry.name for entry in path.parent.iterdir() if entry.is_dir()]
    suggestion = did_you_mean(path.name, siblings)
    return FileNotFoundError(f"There is no folder={str(path)!r}. {suggestion}".rstrip())


def _subfolders(root: Path) -> list[str]:
    """Return the names of the classes, sorted."""
    try:
        entries = list(root.iterdir())
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"folder={str(root)!r} cannot be read: {reason}.") from error
    return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _images_below(folder: Path, endings: tuple[str, ...]) -> list[str]:
    """Return the paths of the images in a folder and the folders within it, sorted."""
    found = []
    for parent, folders, files in os.walk(folder, onerror=_raise_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(parent, f) for f in files if _is_image(f, endings)]
    return sorted(found)


def _raise_unreadable(error: OSError) -> None:
    raise ValueError(
        f"folder: {error.filename!r} cannot be read: {error.strerror}."
    ) from error


def _is_image(name: str, endings: tuple[str, ...]) -> bool:
    return not name.startswith(".") and name.lower().endswith(endings)


def _check_found(by_class: dict[str, list[str]], root: Path, endings) -> None:
    """Raise if there are no images; warn of classes without any."""
    where = f"folder={str(root)!r}"
    if not by_class:
        n_images = sum(_is_image(name, endings) for name in os.listdir(root))
        found = f"{n_images} images but " if n_images else ""
        raise ValueError(
            f"{where} has {found}no subfolders. load_images expects a subfolder for "
            "each class; its name is the label of the images in it."
        )
    empty = [name for name, found in by_class.items() if not found]
    if len(empty) == len(by_class):
        raise ValueError(
            f"The subfolders of {where} ({_quote(empty)}) hold no images. Files whose "
            f"names end in {_quote(endings)} are images; others can be set by "
            "extensions."
        )
    if empty:
        warn(f"These subfolders of {where} have no images: {_quote(empty)}.")


def _quote(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names[:10]]
    return ", ".join(quoted + ["..."] * (len(names) > 10))
