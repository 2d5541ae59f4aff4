"""What lies between skdeep and its surroundings: versions, warnings and file names."""

from __future__ import annotations

import errno
import inspect
import os
import stat
import sys
import warnings
from pathlib import Path
from reprlib import repr as short

import joblib
import sklearn
import torch
from sklearn.exceptions import InconsistentVersionWarning

__version__ = "0.1.0"

# Packages between a user's line and the warning. (Python 3.12 has skip_file_prefixes.)
_BETWEEN = tuple(
    os.path.join(os.path.dirname(os.path.abspath(file)), "")
    for file in (__file__, sklearn.__file__, joblib.__file__, torch.__file__)
)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user's that has called skdeep.

    It is the nearest one that is neither in skdeep nor in a package that calls it, such
    as scikit-learn in a cross-validation.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def check_file_name(path: Path, argument: str) -> None:
    """Refuse a path that can be no file: a folder, a device, a name that is too long.

    Parameters
    ----------
    path : Path
        The path; it need not exist.
    argument : str
        Name of the argument, for the message.

    Raises
    ------
    ValueError
        Naming the argument and what it is.
    """
    told = f"{argument}={short(str(path))}"
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(f"{told} is too long for the name of a file.") from error
        return  # for whoever opens it to say
    except ValueError as error:
        raise ValueError(f"{told} cannot be the name of a file: {error}.") from error
    if stat.S_ISDIR(mode):
        raise ValueError(f"{told} is a folder, not a file.")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{told} is a device or a pipe, not a file.")


class SkdeepVersionWarning(InconsistentVersionWarning):
    """Tells that a pickled estimator comes from another release of skdeep."""

    def __str__(self):
        return (
            f"{self.estimator_name} was saved with skdeep "
            f"{self.original_sklearn_version} and is loaded with "
            f"{self.current_sklearn_version}. Its predictions should be the same, but "
            "that is not tested; compare some, or load it with the release that saved "
            "it. Parameters that are new since then have their defaults."
        )


class VersionedPickle:
    """Pickles of an estimator tell which release has made them."""

    def __getstate__(self):
        return {**super().__getstate__(), "_skdeep_version": __version__}  # type: ignore

    def __setstate__(self, state):
        version = state.pop("_skdeep_version", "0.1.0 or earlier")
        if version != __version__:
            warnings.warn(
                SkdeepVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=__version__,
                    original_sklearn_version=version,
                ),
                stacklevel=2,
            )
        signature = inspect.signature(type(self).__init__).parameters
        missing = {
            name: parameter.default
            for name, parameter in signature.items()
            if name not in state and parameter.default is not parameter.empty
        }
        super().__setstate__({**missing, **state})  # type: ignore
