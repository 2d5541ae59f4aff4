"""The installed distribution: scikit-deep, which another one can overwrite."""

import warnings
from importlib.metadata import PackageNotFoundError, distribution


def warn_of_other_skdeep() -> None:
    """Warn if the unrelated distribution "skdeep" has installed its files here, too.

    Both distributions install the import package ``skdeep``. Whichever is removed first
    takes files of the other one with it.
    """
    try:
        other = distribution("skdeep")
    except PackageNotFoundError:
        return
    if any(file.parts[0] == "skdeep" for file in other.files or ()):
        warnings.warn(
            f"The distribution skdeep {other.version}, another project, is installed "
            "in the same folder as scikit-deep. Run `pip uninstall skdeep "
            "scikit-deep`, then `pip install scikit-deep`.",
            stacklevel=2,
        )
