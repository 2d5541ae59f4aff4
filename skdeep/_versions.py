"""The release of skdeep, which pickled estimators record."""

from __future__ import annotations

import inspect

from sklearn.exceptions import InconsistentVersionWarning

from skdeep._messages import warn

__version__ = "0.1.0"


class SkdeepVersionWarning(InconsistentVersionWarning):
    """Warns that a pickled estimator comes from another release of skdeep."""

    def __str__(self):
        return (
            f"{self.estimator_name} was saved with skdeep "
            f"{self.original_sklearn_version} and is loaded with "
            f"{self.current_sklearn_version}. Its predictions should be the same, but "
            "this is not tested: compare some, or load it with the release that saved "
            "it. Parameters added since then have their defaults."
        )


class VersionedPickle:
    """Stores the release in pickles, and warns if another release loads them."""

    def __getstate__(self):
        return {**super().__getstate__(), "_skdeep_version": __version__}  # type: ignore

    def __setstate__(self, state):
        version = state.pop("_skdeep_version", "0.1.0 or earlier")
        if version != __version__:
            warn(
                SkdeepVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=__version__,
                    original_sklearn_version=version,
                )
            )
        # Parameters that an earlier release did not have: get_params needs them all.
        signature = inspect.signature(type(self).__init__).parameters
        missing = {
            name: parameter.default
            for name, parameter in signature.items()
            if name not in state and parameter.default is not parameter.empty
        }
        super().__setstate__({**missing, **state})  # type: ignore
