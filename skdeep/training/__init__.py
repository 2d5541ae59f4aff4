"""Training: from a network, a loss and tensors to a trained network."""

from skdeep.training import _backend  # noqa: F401 (registers the backend of joblib)
from skdeep.training._device import own_generators, resolve_device
from skdeep.training._loop import train, train_together
from skdeep.training._net import make_net
from skdeep.training._optimizers import STOCHASTIC_SOLVERS
from skdeep.training._schedules import LEARNING_RATES
from skdeep.training._task import Data, Task, TrainingOptions, TrainingState
from skdeep.training._trainer import raw_scores

__all__ = [
    "LEARNING_RATES",
    "STOCHASTIC_SOLVERS",
    "Data",
    "Task",
    "TrainingOptions",
    "TrainingState",
    "make_net",
    "own_generators",
    "raw_scores",
    "resolve_device",
    "train",
    "train_together",
]
