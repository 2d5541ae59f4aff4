"""Optuna, imported before anything else here asks for it.

In a notebook without ipywidgets its import warns that there will be no bar of theirs,
which nobody has asked for.
"""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "IProgress not found")
    import optuna  # noqa: F401
