"""Networks that write sequences: an encoder reads the input, a decoder writes."""

from __future__ import annotations

import functools
import math
import sys
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.stats import loguniform
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skdeep._input_checks import check_flag
from skdeep.encoding import (
    InputEncoder,
    SequenceEncoder,
    TokenEncoder,
    levels_of,
    sequence_targets,
)
from skdeep.estimators._base import BaseNetwork, is_stochastic, too_large
from skdeep.estimators._building import building
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._parameters import (
    FITTED_DOC,
    TRAINING_CONSTRAINTS,
    TRAINING_DOC,
    adapted,
    documented,
)
from skdeep.estimators._sequences_out import ROWS, STEPS, check_seq2seq
from skdeep.estimators._validation import check_training_weight
from skdeep.losses import NumberLoss, TokenLoss
from skdeep.networks import (
    CELLS,
    Seq2SeqNetwork,
    attention_weights,
    beam_search,
    decoder_inputs,
    greedy,
    run_freely,
)
from skdeep.training import (
    SequenceObjective,
    SequenceSource,
    generate,
    memory_errors,
)

_LEVELS = ("auto", "char", "word", "token")

_NETWORK_CONSTRAINTS: dict = {
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "cell": [StrOptions(set(CELLS))],
    "attention": ["boolean"],
    "num_layers": [Interval(Integral, 1, None, closed="left")],
    "bidirectional": ["boolean"],
    "embedding_dim": [
        StrOptions({"auto"}),
        Interval(Integral, 1, None, closed="left"),
    ],
    "level": [StrOptions(set(_LEVELS)), tuple, list],
    "beam_width": [Interval(Integral, 1, None, closed="left")],
    "max_length": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "scheduled_sampling": [Interval(Real, 0, 1, closed="both")],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
}

_TRAINING_DEFAULTS: dict = dict(
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    max_iter=30,
    max_grad_norm=1.0,
)
# Few pairs need small batches, or an epoch would have few of them.
_LARGEST_BATCH, _MIN_BATCHES, _MIN_STEPS = 64, 16, 64
_TRAINING_DOC = adapted(TRAINING_DOC, **_TRAINING_DEFAULTS).replace(
    "'auto' is ``min(200, n_samples)``",
    f"'auto' is\n    ``n_samples // {_MIN_BATCHES}``, at most {_LARGEST_BATCH}, and "
    f"enough for {_MIN_STEPS}\n    steps of y",
)
_FITTED_DOC = (
    adapted(FITTED_DOC, without=("n_outputs_", "criterion_"))
    .replace("features seen in ``fit``.", "features seen in ``fit``; not for tokens.")
    .replace(
        "out_activation_ : str",
        "n_outputs_ : int\n    Number of raw scores of a step.\nout_activation_ : str",
    )
    .replace(
        "module_ : torch",
        "criterion_ : torch.nn.Module\n    The loss.\nmodule_ : torch",
    )
)
# Wider vectors of tokens rarely help, and slow the training down.
_LARGEST_EMBEDDING = 64


@documented(training=_TRAINING_DOC, fitted=_FITTED_DOC)
class Seq2Seq(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseNetwork):
    """Encoder and decoder: reads a sequence, or a row, and writes a sequence.

    X and y hold *tokens* or *numbers*:

    - tokens: a list (or 1-D array) of strings, or a list of lists of tokens;
    - numbers: sequences (n_samples, n_timesteps, n_features), or a list of 1-D or 2-D
      arrays of different lengths. Rows of NaN at the end of a sequence are padding.

    X may also hold plain *rows* (n_samples, n_features), for example the features of
    images. y may be 1-D or 2-D: a step of one number, or steps of one number each.

    :meth:`predict` returns the kind of y that was passed to :meth:`fit`.

    Parameters
    ----------
    hidden_size : int, default=128
        Number of units of each layer, in each direction.
    cell : {'lstm', 'gru', 'rnn'}, default='lstm'
        Type of the layers: long short-term memory, gated recurrent units, or plain tanh
        units.
    attention : bool, default=True
        Whether each step of the decoder looks at all steps of the encoder. Otherwise
        all that the decoder knows of X is the last state of the encoder. Rows have no
        steps to look at, so it has no effect on them. The method
        :meth:`attention_weights` returns the weights.
    num_layers : int, default=1
        Number of layers of the encoder and of the decoder.
    bidirectional : bool, default=True
        Whether the encoder also reads from the end to the beginning.
    embedding_dim : int or 'auto', default='auto'
        Length of the learned vector of each token; 'auto' is ``hidden_size``, but at
        most 64.
    level : {'auto', 'char', 'word', 'token'} or pair of them, default='auto'
        What a token is; a pair is for X and y. 'char': a character of a string.
        'word': a word or punctuation mark of a string. 'token': an item of a list or of
        a row of an integer array, also if it is a number. 'auto' reads strings by
        character and lists of strings as tokens; other lists and arrays hold numbers.
    beam_width : int, default=1
        Number of sequences that ``predict`` follows at a time (beam search), for
        tokens. 1 takes the most probable token of each step. It may be changed after
        ``fit``.
    max_length : int or 'auto', default='auto'
        Maximum number of steps that ``predict`` writes. 'auto' is twice the longest y
        in ``fit``, and longer, in proportion, for sequences longer than any X in
        ``fit``. Sequences of numbers that all have one length in ``fit`` always get
        this length. It may be changed after ``fit``.
    dropout : float, default=0.0
        Share of values set to zero in each training step: of embedded tokens, between
        layers, and before the output.
    scheduled_sampling : float, default=0.0
        Probability, in the last epoch, with which the decoder is trained on what it has
        written itself instead of the step of y. It grows linearly from 0 in the first
        epoch. 0 is plain teacher forcing.
    label_smoothing : float, default=0.0
        Share of each token of y spread evenly over the vocabulary. Without effect on y
        of numbers.
    {training}

    Attributes
    ----------
    vocabulary_ : list or None
        The tokens of X, the most frequent first. None if X holds numbers.
    target_vocabulary_ : list or None
        The tokens of y, the most frequent first. None if y holds numbers.
    {fitted}

    See Also
    --------
    LSTMClassifier : A class for each sequence, or for each of its steps.
    LSTMForecaster : Forecasts of time series.

    Notes
    -----
    A recurrent network, the encoder, reads X: its last state starts the decoder, a
    second recurrent network (Sutskever et al., 2014). Rows are read by a dense layer
    instead. The decoder writes one step at a time and reads each step that it has
    written, until it writes the end token. With attention, it also reads the mean of
    the encoder's outputs, weighted by how well each fits its own state (Bahdanau et
    al., 2015; the product of Luong et al., 2015, without feeding it back into the
    recurrent layer).

    In training the decoder reads the steps of y instead of its own (teacher forcing).
    ``scheduled_sampling`` replaces some of them by what it would have written (Bengio
    et al., 2015), found in a first pass over the whole sequence (Mihaylova and Martins,
    2019). Tokens are trained on the cross entropy, numbers, which are standardized, on
    the squared error. The loss is the sum over the steps of a sequence, divided by the
    mean length of the training sequences. For numbers of different lengths the network
    also learns which step is the last.

    The vocabularies hold the tokens of the training rows, without validation rows. In
    ``predict``, other tokens of X are unknown: their vector is zero.

    The validation score of tokens is the share of exactly right sequences, written
    without a beam. It may stay at 0 for many epochs on hard problems, or if there are
    few validation rows; then ``early_stopping='loss'`` is the better choice.

    References
    ----------
    Sutskever, Vinyals & Le (2014). "Sequence to sequence learning with neural
    networks." NeurIPS.

    Bahdanau, Cho & Bengio (2015). "Neural machine translation by jointly learning to
    align and translate." ICLR.

    Luong, Pham & Manning (2015). "Effective approaches to attention-based neural
    machine translation." EMNLP.

    Bengio, Vinyals, Jaitly & Shazeer (2015). "Scheduled sampling for sequence
    prediction with recurrent neural networks." NeurIPS.

    Mihaylova & Martins (2019). "Scheduled sampling for transformers." ACL Student
    Research Workshop.

    Examples
    --------
    >>> from skdeep import Seq2Seq
    >>> X = ["two", "ten", "one and two", "two and one"]
    >>> y = ["2", "10", "1 + 2", "2 + 1"]
    >>> model = Seq2Seq(16, max_iter=30, learning_rate_init=0.05, random_state=0)
    >>> model.fit(X, y).predict(["ten", "two and one"])
    array(['10', '2 + 1'], dtype=object)
    """

    _parameter_constraints: dict = {**TRAINING_CONSTRAINTS, **_NETWORK_CONSTRAINTS}

    # Not a parameter: it follows from the kind of y.
    loss = None

    def __init__(
        self,
        hidden_size=128,
        *,
        cell="lstm",
        attention=True,
        num_layers=1,
        bidirectional=True,
        embedding_dim="auto",
        level="auto",
        beam_width=1,
        max_length="auto",
        dropout=0.0,
        scheduled_sampling=0.0,
        label_smoothing=0.0,
        solver="adam",
        solver_params=None,
        alpha=0.0001,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        power_t=0.5,
        max_iter=30,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        validation_split="random",
        validation_gap=0,
        max_grad_norm=1.0,
        accumulate=1,
        weight_averaging=0.0,
        callbacks=None,
        device="auto",
        dtype=None,
        precision=None,
        compile=False,
    ):
        self.hidden_size = hidden_size
        self.cell = cell
        self.attention = attention
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.embedding_dim = embedding_dim
        self.level = level
        self.beam_width = beam_width
        self.max_length = max_length
        self.dropout = dropout
        self.scheduled_sampling = scheduled_sampling
        self.label_smoothing = label_smoothing
        self.solver = solver
        self.solver_params = solver_params
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.validation_split = validation_split
        self.validation_gap = validation_gap
        self.max_grad_norm = max_grad_norm
        self.accumulate = accumulate
        self.weight_averaging = weight_averaging
        self.callbacks = callbacks
        self.device = device
        self.dtype = dtype
        self.precision = precision
        self.compile = compile

    # -- fit ---------------------------------------------------------------------------

    def _check(self, X, y="no_validation", *, dtype, schema=None):
        return check_seq2seq(self, X, y, dtype=dtype, schema=schema)

    def _check_options(self, incremental):
        super()._check_options(incremental)
        levels = levels_of(self.level)
        if len(levels) != 2 or not all(level in _LEVELS for level in levels):
            raise ValueError(
                f"level must be one of {_LEVELS} or a pair of them, for X and for y, "
                f"got {self.level!r}."
            )
        goes_on = hasattr(self, "_trained") and (self.warm_start or incremental)
        if goes_on and levels != self._schema.levels:
            raise ValueError(
                "warm_start and partial_fit continue a network of level="
                f"{self._schema.levels!r}, got level={self.level!r}."
            )
        if self.solver == "lbfgs" and self.scheduled_sampling:
            raise ValueError(
                "solver='lbfgs' needs a deterministic loss; scheduled_sampling="
                f"{self.scheduled_sampling!r} makes it random. Use another solver or "
                "scheduled_sampling=0."
            )

    def _make_inputs(self, schema):
        kinds = {ROWS: InputEncoder, STEPS: SequenceEncoder}
        return kinds.get(schema.layout, TokenEncoder)()

    def _make_targets(self, y, classes):
        return sequence_targets(y)

    def _known_targets(self, y):
        return self._targets

    def _plan_network(self, plan, sample, first):
        if first:
            # Validation rows have been set aside by now.
            plan.targets.learn(sample.codes, sample.weight)
        elif plan.targets.is_tokens:
            _check_known(plan.targets, sample.codes)
        self._check_beam_width(plan.targets)
        super()._plan_network(plan, sample, first)
        plan.fitted["vocabulary_"] = _tokens_of(plan.inputs)
        plan.fitted["target_vocabulary_"] = _tokens_of(plan.targets)

    def _check_beam_width(self, targets):
        """Raise if a beam search is impossible."""
        if not targets.is_tokens and self.beam_width > 1:
            raise ValueError(
                f"beam_width={self.beam_width} needs y of tokens, but y holds numbers, "
                "which have no probabilities. Set beam_width=1."
            )
        # Every token, or the end.
        n_choices = len(targets.vocabulary_.tokens) + 1 if targets.is_tokens else 1
        if self.beam_width > n_choices:
            raise ValueError(
                f"beam_width={self.beam_width} is larger than the vocabulary of y, "
                f"{n_choices} tokens with the end token. Decrease beam_width."
            )

    def _make_loss(self, targets):
        if targets.is_tokens:
            return TokenLoss(targets.mean_length_, float(self.label_smoothing))
        return NumberLoss(targets.mean_length_, targets.lengths_differ)

    def _objective(self, plan, generator):
        return SequenceObjective(
            plan.loss,
            plan.n_scores,
            self.precision,
            generator=generator,
            scheduled_sampling=float(self.scheduled_sampling),
            generate=_write_tokens if plan.targets.is_tokens else _write_numbers,
        )

    def _task(self, plan, sample, valid, *arguments):
        task: Any = super()._task(plan, sample, valid, *arguments)
        if self.batch_size == "auto":
            size = _auto_batch_size(len(sample), plan.targets.mean_length_)
            task.options = replace(task.options, batch_size=size)
            task.work = self._work(task.learner.module, size)
        previous = functools.partial(decoder_inputs, task.learner.module)
        task.train = SequenceSource(task.train, previous)
        if valid is not None:
            task.valid = SequenceSource(task.valid, previous)
            # Of sequences that were written, not of raw scores.
            task.score = lambda written: plan.targets.score(
                written, valid.codes, valid.weight
            )
        task.learner.objective.follow(task)
        return task

    def _decode(self, targets, loss, raw):
        return loss.predict(raw)

    def _decode_unscaled(self, targets, loss, raw):
        outputs = loss.predict(raw).cpu()
        if targets.is_tokens:
            return outputs
        values = outputs.numpy()
        return torch.from_numpy(targets.restored(values, values.dtype))

    def _probabilities(self, targets, loss, raw):
        return torch.softmax(raw, -1) if targets.is_tokens else raw

    def _n_scores(self, targets, loss):
        if targets.is_tokens:
            return targets.vocabulary_.size
        return targets.n_features + targets.lengths_differ

    def _network_config(self, plan):
        width = self.embedding_dim
        if width == "auto":
            width = min(self.hidden_size, _LARGEST_EMBEDDING)
        width = int(width)
        return {
            "source": _source_config(plan),
            "target": _target_config(plan.targets),
            "hidden_size": int(self.hidden_size),
            "cell": self.cell,
            "num_layers": int(self.num_layers),
            "bidirectional": bool(self.bidirectional),
            "attention": bool(self.attention) and plan.schema.layout != ROWS,
            "embedding_dims": (width, width),
            "dropout": float(self.dropout),
        }

    def _build(self, config, seed=0):
        sizes = (
            f"hidden_size={config['hidden_size']}, num_layers={config['num_layers']} "
            f"and embedding_dim={config['embedding_dims'][0]}"
        )
        with building(sizes):
            return Seq2SeqNetwork(**config)

    def _initialize(self, network, rng):
        network.initialize(rng)

    def _work(self, network, batch_size):
        return batch_size * network.work_per_row

    def _score_is_informative(self, targets, valid):
        return targets.targets_vary(valid.codes)

    def _search_space(self):
        return {
            "hidden_size": [64, 128, 256],
            "cell": ["lstm", "gru"],
            "num_layers": [1, 2],
            "dropout": [0.0, 0.1, 0.2, 0.3, 0.5],
            "scheduled_sampling": [0.0, 0.25, 0.5],
            "learning_rate_init": loguniform(1e-3, 3e-2),
            "batch_size": [32, "auto", 128],
        }

    # -- predict -----------------------------------------------------------------------

    def _write(self, table, n_steps: int | None = None) -> tuple[Tensor, Tensor]:
        """Write sequences: ids, or values; and the log-probabilities of the ids.

        With ``n_steps``, sequences of numbers get as many steps.
        """
        targets = self._targets
        self._validate_params()  # beam_width and max_length may have changed since fit
        self._check_beam_width(targets)
        with memory_errors():
            module, rows = self._encoded(table)
            write: Any = functools.partial(run_freely, stops=n_steps is None)
            if targets.is_tokens:
                write = functools.partial(beam_search, beam_width=self.beam_width)
            limit = self._limit(table) if n_steps is None else n_steps
            found = generate(write, module, rows, limit, precision=self.precision)
        written, log_proba = found if targets.is_tokens else (found, found[:, 0, 0])
        # After the last step, values are NaN.
        if not log_proba.isfinite().all() or written.isinf().any():
            raise ValueError(too_large(table))
        return written.cpu(), log_proba.cpu()

    def _limit(self, table) -> int | Tensor:
        """Return the maximum number of steps to write, of each row if they differ."""
        targets, longest = self._targets, getattr(self._inputs, "longest_", None)
        if not targets.is_tokens and not targets.lengths_differ:
            return targets.n_steps
        if self.max_length != "auto":
            return min(int(self.max_length), sys.maxsize)
        limit = 2 * targets.longest_
        if longest is None:
            return limit
        lengths = table.lengths
        if lengths is None:
            lengths = np.full(len(table), table.numeric.shape[1])
        limits = np.ceil(limit * np.maximum(lengths / longest, 1))
        return torch.from_numpy(limits.astype(np.int64))

    def _decoded(self, written: Tensor):
        """Return written sequences in the kind of y."""
        if self._targets.is_tokens:
            return self._targets.decode(written)
        lengths = (~written.isnan().any(-1)).sum(1)
        written = written[:, : int(lengths.max())]
        return self._targets.decode(written, lengths, self._dtype)

    # -- the methods of scikit-learn ---------------------------------------------------

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, X_val=None, y_val=None):
        """Train the network.

        Parameters
        ----------
        X : array-like or list of length n_samples
            Tokens, sequences of numbers, or rows, as described for the class.
        y : array-like or list of length n_samples
            Sequences of tokens or of numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. A row of weight 0 is ignored.
        X_val : array-like or list, default=None
            Validation rows, scored after every epoch. With ``early_stopping`` they
            replace the training rows that would be set aside.
        y_val : array-like or list, default=None
            Their targets.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If the data are invalid, with the argument and the value found; or if
            training diverges.

        Examples
        --------
        Pairs of words, read by word:

        >>> from skdeep import Seq2Seq
        >>> X, y = ["good day", "good night"], ["guten Tag", "gute Nacht"]
        >>> model = Seq2Seq(8, level="word", max_iter=2, random_state=0)
        >>> model.fit(X, y).target_vocabulary_
        ['Nacht', 'Tag', 'gute', 'guten']
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_if(is_stochastic)
    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train for one epoch on these rows.

        The first call decides the vocabularies, the scale of numbers and the kinds of X
        and y.

        Parameters
        ----------
        X : array-like or list of length n_samples
            Tokens, sequences of numbers, or rows, as described for the class.
        y : array-like or list of length n_samples
            Sequences of tokens or of numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The fitted estimator.

        Examples
        --------
        >>> from skdeep import Seq2Seq
        >>> X, y = ["ab", "ba"], ["AB", "BA"]
        >>> model = Seq2Seq(8, random_state=0)
        >>> for _ in range(3):
        ...     model = model.partial_fit(X, y)
        >>> model.t_
        6
        """
        return self._fit(X, y, sample_weight, incremental=True)

    @explaining_arguments
    def predict(self, X, return_log_proba=False):
        """Write a sequence for each row of X.

        Parameters
        ----------
        X : array-like or list of length n_samples
            Tokens, sequences of numbers, or rows, as in :meth:`fit`. Strings and lists
            may be empty here.
        return_log_proba : bool, default=False
            Whether to return the log-probabilities too; needs y of tokens.

        Returns
        -------
        y : ndarray
            The kind of y in :meth:`fit`: strings or lists of tokens (dtype object),
            numbers with as many axes, or arrays of different lengths (dtype object).
        log_proba : ndarray of shape (n_samples,)
            The logarithm of the probability of each sequence: the sum over its tokens
            and, unless it was cut at ``max_length``, the end token. Only with
            ``return_log_proba=True``.

        Raises
        ------
        ValueError
            If ``beam_width`` is larger than the vocabulary of y, or if
            ``return_log_proba=True`` and y holds numbers.

        Examples
        --------
        >>> from skdeep import Seq2Seq
        >>> model = Seq2Seq(8, max_iter=2, random_state=0).fit(["ab", "b"], ["A", "B"])
        >>> y, log_proba = model.predict(["a", "b", ""], return_log_proba=True)
        >>> y.shape, log_proba.shape
        ((3,), (3,))
        """
        check_is_fitted(self)
        return_log_proba = check_flag(return_log_proba, "return_log_proba")
        if return_log_proba and not self._targets.is_tokens:
            raise ValueError(
                "return_log_proba=True needs y of tokens, but the y of fit holds "
                "numbers, which have no probabilities."
            )
        ids_or_values, log_proba = self._write(self._checked_rows(X))
        y = self._decoded(ids_or_values)
        return (y, self._as_array(log_proba)) if return_log_proba else y

    @explaining_arguments
    def attention_weights(self, X):
        """Return how much each step written looks at each step of X.

        Parameters
        ----------
        X : list of length n_samples, or array-like of 3 axes
            Tokens or sequences of numbers, as in :meth:`fit`.

        Returns
        -------
        weights : list of ndarray of shape (n_steps_out, n_steps_in)
            A row for each step of the prediction, which sums to 1. For tokens of X the
            last column is the end token, which the encoder reads, too; for tokens of y
            the last row is the end token, unless the sequence was cut at
            ``max_length``.

        Raises
        ------
        ValueError
            If the estimator was fitted with ``attention=False``, or to plain rows.

        See Also
        --------
        skdeep.inspection.AttentionDisplay : Draws them.

        Examples
        --------
        >>> from skdeep import Seq2Seq
        >>> X, y = ["abc", "b"], ["ABC", "B"]
        >>> model = Seq2Seq(8, max_iter=2, random_state=0).fit(X, y)
        >>> [weights.shape[1] for weights in model.attention_weights(X)]
        [4, 2]
        """
        check_is_fitted(self)
        if not self._trained.config["attention"]:
            raise ValueError(
                "attention_weights needs an estimator fitted with attention=True to "
                "sequences; plain rows have no steps to look at."
            )
        table = self._checked_rows(X)
        written, _ = self._write(table)
        module, rows = self._encoded(table)
        written = written.to(module.head.weight.device)
        return generate(attention_weights, module, rows, written)

    @explaining_arguments
    def score(self, X, y, sample_weight=None):
        """Return the share of exactly right sequences, or R² for numbers.

        Tokens are compared as sequences of tokens. For numbers, the network writes as
        many steps as y has, and R² is that of all steps and features.

        Parameters
        ----------
        X : array-like or list of length n_samples
            Tokens, sequences of numbers, or rows, as in :meth:`fit`.
        y : array-like or list of length n_samples
            The true sequences.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            The share of right sequences, or R².

        See Also
        --------
        skdeep.metrics.token_error_rate : Counts wrong tokens.

        Examples
        --------
        >>> from skdeep import Seq2Seq
        >>> X, y = ["ab", "b"], ["AB", "B"]
        >>> model = Seq2Seq(16, max_iter=30, learning_rate_init=0.05, random_state=0)
        >>> model.fit(X, y).score(X, y)
        1.0
        """
        check_is_fitted(self)
        dtype = (np.float64, np.float32)
        table, y, _ = self._check(X, y, dtype=dtype, schema=self._schema)
        weight = check_training_weight(sample_weight, table)
        codes = self._targets.encode(y)
        n_steps = None if self._targets.is_tokens else codes.shape[1]
        return self._targets.score(self._write(table, n_steps)[0], codes, weight)

    @explaining_arguments
    def transform(self, X):
        """Return the last state of the encoder.

        Rows that are similar to the network have similar states.

        Parameters
        ----------
        X : array-like or list of length n_samples
            Tokens, sequences of numbers, or rows, as in :meth:`fit`.

        Returns
        -------
        states : ndarray of shape (n_samples, n_values)
            The state of the last layer, ``hidden_size`` values, and twice as many if
            ``bidirectional`` and X holds sequences.

        Examples
        --------
        >>> from skdeep import Seq2Seq
        >>> X, y = ["ab", "b"], ["AB", "B"]
        >>> model = Seq2Seq(8, max_iter=2, random_state=0).fit(X, y)
        >>> model.transform(X).shape
        (2, 16)
        """
        check_is_fitted(self)
        return self._hidden_values(self._checked_rows(X), "states")

    @property
    def _n_features_out(self) -> int:
        return self._trained.arrays["bridge.weight"].shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = False
        tags.input_tags.string = True
        tags.input_tags.three_d_array = True
        return tags


def _auto_batch_size(n_samples: int, mean_length: float) -> int:
    """Return the number of pairs in a batch, from the mean length of y."""
    least = math.ceil(_MIN_STEPS / max(mean_length, 1))
    return min(n_samples, max(least, min(_LARGEST_BATCH, n_samples // _MIN_BATCHES)))


def _check_known(targets, codes) -> None:
    """Raise if y holds a token that the first call of fit has not seen."""
    known = set(targets.vocabulary_.tokens)
    for row, tokens in enumerate(codes):
        unknown = [token for token in tokens if token not in known]
        if unknown:
            raise ValueError(
                f"Row {row} of y holds the token {unknown[0]!r}, which the first call "
                "of fit or partial_fit has not seen, so that it cannot be written. "
                "Begin with rows that hold all tokens."
            )


def _write_tokens(network, inputs, max_length) -> Tensor:
    """Write the tokens of validation rows."""
    return greedy(network, inputs, max_length).ids


def _write_numbers(network, inputs, max_length) -> Tensor:
    """Write as many steps of numbers as the longest target of validation rows has."""
    return run_freely(network, inputs, max_length, stops=False)


def _source_config(plan) -> dict:
    """Return what the encoder reads."""
    if plan.schema.layout in (ROWS, STEPS):
        kind = "rows" if plan.schema.layout == ROWS else "numbers"
        return {"kind": kind, "n_features": plan.inputs.n_inputs_}
    return {"kind": "tokens", "n_tokens": plan.inputs.vocabulary_.size}


def _target_config(targets) -> dict:
    """Return what the decoder writes."""
    if targets.is_tokens:
        return {"kind": "tokens", "n_tokens": targets.vocabulary_.size}
    return {
        "kind": "numbers",
        "n_features": targets.n_features,
        "has_end": targets.lengths_differ,
    }


def _tokens_of(encoder) -> list | None:
    """Return the vocabulary of an encoder; None if it has none."""
    vocabulary = getattr(encoder, "vocabulary_", None)
    return None if vocabulary is None else vocabulary.tokens
