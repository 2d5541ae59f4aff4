"""Optional dependencies: imported where they are used, named where they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

# The distribution on PyPI. The name "skdeep" belongs to another project there.
_DISTRIBUTION = "scikit-deep"

# Import names that differ from the names of the packages.
_PACKAGES = {
    "PIL": "Pillow",
    "optuna": "Optuna",
    "skimage": "scikit-image",
    "talib": "TA-Lib",
}


def import_optional(module: str, *, extra: str, user: str) -> ModuleType:
    """Import a module of an optional dependency.

    Parameters
    ----------
    module : str
        The module, such as "skimage.segmentation".
    extra : str
        The extra of this distribution that installs it.
    user : str
        What needs it, for the message.

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    ImportError
        If the package is not installed. Errors inside an installed package are
        raised unchanged: installing it again would not help.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        top = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise
        raise ImportError(
            f"{user} needs {_PACKAGES.get(top, top)}, which is not installed: "
            f"pip install '{_DISTRIBUTION}[{extra}]'.",
            name=top,
        ) from error
