"""Training: from networks, losses and tensors to trained networks.

Four nouns carry it.

``Batch``
    Some rows as tensors: ``inputs`` (a tuple or dict of tensors, each (n, ...)),
    ``target`` (n, ...) and ``weight`` (n,), which may be missing.
``Source``
    Gives batches by row index. It may ``renew`` its rows before an epoch (simulated
    paths, replay buffers) and is told whether rows are for training (augmentation).
    ``RowSource`` puts targets and weights beside the inputs that ``encoding`` makes.
``Objective``
    ``losses(networks, batch)`` gives the loss of each row, (n,), fit for autograd.
    ``Supervised(loss)`` compares a network's outputs with targets.
``Learner``
    One module, one objective, one optimizer. ``step(batch)`` computes the gradient,
    adds the L2 penalty, clips and updates. ``DenseLearner`` does the same for a plain
    dense network by a hand-written gradient over flat buffers.

A ``Task`` has one learner or more (generator and discriminator take their steps in
turn), the sources to train on and to watch, and the options. ``train(task)`` passes it
on in this order:

1. ``_loop.train`` settles threads and torch's global generators.
2. ``_epochs.Fit.run`` runs the epochs: order the rows, take batches, let every learner
   step, evaluate the validation rows, see whether to stop, tell callbacks, write a
   checkpoint.
3. ``Learner.step`` takes one step.

Beside this stand ``_lbfgs`` (scipy's L-BFGS over all rows), ``_net`` (skorch's
callbacks), ``_inference`` (forward passes without gradients, in chunks bounded in
bytes), and the training of many dense networks at once: ``_population``
(``_grouping``, ``_passes``, ``_stacked``, ``_graph``), reached by ``train_together``
or, from threads of joblib's backend "skdeep", through ``_scheduler`` and ``_backend``.
"""

from skdeep.training import _backend  # noqa: F401 (registers the backend of joblib)
from skdeep.training._batches import Batch, RowSource, Source
from skdeep.training._checkpoint import Checkpoint
from skdeep.training._dense import DenseLearner
from skdeep.training._device import memory_errors, own_generators, resolve_device
from skdeep.training._inference import call, hidden_values, raw_scores
from skdeep.training._learner import Learner
from skdeep.training._loop import train, train_together
from skdeep.training._module_state import ModuleState
from skdeep.training._net import make_net
from skdeep.training._objectives import Objective, Supervised
from skdeep.training._optimizers import STOCHASTIC_SOLVERS
from skdeep.training._schedules import LEARNING_RATES
from skdeep.training._task import Task, TrainingOptions, TrainingState

__all__ = [
    "LEARNING_RATES",
    "STOCHASTIC_SOLVERS",
    "Batch",
    "Checkpoint",
    "DenseLearner",
    "Learner",
    "ModuleState",
    "Objective",
    "RowSource",
    "Source",
    "Supervised",
    "Task",
    "TrainingOptions",
    "TrainingState",
    "call",
    "hidden_values",
    "make_net",
    "memory_errors",
    "own_generators",
    "raw_scores",
    "resolve_device",
    "train",
    "train_together",
]
