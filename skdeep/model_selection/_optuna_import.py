"""Importing Optuna, which is optional and slow to import, only when it is needed."""

from __future__ import annotations

import sys
import warnings

from sklearn.utils._param_validation import HasMethods

from skdeep._optional_dependencies import import_optional

#: Optuna's sampler classes, by the names that OptunaSearchCV takes.
SAMPLERS = {
    "tpe": "TPESampler",
    "random": "RandomSampler",
    "cmaes": "CmaEsSampler",
    "gp": "GPSampler",
    "nsgaii": "NSGAIISampler",
}
#: Names of the pruners that OptunaSearchCV takes.
PRUNERS = ("median", "hyperband", "successive_halving", "none")


def import_optuna() -> None:
    """Import Optuna before any module here that needs it.

    Raises
    ------
    ImportError
        If Optuna is not installed.
    """
    with warnings.catch_warnings():
        # In a notebook without ipywidgets, tqdm warns that Optuna's own progress bar,
        # which is not used here, cannot be shown.
        warnings.filterwarnings("ignore", "IProgress not found")
        import_optional("optuna", extra="tune", user="OptunaSearchCV")


class OptunaInstance(HasMethods):
    """Parameter constraint: an instance of a class of Optuna.

    Checking it does not import Optuna: without the import there are no instances. It
    derives from ``HasMethods`` because scikit-learn accepts only constraints of types
    it knows.

    Parameters
    ----------
    module : str
        A module of Optuna, such as "samplers".
    name : str
        The class.
    """

    def __init__(self, module: str, name: str):
        super().__init__("__class__")
        self.module, self.name = module, name

    def is_satisfied_by(self, val) -> bool:
        """Return whether a value is an instance of the class."""
        module = sys.modules.get(f"optuna.{self.module}")
        return module is not None and isinstance(val, getattr(module, self.name))

    def __str__(self):
        return f"an instance of 'optuna.{self.module}.{self.name}'"
