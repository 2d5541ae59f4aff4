"""Training: from networks, losses and tensors to trained networks.

It has four main classes.

``Batch``
    Some rows as tensors: ``inputs`` (a tuple or dict of tensors, each (n, ...)), and
    optionally ``target`` (n, ...) and ``weight`` (n,).
``Source``
    Returns batches by row index. It may ``renew`` its rows before an epoch (simulated
    paths, replay buffers) and knows whether rows are for training (augmentation).
    ``RowSource`` combines the inputs that ``encoding`` makes with targets and weights.
``Objective``
    ``losses(networks, batch)`` returns the differentiable loss of each row, (n,).
    ``Supervised(loss)`` compares a network's outputs with targets; ``Mixup(loss)`` does
    so for mixtures of two rows, and ``SequenceObjective(loss)`` for sequences that a
    network generates step by step, from a ``SequenceSource``. ``NextToken`` carries the
    state of a network from batch to batch. ``Reconstruction`` and ``EvidenceBound``
    compare the inputs with what an autoencoder makes of them. ``GeneratorObjective``
    and ``DiscriminatorObjective`` oppose each other, on ``AdversarialRows``.
``Learner``
    One module, one objective, one optimizer. ``step(batch)`` computes the gradient,
    adds the L2 penalty, clips and updates. ``DenseLearner`` does the same for a plain
    dense network, with a hand-written gradient over flat buffers.

A ``Task`` has one or more learners (generator and discriminator take their steps in
turn), the training and validation sources, and the options. ``train(task)`` calls:

1. ``_loop.train``: sets up threads and torch's global generators.
2. ``_epochs.Fit.run``: for each epoch, order the rows, take batches, step every
   learner, evaluate the validation rows, decide whether to stop, call the callbacks
   and write a checkpoint.
3. ``Learner.step``: takes one step.

Other modules: ``_lbfgs`` (scipy's L-BFGS over all rows), ``_net`` and
``_skorch_callbacks`` (skorch), ``_inference`` (forward passes without gradients, in
chunks bounded in bytes), ``_products`` (the matrix products of dense networks, in
torch's library or in numpy's), and the training of many dense networks at once:
``_population`` (``_grouping``, ``_stacked_batches``, ``_stacked_optimizers``,
``_stacked_inference``, ``_graph``), called some epochs at a time by
``SteppedTraining`` or, in threads of joblib's backend "skdeep", through ``_scheduler``
and ``_backend``, which shares large calls among ``_processes``.
``_history_callbacks`` calls skorch callbacks for a training of many networks.
"""

from skdeep.training import _backend  # noqa: F401 (registers the joblib backend)
from skdeep.training._adversarial import (
    DISCRIMINATOR,
    AdversarialRows,
    DiscriminatorObjective,
    GeneratorObjective,
)
from skdeep.training._batches import Batch, RowSource, SampledSource, Source
from skdeep.training._checkpoint import Checkpoint, stable_repr
from skdeep.training._dense import DenseLearner
from skdeep.training._device import (
    memory_errors,
    n_threads_for,
    resolve_device,
    seeded_generators,
    threads_for,
)
from skdeep.training._history_callbacks import HistoryCallbacks
from skdeep.training._inference import call, generate, hidden_values
from skdeep.training._learner import Learner
from skdeep.training._loop import predict_scores, train
from skdeep.training._module_state import ModuleState
from skdeep.training._net import make_net
from skdeep.training._objectives import Mixup, Objective, Supervised
from skdeep.training._optimizers import STOCHASTIC_SOLVERS, Adam
from skdeep.training._reconstruction import (
    EvidenceBound,
    Reconstruction,
    losses_and_codes,
    row_losses,
)
from skdeep.training._scheduler import check_once
from skdeep.training._schedules import LEARNING_RATES
from skdeep.training._sequences import SequenceObjective, SequenceSource
from skdeep.training._stacked_inference import stacked_raw_scores
from skdeep.training._stepped import SteppedTraining
from skdeep.training._streams import (
    Documents,
    NextToken,
    StreamBatch,
    document_losses,
    last_outputs,
)
from skdeep.training._task import (
    StackedScore,
    Task,
    TrainingOptions,
    TrainingState,
)

__all__ = [
    "DISCRIMINATOR",
    "LEARNING_RATES",
    "STOCHASTIC_SOLVERS",
    "Adam",
    "AdversarialRows",
    "Batch",
    "Checkpoint",
    "DenseLearner",
    "DiscriminatorObjective",
    "Documents",
    "EvidenceBound",
    "GeneratorObjective",
    "HistoryCallbacks",
    "Learner",
    "Mixup",
    "ModuleState",
    "NextToken",
    "Objective",
    "Reconstruction",
    "RowSource",
    "SampledSource",
    "SequenceObjective",
    "SequenceSource",
    "Source",
    "StackedScore",
    "SteppedTraining",
    "StreamBatch",
    "Supervised",
    "Task",
    "TrainingOptions",
    "TrainingState",
    "call",
    "check_once",
    "document_losses",
    "generate",
    "hidden_values",
    "last_outputs",
    "losses_and_codes",
    "make_net",
    "memory_errors",
    "n_threads_for",
    "predict_scores",
    "resolve_device",
    "row_losses",
    "seeded_generators",
    "stable_repr",
    "stacked_raw_scores",
    "threads_for",
    "train",
]
