"""GAN: a generator of rows or images, trained against a discriminator."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from scipy.stats import loguniform
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional as F

from skdeep._messages import warn
from skdeep._param_validation import validate_arguments
from skdeep.encoding import (
    ClassTargets,
    ImageLayout,
    ModeEncoder,
    NoTargets,
    PixelEncoder,
    as_tensor,
    check_no_missing_labels,
    kind_of_labels,
    naming,
    tensor_to_numpy,
)
from skdeep.estimators._base import BaseNetwork
from skdeep.estimators._building import building
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._convolutional import _sizes as filter_sizes
from skdeep.estimators._gan_parameters import (
    GAME_DOC,
    GAN_CONSTRAINTS,
    GAN_FITTED_DOC,
    GAN_TABLE_DOC,
    GAN_TRAINING_DOC,
)
from skdeep.estimators._images import check_shape_parameters
from skdeep.estimators._mlp import _layer_sizes
from skdeep.estimators._parameters import documented
from skdeep.estimators._rows_or_images import check_rows_or_images
from skdeep.estimators._seeds import peek_seed
from skdeep.estimators._summary import describe_inputs
from skdeep.estimators._trained import TrainedNetwork
from skdeep.estimators._validation import Checked, check_n_samples, check_target
from skdeep.losses import ADVERSARIAL_LOSSES
from skdeep.networks import DiscriminatorNetwork, GeneratorNetwork
from skdeep.training import (
    DISCRIMINATOR,
    AdversarialRows,
    DiscriminatorObjective,
    GeneratorObjective,
    Learner,
    memory_errors,
    resolve_device,
)

_SMALL_BATCH, _LARGEST_BATCH = 64, 500
# Number of steps of a training with ``max_iter='auto'``, in at most so many epochs.
_N_STEPS, _MOST_EPOCHS = 4000, 300
# Number of rows that are sampled at a time.
_CHUNK = 10_000
# Below this log loss, the discriminator tells nearly all rows apart; guessing has the
# loss 2 log 2 = 1.39, for a real and a generated row.
_WON = 0.2


class _Labels(ClassTargets):
    """The labels of a GAN, with their frequencies in the training rows.

    Parameters
    ----------
    classes : array-like
        All labels, possibly repeated.
    y : ndarray of shape (n_samples,)
        Label of each row.
    earlier_counts : int or ndarray of shape (n_classes,), default=0
        Numbers of rows of each label in earlier calls.
    """

    def __init__(self, classes, y, earlier_counts=0):
        super().__init__(classes)
        counts = np.bincount(self.encode(y), minlength=len(self.classes_))
        self.counts_ = counts + earlier_counts


@documented(
    game=GAME_DOC,
    table=GAN_TABLE_DOC,
    training=GAN_TRAINING_DOC,
    fitted=GAN_FITTED_DOC,
)
class GAN(BaseNetwork):
    """Generative adversarial network: samples rows or images like those of X.

    A generator makes rows of random numbers. A discriminator learns to tell them from
    the rows of X, and the generator learns to make rows that it takes for real.

    X holds a table, with categories and gaps, or images, signals or volumes in the
    layouts of :class:`CNNClassifier`: arrays of three or more axes, flat rows with
    ``image_shape``, or paths of files. Samples come back in the same form. If ``fit``
    is given labels, rows of a label can be asked for.

    Parameters
    ----------
    {game}
    {table}
    {training}

    Attributes
    ----------
    {fitted}

    See Also
    --------
    VariationalAutoEncoder : Also samples rows, and scores them; its images are less
        sharp.
    sklearn.neighbors.KernelDensity : Samples of few numeric columns.

    Notes
    -----
    In each step the discriminator, and then the generator, takes a step on a batch.
    There is no likelihood: ``score_samples`` is not defined, and the losses do not
    tell how good the samples are, so that training does not stop early. Look at samples
    (:class:`~skdeep.inspection.SamplesDisplay`), or train an estimator on them and
    score it on real rows.

    References
    ----------
    Goodfellow et al. (2014). "Generative adversarial nets." NeurIPS.

    Xu, Skoularidou, Cuesta-Infante & Veeramachaneni (2019). "Modeling tabular data
    using conditional GAN." NeurIPS. (Tables.)

    Mescheder, Geiger & Nowozin (2018). "Which training methods for GANs do actually
    converge?" ICML. (``r1_penalty``.)

    Gulrajani et al. (2017). "Improved training of Wasserstein GANs." NeurIPS.
    (``gradient_penalty``.)

    Lin, Khetan, Fanti & Oh (2018). "PacGAN: the power of two samples in generative
    adversarial networks." NeurIPS. (``pack_size``.)

    Yazici et al. (2019). "The unusual effectiveness of averaging in GAN training."
    ICLR. (``weight_averaging``.)

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeep import GAN
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = GAN(max_iter=2, random_state=0).fit(X, y)
    >>> model.sample(3, y=[0, 1, 2], random_state=0).shape
    (3, 4)
    """

    _parameter_constraints: dict = GAN_CONSTRAINTS

    #: They are not parameters.
    early_stopping = False
    n_iter_no_change = np.inf

    def __init__(
        self,
        code_size=64,
        hidden_layer_sizes=(128, 128),
        *,
        discriminator_layer_sizes=(256, 256),
        activation="leaky_relu",
        loss="logistic",
        r1_penalty=1.0,
        gradient_penalty=10.0,
        pack_size=1,
        training_by_sampling=False,
        scaling="modes",
        categorical_features="from_dtype",
        filters=(32, 64),
        image_shape=None,
        image_size=None,
        channels="auto",
        memory_budget=2**30,
        solver="adam",
        solver_params=None,
        alpha=0.0,
        batch_size="auto",
        learning_rate="cosine",
        learning_rate_init=0.002,
        power_t=0.5,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.0,
        beta_2=0.99,
        epsilon=1e-8,
        max_grad_norm=None,
        accumulate=1,
        weight_averaging=0.999,
        callbacks=None,
        device="auto",
        dtype=None,
        compile=False,
    ):
        self.code_size = code_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.discriminator_layer_sizes = discriminator_layer_sizes
        self.activation = activation
        self.loss = loss
        self.r1_penalty = r1_penalty
        self.gradient_penalty = gradient_penalty
        self.pack_size = pack_size
        self.training_by_sampling = training_by_sampling
        self.scaling = scaling
        self.categorical_features = categorical_features
        self.filters = filters
        self.image_shape = image_shape
        self.image_size = image_size
        self.channels = channels
        self.memory_budget = memory_budget
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
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.max_grad_norm = max_grad_norm
        self.accumulate = accumulate
        self.weight_averaging = weight_averaging
        self.callbacks = callbacks
        self.device = device
        self.dtype = dtype
        self.compile = compile

    # -- the networks ------------------------------------------------------------------

    def _network_config(self, plan):
        sizes = plan.inputs.network_sizes()
        if "shape" in sizes:
            sizes["filters"] = filter_sizes(self.filters, "filters")
        return sizes | {
            "n_labels": _n_labels(plan.targets),
            "asks_choices": bool(self.training_by_sampling) and "blocks" in sizes,
            "code_size": int(self.code_size),
            "hidden_layer_sizes": _layer_sizes(self.hidden_layer_sizes),
            "activation": self.activation,
        }

    def _discriminator_config(self, generator: GeneratorNetwork) -> dict:
        """Return the config of the discriminator that opposes a generator."""
        config: dict[str, Any] = {
            "n_values": generator.n_values,
            "n_conditions": generator.n_conditions,
            "pack_size": int(self.pack_size),
            "hidden_layer_sizes": self._discriminator_layers,
            "activation": self.activation,
        }
        if generator.shape is not None:
            filters = filter_sizes(self.filters, "filters")
            config |= {"shape": generator.shape, "filters": filters}
        return config

    @property
    def _discriminator_layers(self) -> list[int]:
        name = "discriminator_layer_sizes"
        return _layer_sizes(self.discriminator_layer_sizes, name)

    def _build(self, config, seed=0):
        kind: Any = GeneratorNetwork if "code_size" in config else DiscriminatorNetwork
        with building(
            f"hidden_layer_sizes={self.hidden_layer_sizes} and "
            f"code_size={self.code_size}"
        ):
            return kind(**config)

    def _initialize(self, network, rng):
        network.initialize(rng)

    def _work(self, network, batch_size):
        return batch_size * 2 * network.work_per_row

    def _search_space(self):
        return {
            "hidden_layer_sizes": [(128, 128), (256, 256), (256, 256, 256)],
            "code_size": [32, 64, 128],
            "learning_rate_init": loguniform(3e-4, 5e-3),
            "r1_penalty": loguniform(0.01, 10.0),
            "pack_size": [1, 2, 8],
            "batch_size": [64, 128, "auto"],
        }

    # -- training ----------------------------------------------------------------------

    def _check(self, X, y="no_validation", *, dtype, schema=None):
        table, schema = check_rows_or_images(self, X, dtype=dtype, schema=schema)
        if y is None:
            return Checked(table, np.empty((len(table), 0)), schema)
        if sparse.issparse(y):
            raise TypeError("y must be dense, got a sparse array. Use y.toarray().")
        y = check_target(self, y, len(table))
        with naming("y"):
            kind = kind_of_labels(y)
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"y must hold one label for each row of X, got {kind} values of shape "
                f"{y.shape}."
            )
        return Checked(table, y, schema)

    def _auto_batch_size(self, n_samples):
        # An epoch of few rows has eight steps.
        return min(n_samples, max(_SMALL_BATCH, min(_LARGEST_BATCH, n_samples // 8)))

    def _resolved_options(self, options, n_samples: int, has_images: bool):
        """Return options with the number of epochs, and the batch size of images."""
        if self.batch_size == "auto" and has_images:
            options = replace(options, batch_size=min(n_samples, _SMALL_BATCH))
        if self.max_iter != "auto":
            return options
        n_steps = -(-n_samples // options.batch_size)
        return replace(options, max_iter=min(_MOST_EPOCHS, -(-_N_STEPS // n_steps)))

    def _check_options(self, incremental):
        super()._check_options(incremental)
        check_shape_parameters(self)
        filter_sizes(self.filters, "filters")

    def _has_validation_rows(self, X, y, X_val, y_val):
        return False

    def _expects_convergence(self):
        return False

    def _accepted_dtypes(self, device):
        return (np.float64, np.float32)

    def _check_classes(self, incremental, classes):
        if classes is None:
            return
        with naming("classes"), np.errstate(invalid="ignore"):
            found = unique_labels(tensor_to_numpy(classes, "classes"))
        if not len(found):
            raise ValueError("classes must hold the labels, got none.")
        known = getattr(self, "classes_", found)
        if not np.array_equal(known, found):
            raise ValueError(
                f"classes must be those of the first call, {known}, got {found}."
            )

    def _make_targets(self, y, classes):
        if y.ndim > 1:
            if classes is not None:
                raise ValueError("classes needs y, the label of each row.")
            return NoTargets()
        with naming("y"):
            return _Labels(y if classes is None else classes, y)

    def _known_targets(self, y):
        known = self._targets
        has_labels, had_labels = y.ndim == 1, isinstance(known, _Labels)
        if has_labels != had_labels:
            raise ValueError(
                f"y must {'' if had_labels else 'not '}be given: the earlier call of "
                f"fit or partial_fit had {'' if had_labels else 'no '}labels."
            )
        if not has_labels:
            return known
        with naming("y"):
            return _Labels(known.classes_, y, known.counts_)

    def _make_inputs(self, schema):
        if isinstance(schema.layout, ImageLayout):
            return PixelEncoder(schema.layout, "range")
        return ModeEncoder(schema.layout, 0, self.scaling)

    def _make_loss(self, targets):
        return ADVERSARIAL_LOSSES[self.loss]

    def _n_scores(self, targets, loss):
        return loss.n_scores

    def _decode(self, targets, loss, raw):
        return raw

    def _plan_network(self, plan, sample, first):
        if first:
            if len(sample) == 1:
                raise ValueError("GAN needs at least 2 rows of X, got n_samples=1.")
            plan.inputs = self._make_inputs(plan.schema).fit(sample.table)
            if not plan.inputs.n_values_:
                raise ValueError(
                    "Each column of X has one value or none in double precision: "
                    "nothing varies."
                )
        else:
            plan.inputs = self._inputs
        plan.config = self._network_config(plan)
        plan.n_scores = plan.inputs.n_values_
        plan.loss = self._make_loss(plan.targets)(plan.n_scores)
        # Rows are scaled in double precision; more is not needed to generate them.
        plan.dtype = torch.float64 if self.dtype == "float64" else torch.float32

    def _source(self, plan, sample, dtype, device):
        rows = plan.inputs.encode(sample.table, dtype, device)
        labels = None
        if isinstance(plan.targets, _Labels):
            codes = as_tensor(sample.codes).long().to(device)
            labels = F.one_hot(codes, len(plan.targets.classes_)).to(dtype)
        if isinstance(plan.inputs, PixelEncoder):
            return AdversarialRows(rows, labels)
        if not self.training_by_sampling:
            return AdversarialRows(rows, labels)
        codes = rows.tensors[1].cpu().numpy()
        return AdversarialRows(rows, labels, codes, list(map(len, plan.inputs.counts_)))

    def _objective(self, plan, generator):
        return GeneratorObjective(plan.loss, generator, int(self.pack_size))

    def _task(self, plan, sample, valid, device, rng, first, incremental):
        task = super()._task(plan, sample, valid, device, rng, first, incremental)
        has_images = isinstance(plan.inputs, PixelEncoder)
        task.options = self._resolved_options(task.options, len(sample), has_images)
        if first and self.pack_size > task.options.batch_size:
            raise ValueError(
                f"pack_size={self.pack_size} is more than the number of rows of a "
                f"batch, {task.options.batch_size}."
            )
        source: Any = task.train
        source.seed = [peek_seed(rng), task.state.n_samples_seen]
        generator: Any = task.learner.module
        config = self._discriminator_config(generator)
        network = self._build(config).to(device, plan.dtype)
        if first:
            network.initialize(rng)
        else:
            network = self._discriminator.copy_for_training(network)
        opponent: Any = task.learner.objective
        is_logistic = self.loss == "logistic"
        objective = DiscriminatorObjective(
            opponent,
            r1_penalty=float(self.r1_penalty) if is_logistic else 0.0,
            gradient_penalty=0.0 if is_logistic else float(self.gradient_penalty),
        )
        options = replace(task.options, weight_averaging=0.0)
        discriminator = Learner(network, objective, DISCRIMINATOR, options)
        task.learners = [task.learner, discriminator]
        task.score = None
        return task

    def _input_description(self, task):
        network = task.learner.module
        code = torch.zeros(1, network.code_size)
        condition = [torch.zeros(1, network.n_conditions)] * bool(network.n_conditions)
        return describe_inputs((code, *condition))

    def _fitted_attributes(self, task, plan, *, is_final):
        attributes = super()._fitted_attributes(task, plan, is_final=is_final)
        network = task.learners[1].module
        config = self._discriminator_config(task.learner.module)
        attributes["_discriminator"] = TrainedNetwork.of(network, config, plan.dtype)
        if isinstance(plan.targets, _Labels):
            attributes["classes_"] = plan.targets.classes_
        return attributes

    def _set_fitted(self, attributes):
        self.__dict__.pop("classes_", None)
        super()._set_fitted(attributes)

    def _warn_of_outcome(self, task, plan):
        losses = [record["discriminator_loss"] for record in task.state.history]
        if self.loss != "logistic" or not losses:
            return
        last = float(np.mean(losses[-max(1, len(losses) // 10) :]))
        if last < _WON:
            warn(
                f"The discriminator has won: its loss is {last:.2g}, so that it tells "
                "nearly all generated rows from real ones and the generator hardly "
                f"learns. Increase r1_penalty (now {self.r1_penalty:g}), lower "
                f"learning_rate_init (now {self.learning_rate_init:g}) or give the "
                "generator more layers.",
                ConvergenceWarning,
            )

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the networks.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features), or images
            Training rows. Entries of tables may be missing (NaN or None).
        y : array-like of shape (n_samples,), default=None
            Label of each row. With labels, ``sample`` returns rows of a label.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If X or y is not valid, or training diverges.

        Examples
        --------
        >>> import pandas as pd
        >>> from skdeep import GAN
        >>> X = pd.DataFrame({"age": [20, 70] * 30, "job": ["none", "many"] * 30})
        >>> X = X.astype({"job": "category"})
        >>> GAN(max_iter=2, random_state=0).fit(X).sample(2).dtypes
        age       int64
        job    category
        dtype: object
        """
        return self._fit(X, y)

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, classes=None):
        """Train for one epoch on these rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features), or images
            Training rows. The first call learns scales, modes and categories, and the
            frequencies of the latter two.
        y : array-like of shape (n_samples,), default=None
            Label of each row.
        classes : array-like of shape (n_classes,), default=None
            All labels, in the first call. None means those in y.

        Returns
        -------
        self : object
            The fitted estimator.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import GAN
        >>> X, y = load_iris(return_X_y=True)
        >>> model = GAN(random_state=0)
        >>> for part in (slice(0, None, 2), slice(1, None, 2)):
        ...     model = model.partial_fit(X[part], y[part])
        >>> model.t_
        150
        """
        return self._fit(X, y, incremental=True, classes=classes)

    # -- samples -----------------------------------------------------------------------

    @explaining_arguments
    @validate_arguments(
        {
            "n_samples": [Interval(Integral, 1, None, closed="left")],
            "random_state": ["random_state"],
        }
    )
    def sample(self, n_samples=1, y=None, random_state=None):
        """Sample rows from the generator.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        y : label or array-like of shape (n_samples,), default=None
            Label of all rows, or of each row, if ``fit`` was given labels. None draws
            labels with their frequencies in the training rows.
        random_state : int, RandomState instance, default=None
            Determines the draws. Pass an int for the same rows in every call.

        Returns
        -------
        rows : ndarray or data frame of shape (n_samples, n_features), or images
            Rows in the form of the training rows, with their names, types, categories
            and gaps.

        Raises
        ------
        ValueError
            If y is not among the labels of ``fit``.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import GAN
        >>> X, y = load_iris(return_X_y=True)
        >>> model = GAN(max_iter=2, random_state=0).fit(X, y)
        >>> model.sample(5, y=1, random_state=0).shape
        (5, 4)
        """
        check_is_fitted(self)
        rng = check_random_state(random_state)
        check_n_samples(n_samples)
        labels = self._label_codes(y, int(n_samples), rng)
        with memory_errors():
            parts = [
                self._sampled(labels[start : start + _CHUNK], rng)
                for start in range(0, int(n_samples), _CHUNK)
            ]
        values = np.concatenate(parts)
        if not np.isfinite(values).all():
            raise ValueError(
                "The generator returns non-finite numbers. Train it again with a lower "
                f"learning_rate_init (now {self.learning_rate_init:g})."
            )
        if isinstance(self._inputs, PixelEncoder):
            images = self._inputs.decode(values)
            return images.astype(self._dtype) if images.dtype.kind == "f" else images
        return self._inputs.restore(values, self._dtype, rng=rng)

    def _label_codes(self, y, n_samples: int, rng) -> npt.NDArray[Any]:
        """Return the code of the label of each row to sample, (n_samples,)."""
        if not isinstance(self._targets, _Labels):
            if y is not None:
                raise ValueError(
                    "y needs a GAN that was fitted with labels: fit(X, y)."
                )
            return np.zeros(n_samples, dtype=np.int64)
        if y is None:
            counts = self._targets.counts_
            return rng.choice(len(counts), size=n_samples, p=counts / counts.sum())
        labels = y if sparse.issparse(y) else np.asarray(tensor_to_numpy(y, "y"))
        if labels.ndim == 0:
            labels = np.full(n_samples, labels)
        if labels.shape != (n_samples,):
            raise ValueError(
                f"y must be one label or n_samples={n_samples} labels, got shape "
                f"{labels.shape}."
            )
        with naming("y"):
            check_no_missing_labels(labels)
            return self._targets.encode(labels)

    @torch.inference_mode()
    def _sampled(self, labels: npt.NDArray[Any], rng) -> npt.NDArray[Any]:
        """Return the values of new rows with these labels."""
        network: Any = self.module_
        code = rng.normal(size=(len(labels), network.code_size))
        parts = [code]
        if isinstance(self._targets, _Labels):
            parts.append(np.eye(len(self.classes_))[labels])
        if network.asks_choices:
            parts.append(_draw_conditions(self._inputs.counts_, len(labels), rng))
        device = resolve_device(self.device, fall_back=True)
        inputs = torch.from_numpy(np.concatenate(parts, 1))
        inputs = inputs.to(device, self._trained.dtype)
        code, condition = inputs.split([network.code_size, network.n_conditions], 1)
        raw = network(code, condition) if network.n_conditions else network(code)
        # The generator of a CPU, so that all devices make the same draws.
        generator = torch.Generator().manual_seed(int(rng.randint(2**31 - 1)))
        return network.rows(raw.cpu(), generator).double().numpy()

    @property
    def discriminator_(self):
        """The trained discriminator."""
        self._check_fitted_attribute("discriminator_")
        device = resolve_device(self.device, fall_back=True)
        return self._discriminator.module(self._build, device)

    @property
    def score_samples(self):
        """Not defined: a GAN has no likelihood."""
        raise AttributeError(
            "GAN has no score_samples: a generator has no likelihood. Use "
            "VariationalAutoEncoder for scores."
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = False
        # Images; the checks of tables reject such arrays.
        tags.input_tags.three_d_array = False
        tags.target_tags.required = False
        return tags


def _draw_conditions(counts: list, n_samples: int, rng) -> npt.NDArray[Any]:
    """Return indicators of a value of a random choice for each row.

    Values are drawn with their frequencies in the training rows, ``counts``.
    """
    asked = np.zeros((n_samples, sum(map(len, counts))))
    if not counts:
        return asked
    choices = rng.randint(len(counts), size=n_samples)
    first = 0
    for j, of_values in enumerate(counts):
        rows = np.flatnonzero(choices == j)
        shares = of_values / of_values.sum()
        asked[rows, first + rng.choice(len(shares), size=len(rows), p=shares)] = 1
        first += len(shares)
    return asked


def _n_labels(targets) -> int:
    return len(targets.classes_) if isinstance(targets, _Labels) else 0
