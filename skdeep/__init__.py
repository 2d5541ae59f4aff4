"""Deep learning that behaves like scikit-learn."""

import joblib
import lazy_loader

from skdeep._distribution import warn_of_other_skdeep

# Subpackages and names are imported when they are first used: ``__init__.pyi`` lists
# them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _backend(**options):
    from skdeep.training._backend import PopulationBackend

    return PopulationBackend(**options)


# ``import skdeep`` makes the backend known to joblib without loading torch.
joblib.register_parallel_backend("skdeep", _backend)
warn_of_other_skdeep()
