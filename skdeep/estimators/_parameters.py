"""The parameters that all networks share: their constraints and documentation."""

from __future__ import annotations

import inspect
import re
from numbers import Integral, Real
from textwrap import indent

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from skdeep.estimators._calls import explaining_arguments
from skdeep.losses import MULTICLASS_LOSSES, REGRESSION_LOSSES
from skdeep.training import LEARNING_RATES, STOCHASTIC_SOLVERS

TRAINING_CONSTRAINTS: dict = {
    "solver": [StrOptions({"lbfgs", *STOCHASTIC_SOLVERS}), callable],
    "solver_params": [dict, None],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions(set(LEARNING_RATES))],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean", StrOptions({"loss"})],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "validation_split": [StrOptions({"random", "last"})],
    "validation_gap": [Interval(Integral, 0, None, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "max_grad_norm": [None, Interval(Real, 0, None, closed="neither")],
    "accumulate": [Interval(Integral, 1, None, closed="left")],
    "weight_averaging": [Interval(Real, 0, 1, closed="left")],
    "callbacks": [None, list, tuple],
    "device": [str],
    "dtype": [None, StrOptions({"float32", "float64"})],
    "precision": [None, StrOptions({"bf16"})],
    "compile": ["boolean"],
}

INITIAL_WEIGHTS_CONSTRAINTS: dict = {"initial_weights": [dict, None]}

CLASSIFIER_CONSTRAINTS: dict = {
    "loss": [StrOptions(set(MULTICLASS_LOSSES)), callable],
    "focal_gamma": [Interval(Real, 0, None, closed="left")],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    "cost_matrix": ["array-like", None],
    "class_weight": [StrOptions({"balanced"}), dict, list, None],
}

REGRESSOR_CONSTRAINTS: dict = {
    "loss": [StrOptions(set(REGRESSION_LOSSES)), callable],
    "quantile": [Interval(Real, 0, 1, closed="neither")],
    "huber_delta": [Interval(Real, 0, None, closed="neither")],
}

CLASSIFIER_DOC = """\
loss : {'log_loss', 'hinge', 'squared_hinge', 'kl_divergence', 'focal', \
'expected_cost', 'pairwise_auc'} or callable, default='log_loss'
    The loss function. The hinge losses and 'pairwise_auc' give no probabilities.
    'expected_cost' is the expected cost of a decision drawn from the predicted
    probabilities, which express how certain the decision is, not how probable a class.
    'pairwise_auc' compares each row with the rows of other classes in its batch, to
    maximize the area under the ROC curve; a pair is weighted by the product of its
    sample weights. 'kl_divergence' takes labels, or class probabilities as 2-D y. A
    callable takes raw scores (n_samples, n_classes) and class indices (n_samples,), or,
    for multilabel y, raw scores and 0 or 1 of shape (n_samples, n_labels); it returns a
    tensor with a value for each sample, or their mean.
focal_gamma : float, default=2.0
    How strongly the focal loss down-weights samples that are already classified well;
    0 makes it the log loss.
label_smoothing : float, default=0.0
    Share of each label spread evenly over the classes. For ``loss="log_loss"``.
cost_matrix : array-like of shape (n_classes, n_classes), default=None
    Non-negative cost of each decision (columns) for each true class (rows). A data
    frame is matched by its labels, which must be the classes; an array follows the
    sorted order of the classes. None means 1 for every error. Used by 'expected_cost';
    checked for every loss.
class_weight : dict, list of dict or 'balanced', default=None
    Weights of the classes, multiplied with the sample weights; 'balanced' means
    inversely proportional to the class frequencies."""

REGRESSOR_DOC = """\
loss : {'squared_error', 'absolute_error', 'squared_log_error', 'huber', 'poisson', \
'quantile', 'gaussian'} or callable, default='squared_error'
    The loss function. 'poisson' predicts the exponential of the raw score and needs
    y >= 0; 'squared_log_error' needs y > -1. 'gaussian' fits a mean and a standard
    deviation for each sample, see the method predict. A callable takes raw scores and
    targets, both (n_samples, n_outputs), and returns a tensor with a value for each
    sample, or their mean.
quantile : float, default=0.5
    The quantile that the loss 'quantile' predicts.
huber_delta : float, default=1.0
    The error beyond which the loss 'huber' is linear; in standard deviations of the
    target with ``scale_target``.
scale_target : bool, default=False
    Whether to standardize y for training, each output separately; predictions are in
    the unit of y. A network learns y far from 0, or much larger or smaller than 1,
    slowly or not at all. Losses, ``tol``, ``y_val`` and what callbacks see are then in
    standard deviations too. Mean and standard deviation are those of the (weighted)
    training rows; with ``partial_fit``, those of the first call. Not for 'poisson' and
    'squared_log_error', which take the logarithm of y. If float32 is too coarse for y,
    predictions are float64."""

TRAINING_DOC = """\
solver : {'lbfgs', 'sgd', 'adam', 'adamw', 'nadam', 'rmsprop', 'adagrad', 'adadelta'} \
or callable, default='adam'
    The optimizer. 'lbfgs' uses all rows at once, in float64, and suits small data; the
    others train in batches. 'adamw' decays the weights by ``alpha`` times the learning
    rate in every step, instead of the L2 penalty. A callable builds a
    ``torch.optim.Optimizer`` from the list of parameters: a class, a
    ``functools.partial`` of one, or a function, which can form parameter groups with
    their own learning rates. It gets ``lr=learning_rate_init`` if it takes ``lr``.
    ``torch.optim.Muon`` updates the matrices, AdamW all other parameters.
solver_params : dict, default=None
    Further arguments of a callable solver. The items are also available as parameters
    ``solver__x``, in ``set_params`` and in searches.
alpha : float, default=0.0001
    Strength of the L2 penalty on the weights (not the biases), divided by the number of
    samples in the batch. Frozen weights are not penalized.
batch_size : int or 'auto', default='auto'
    Number of samples in a batch; 'auto' is ``min(200, n_samples)``.
learning_rate : {'constant', 'invscaling', 'adaptive', 'cosine', 'one_cycle', \
'exponential', 'plateau'}, default='constant'
    Schedule of the learning rate. 'invscaling' divides it by ``t_ ** power_t`` and
    'adaptive' divides it by 5 when training would stop; both need ``solver='sgd'``. The
    others work with every stochastic solver and span ``max_iter`` epochs: 'cosine'
    falls to 0 along half a cosine; 'one_cycle' rises for three tenths of the steps and
    then falls to 0; 'exponential' falls to a hundredth. 'plateau' divides the rate by 5
    after every ``n_iter_no_change // 2`` epochs without improvement.
learning_rate_init : float, default=0.001
    The initial learning rate; for 'one_cycle' the highest one.
power_t : float, default=0.5
    The exponent of 'invscaling'.
max_iter : int, default=200
    Maximum number of epochs, or of iterations with 'lbfgs'.
shuffle : bool, default=True
    Whether to shuffle the samples in each epoch.
random_state : int, RandomState instance, default=None
    Determines the initial weights, the order of samples, the validation rows and
    dropout. An int gives the same network on every run.
tol : float, default=0.0001
    Minimum improvement of the loss, or of the score with early stopping.
verbose : bool or int, default=False
    Whether to show progress: a live bar in a notebook and on a terminal, lines of text
    elsewhere.
warm_start : bool, default=False
    Whether ``fit`` continues the network of the last call.
momentum : float, default=0.9
    Momentum of 'sgd' and 'rmsprop'.
nesterovs_momentum : bool, default=True
    Whether 'sgd' uses Nesterov's momentum.
early_stopping : bool or 'loss', default=False
    Whether to stop when the validation score, or with 'loss' the validation loss, has
    not improved by ``tol`` for ``n_iter_no_change`` epochs. The weights of the best
    epoch are kept. If False, the training loss must improve.
validation_fraction : float, default=0.1
    Share of the samples set aside for early stopping, unless ``X_val`` is given.
validation_split : {'random', 'last'}, default='random'
    Which samples are set aside: a random part (of each class), or the last rows, which
    is right for time series.
validation_gap : int, default=0
    Number of rows dropped before the last rows, so that labels of training rows do not
    overlap with them.
beta_1 : float, default=0.9
    Decay of the first moment in Adam and its variants.
beta_2 : float, default=0.999
    Decay of the second moment in Adam and its variants.
epsilon : float, default=1e-8
    Numerical stability constant of the solvers that divide by a moment.
n_iter_no_change : int or inf, default=10
    Number of consecutive epochs without improvement after which training stops.
max_fun : int, default=15000
    Maximum number of loss evaluations of 'lbfgs'.
max_grad_norm : float, default=None
    Maximum norm of the gradient; longer gradients are clipped.
accumulate : int, default=1
    Number of batches whose gradients are accumulated for one step, as with a batch that
    many times larger, but without its memory.
weight_averaging : float, default=0.0
    Decay of the exponential moving average of the weights over the steps, for example
    0.99. The averaged weights are evaluated and kept. 0 means no averaging.
callbacks : list of skorch callbacks, default=None
    Called during training. Each fit copies them to ``callbacks_``, if they can be
    copied.
device : str, default='auto'
    Where to compute: 'cpu', 'cuda', 'cuda:1', 'mps', or 'auto' for an accelerator if
    there is one. A network trained on one device can be loaded on any machine.
dtype : {'float32', 'float64'}, default=None
    Precision of the computation. None means that of X on the CPU and float32 elsewhere.
precision : {'bf16'}, default=None
    'bf16' runs the network in mixed precision (``torch.autocast``); weights and
    predictions keep ``dtype``, and so does an LSTM on a CPU that has none in 'bf16'.
compile : bool, default=False
    Whether to compile the network with ``torch.compile``, which needs a C++ compiler
    and pays off for large networks."""

INITIAL_WEIGHTS_DOC = """\
initial_weights : dict of str to ndarray, default=None
    Weights to start from, such as those of a pretrained network, by their names in the
    ``state_dict()`` of ``module_``. All others are drawn. A fit that continues an
    earlier one, with ``warm_start`` or ``partial_fit``, ignores them."""

FITTED_DOC = """\
n_features_in_ : int
    Number of features seen in ``fit``.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the features, if X has names that are all strings.
n_outputs_ : int
    Number of targets, or of raw scores for a classifier.
out_activation_ : str
    Name of the link from raw scores to predictions.
loss_ : float
    The training loss of the last epoch.
best_loss_ : float or None
    The lowest training loss; None with early stopping.
loss_curve_ : list of float
    The training loss of each epoch.
validation_scores_ : list of float or None
    The validation score of each epoch, if there are validation rows.
best_validation_score_ : float or None
    The validation score of the best epoch, if there are validation rows.
n_iter_ : int
    Number of epochs of the last call.
t_ : int
    Number of samples seen in training, counting repetitions.
history_ : list of dict
    One record per epoch: ``epoch``, ``train_loss``, ``learning_rate``, ``duration``
    in seconds and, with validation rows, ``valid_loss`` and ``valid_score``.
module_ : torch.nn.Module
    The trained network.
net_ : skorch.NeuralNet
    A skorch net around the trained network.
criterion_ : torch.nn.Module
    The loss. If ``loss`` is a module, this is a trained copy of it.
callbacks_ : list of skorch callbacks
    The callbacks after training. They are not pickled."""


def adapted(doc: str, without: tuple[str, ...] = (), **defaults) -> str:
    """Return a piece of a docstring without some parameters, with other defaults."""
    entries = re.split(r"\n(?=\w+ :)", doc)
    kept = [entry for entry in entries if entry.split(" :")[0] not in without]
    for i, entry in enumerate(kept):
        name = entry.split(" :")[0]
        if name in defaults:
            new = f"default={defaults[name]!r}"
            kept[i] = re.sub(r"default=.+", new, entry, count=1)
    return "\n".join(kept)


def documented(**pieces: str):
    """Decorate an estimator: insert pieces into its docstrings in place of ``{name}``.

    Those of its own methods are filled, too. Errors of wrong arguments of its
    constructor are explained.
    """

    def fill(cls):
        cls.__init__ = explaining_arguments(cls.__init__)
        methods = [each for each in vars(cls).values() if inspect.isfunction(each)]
        for documented in (cls, *methods):
            if documented.__doc__:
                documented.__doc__ = _filled(documented.__doc__, pieces)
        return cls

    return fill


def _filled(doc: str, pieces: dict[str, str]) -> str:
    """Return a docstring with pieces in the lines that hold their names alone."""

    def piece(found: re.Match) -> str:
        text = pieces.get(found["name"])
        return found[0] if text is None else indent(text, found["indent"])

    return re.sub(r"^(?P<indent> *)\{(?P<name>\w+)\}$", piece, doc, flags=re.M)
