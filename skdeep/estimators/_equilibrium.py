"""EquilibriumNet: a network that solves an economic model."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.stats import loguniform
from sklearn.base import _fit_context
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skdeep._messages import warn
from skdeep._param_validation import validate_arguments
from skdeep.encoding import (
    DenseRows,
    NoTargets,
    Table,
    as_tensor,
    check_numeric_types,
    explaining_non_numeric,
    float_dtype,
    naming,
    tensor_to_numpy,
)
from skdeep.estimators._base import BaseNetwork
from skdeep.estimators._building import building
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._equilibrium_model import (
    as_states,
    check_dynamics,
    check_finite_residuals,
    check_probabilities,
    check_structure,
    first_states,
    model_identity,
    simulate_paths,
)
from skdeep.estimators._equilibrium_training import (
    SimulatedPaths,
    SquaredResiduals,
    constant_policies,
    log_score,
    residuals_in_chunks,
)
from skdeep.estimators._mlp import _DENSE_CONSTRAINTS, _DENSE_DOC, _layer_sizes
from skdeep.estimators._options import check_training_options
from skdeep.estimators._parameters import (
    FITTED_DOC,
    TRAINING_CONSTRAINTS,
    TRAINING_DOC,
    adapted,
    documented,
)
from skdeep.estimators._seeds import peek_seed
from skdeep.estimators._validation import Checked, Schema
from skdeep.losses import make_loss
from skdeep.networks import PolicyNetwork
from skdeep.training import (
    STOCHASTIC_SOLVERS,
    RowSource,
    Source,
    memory_errors,
)

# Initial states that stand for the training rows before any path is simulated.
_N_FIRST = 100

_CONSTRAINTS: dict = {
    "model": "no_validation",  # checked by ``check_structure``
    "hidden_layer_sizes": _DENSE_CONSTRAINTS["hidden_layer_sizes"],
    "activation": _DENSE_CONSTRAINTS["activation"],
    "n_paths": [Interval(Integral, 1, None, closed="left")],
    "n_periods": [Interval(Integral, 1, None, closed="left")],
    **TRAINING_CONSTRAINTS,
    # L-BFGS needs the same rows in all iterations.
    "solver": [StrOptions(set(STOCHASTIC_SOLVERS)), callable],
}
_UNUSED = (
    "validation_fraction",
    "validation_split",
    "validation_gap",
    "max_fun",
    "precision",
)
for _name in _UNUSED:
    del _CONSTRAINTS[_name]

_DEFAULTS = {
    "alpha": 0.0,
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 300,
    "tol": 0.0,
}
_REPLACED = (
    *_UNUSED,
    "solver",
    "batch_size",
    "early_stopping",
    "n_iter_no_change",
    "dtype",
)
_NETWORK_DOC = """\
model : object
    The economic model; :func:`check_equilibrium_model` documents what it must have.
n_paths : int, default=100
    Number of paths that are simulated.
n_periods : int, default=20
    Number of periods by which each path goes on in an epoch.
solver : {'sgd', 'adam', 'adamw', 'nadam', 'rmsprop', 'adagrad', 'adadelta'} or \
callable, default='adam'
    The optimizer. A callable builds a ``torch.optim.Optimizer`` from the list of
    parameters. It gets ``lr=learning_rate_init`` if it takes ``lr``.
batch_size : int or 'auto', default='auto'
    Number of states in a batch; 'auto' is 200, and fewer if there are fewer states.
early_stopping : bool or 'loss', default=True
    Whether to stop when the score on fresh paths, or with 'loss' the mean squared
    residual there, has not improved by ``tol`` for ``n_iter_no_change`` epochs. The
    weights of the best epoch are kept. If False, the training loss must improve.
n_iter_no_change : int or inf, default=np.inf
    Number of consecutive epochs without improvement after which training stops. It
    never does so by default, because the scores fluctuate until 'one_cycle' has lowered
    the learning rate.
dtype : {'float32', 'float64'}, default=None
    Precision of the computation. None means that of the states on the CPU, float64 for
    most models, and float32 elsewhere."""

# A model for the examples of methods.
_TRACKING_DOC = """\
The policy should be half of the state, which is an autoregression:

>>> import numpy as np
>>> import torch
>>> from skdeep import EquilibriumNet, GaussHermite
>>> class Tracking:
...     states, policies, policy_bounds = ["x"], ["p"], [(None, None)]
...     shocks = GaussHermite(n_nodes=2)
...
...     def initial_states(self, n, rng):
...         return rng.normal(size=(n, 1))
...
...     def step(self, states, policies, shocks):
...         return 0.5 * states + shocks
...
...     def residuals(self, states, policies, expect):
...         return policies - 0.5 * states
>>> network = EquilibriumNet(
...     Tracking(),
...     (4,),
...     n_paths=5,
...     n_periods=4,
...     max_iter=2,
...     random_state=0,
... )"""


@dataclass
class _States(Table):
    """Checked states, and a text that a checkpoint knows the model by."""

    model: str = ""


class _Policies(NoTargets):
    """Stands for the targets of other networks: a model has none."""

    def __init__(self, n_policies: int):
        super().__init__()
        self.n_policies = n_policies


class _StateEncoder:
    """Turns checked states into tensors."""

    def fit(self, table: Table) -> _StateEncoder:
        """Do nothing: the network standardizes its inputs."""
        return self

    def encode(self, table: Table, dtype: torch.dtype, device: torch.device):
        """Return the states as a tensor on the given device."""
        return DenseRows(as_tensor(table.numeric).to(device, dtype))


@documented(
    network=_NETWORK_DOC,
    tracking=_TRACKING_DOC,
    dense=adapted(
        _DENSE_DOC,
        ("maxout_pieces", "dropout", "batch_norm", "weight_init")
        + ("categorical_features",),
        hidden_layer_sizes=(100, 50),
        activation="silu",
    ),
    training=adapted(TRAINING_DOC, _REPLACED, **_DEFAULTS),
    fitted=adapted(FITTED_DOC, ("n_features_in_", "feature_names_in_", "n_outputs_")),
)
class EquilibriumNet(BaseNetwork):
    """Network that solves an economic model (deep equilibrium net).

    The network maps the states of the model to its policies. There are no labels: it is
    trained such that the equilibrium conditions of the model, such as Euler equations,
    hold on the paths that it simulates itself.

    Parameters
    ----------
    {network}
    {dense}
    {training}

    Attributes
    ----------
    n_features_in_ : int
        Number of states.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the states.
    n_outputs_ : int
        Number of policies.
    {fitted}

    See Also
    --------
    check_equilibrium_model : What a model must have, with an example.
    DiscreteShocks : Shocks with finitely many values.
    GaussHermite : Normal shocks.

    Notes
    -----
    The loss is the mean squared residual of all equations. In each epoch ``n_paths``
    paths are simulated for ``n_periods`` with the present network, and the network is
    trained on their states in random order. The paths begin at initial states of the
    model and go on in the next epoch; one in ten begins again, and so does a path whose
    states are no longer finite. If states are passed to ``fit``, the network is trained
    on these instead. After each epoch the score is computed on other such paths.

    Training begins at constant policies for which the residuals are small. The network
    standardizes the states by their mean and standard deviation on the paths to which
    these lead. If the states are elsewhere after 1, 2, 4, 8, ... epochs of the first
    quarter of ``max_iter``, it standardizes them again and starts with new weights at
    the mean policies of that epoch. Far away from these states the policies hardly
    change.

    Policies are always within ``model.policy_bounds``: an output between two bounds is
    a scaled logistic function, and one with a single bound is the bound plus or minus a
    softplus times its distance from the first constant policy.

    Small residuals do not imply the transversality condition: policies that save too
    much may satisfy Euler equations. Bounds that exclude such policies in the long run
    prevent this, for example an upper bound of the share of savings below 1.

    References
    ----------
    Azinovic, Gaegauf & Scheidegger (2022). "Deep equilibrium nets." International
    Economic Review 63(4).

    Examples
    --------
    A tree gives fruit, of which a share is sown; log utility and full depreciation, the
    growth model of Brock and Mirman (1972). The best share is ``0.3 * 0.9``.

    >>> import numpy as np
    >>> import torch
    >>> from skdeep import DiscreteShocks, EquilibriumNet
    >>> class Growth:
    ...     states, policies, policy_bounds = ["k", "z"], ["share"], [(0, 1)]
    ...     shocks = DiscreteShocks([0.9, 1.1])
    ...
    ...     def initial_states(self, n, rng):
    ...         return np.column_stack([rng.uniform(0.1, 0.3, n), np.ones(n)])
    ...
    ...     def output(self, states):
    ...         k, z = states.unbind(-1)
    ...         return z * k**0.3
    ...
    ...     def step(self, states, policies, shocks):
    ...         k = policies[:, 0] * self.output(states)
    ...         return torch.stack([k, shocks[:, 0]], 1)
    ...
    ...     def residuals(self, states, policies, expect):
    ...         consumption = (1 - policies[:, 0]) * self.output(states)
    ...
    ...         def discounted_return(next_states, next_policies, shocks):
    ...             rate = 0.3 * self.output(next_states) / next_states[..., 0]
    ...             share = next_policies[..., 0]
    ...             return 0.9 * rate / ((1 - share) * self.output(next_states))
    ...
    ...         return 1 - 1 / (consumption * expect(discounted_return))
    >>> network = EquilibriumNet(
    ...     Growth(),
    ...     (16,),
    ...     n_paths=50,
    ...     n_periods=4,
    ...     batch_size=50,
    ...     learning_rate_init=0.03,
    ...     max_iter=40,
    ...     random_state=0,
    ... ).fit()
    >>> network.predict([[0.2, 1.1]]).round(2)
    array([[0.27]])
    >>> network.score() > 3  # the mean error is below 0.001
    True
    >>> states, policies = network.simulate(100, n_paths=5, random_state=0)
    >>> states.shape, policies.shape
    ((5, 100, 2), (5, 100, 1))
    >>> network.residuals(states[:, -1]).shape
    (5, 1)
    """

    _parameter_constraints: dict = _CONSTRAINTS

    #: It is not a parameter.
    loss = "squared_error"

    def __init__(
        self,
        model,
        hidden_layer_sizes=(100, 50),
        *,
        activation="silu",
        n_paths=100,
        n_periods=20,
        solver="adam",
        solver_params=None,
        alpha=0.0,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        power_t=0.5,
        max_iter=300,
        shuffle=True,
        random_state=None,
        tol=0.0,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=np.inf,
        max_grad_norm=None,
        accumulate=1,
        weight_averaging=0.0,
        callbacks=None,
        device="auto",
        dtype=None,
        compile=False,
    ):
        self.model = model
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.n_paths = n_paths
        self.n_periods = n_periods
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_grad_norm = max_grad_norm
        self.accumulate = accumulate
        self.weight_averaging = weight_averaging
        self.callbacks = callbacks
        self.device = device
        self.dtype = dtype
        self.compile = compile

    # -- the network -------------------------------------------------------------------

    def _network_config(self, plan):
        bounds = [
            [None if value is None else float(value) for value in pair]
            for pair in self.model.policy_bounds
        ]
        return {
            "n_states": plan.schema.n_features,
            "hidden_layer_sizes": _layer_sizes(self.hidden_layer_sizes),
            "bounds": bounds,
            "activation": self.activation,
        }

    def _build(self, config, seed=0):
        with building(
            f"hidden_layer_sizes={config['hidden_layer_sizes']} with "
            f"{config['n_states']} states"
        ):
            return PolicyNetwork(**config)

    def _initialize(self, network, rng):
        network.initialize(rng)

    def _check_options(self, incremental):
        # By default early stopping only chooses the best epoch, not the last one.
        stops = bool(np.isfinite(self.n_iter_no_change))
        check_training_options(self, incremental and stops)

    def _work(self, network, batch_size):
        n_nodes = len(self.model.shocks.nodes(np.random.default_rng(0)))
        return batch_size * (1 + n_nodes) * network.work_per_row

    def _expects_convergence(self):
        return bool(np.isfinite(self.n_iter_no_change))

    def _search_space(self):
        return {
            "hidden_layer_sizes": [(32, 32), (64, 64), (100, 50), (128, 128)],
            "activation": ["silu", "tanh", "relu"],
            "learning_rate_init": loguniform(3e-4, 1e-2),
            "batch_size": [50, 100, "auto"],
            "weight_averaging": [0.0, 0.9, 0.99],
        }

    # -- training ----------------------------------------------------------------------

    def _check(self, X, y="no_validation", *, dtype, schema=None):
        is_fit = not (isinstance(y, str) and y == "no_validation")
        if is_fit:
            check_structure(self.model)
        else:
            self._check_same_model()
        names = list(self.model.states)
        if X is None and is_fit:
            states = first_states(self.model, _N_FIRST, np.random.default_rng(0))
            if states.dtype not in dtype:
                states = states.astype(dtype[0])
        else:
            states = self._check_states(X, names, dtype)
        identity = model_identity(self.model) if is_fit else ""
        table = _States(states, is_finite=True, model=identity)
        if schema is None or is_fit:
            kind = "simulated" if X is None else "given"
            schema = Schema(len(names), np.array(names, dtype=object), layout=kind)
        return Checked(table, np.empty((len(states), 0)), schema)

    def _check_same_model(self) -> None:
        """Raise if the network was trained for other states or policies."""
        names = list(self.feature_names_in_)
        states = list(getattr(self.model, "states", ()))
        policies = list(getattr(self.model, "policies", ()))
        if states != names or len(policies) != self.n_outputs_:
            raise ValueError(
                f"The network was trained for the states {names!r} and "
                f"{self.n_outputs_} policies, but model now has the states {states!r} "
                f"and the policies {policies!r}. Call fit again."
            )

    def _check_states(self, X, names: list[str], dtype) -> np.ndarray:
        """Return states as an array with the columns in the order of the model."""
        X = tensor_to_numpy(X, "X")
        columns = getattr(X, "columns", None)
        if columns is not None and all(isinstance(name, str) for name in columns):
            if sorted(columns) != sorted(names):
                raise ValueError(
                    "The feature names should match the states of the model, "
                    f"{names!r}. X has the columns {list(columns)!r}."
                )
            X = X[names]
        with naming("X"):
            check_numeric_types(X, "X")
            with explaining_non_numeric(X):
                X = check_array(X, dtype=dtype, input_name="X", estimator=self)
        if X.shape[1] != len(names):
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} is expecting "
                f"{len(names)} features as input, the states {names!r}."
            )
        return X

    def _float_type(self, X, table):
        return (None if X is None else float_dtype(X)) or table.dtype.name

    def _has_validation_rows(self, X, y, X_val, y_val):
        return False

    def _needs_holdout(self):
        return False

    def _make_inputs(self, schema):
        return _StateEncoder()

    def _make_targets(self, y, classes):
        return _Policies(len(self.model.policies))

    def _known_targets(self, y):
        return self._targets

    def _make_loss(self, targets):
        return make_loss(self, "values")

    def _n_scores(self, targets, loss):
        return targets.n_policies

    def _decode(self, targets, loss, raw):
        return raw

    def _source(self, plan, sample, dtype, device) -> Source:
        return RowSource(plan.inputs.encode(sample.table, dtype, device), None)

    def _objective(self, plan, generator):
        return SquaredResiduals(self.model, plan.loss, plan.n_scores, generator)

    def _training_options(self, n_samples):
        # Clipped in ``_task``, which knows the number of simulated states.
        return super()._training_options(sys.maxsize)

    def _task(self, plan, sample, valid, device, rng, first, incremental):
        task = super()._task(plan, sample, valid, device, rng, first, incremental)
        network = task.learner.module
        inputs: Any = task.train.batch(slice(None)).inputs
        (given,) = inputs
        seed = peek_seed(rng)
        # Each call of partial_fit must draw other shocks than the last one.
        seeds = [seed, task.state.n_samples_seen]
        ends = None if first else self._ends
        sizes = self.model, int(self.n_paths), int(self.n_periods)
        if plan.schema.layout == "simulated":
            task.train = SimulatedPaths(
                *sizes,
                [0, *seeds],
                given,
                ends,
                learner=task.learner,
                n_epochs=len(task.state.history),
                n_last=int(self.max_iter) // 4,
            )
        if first:  # after the memory for the paths is known to suffice
            self._prepare_network(network, given, plan.schema.layout, seed)
        task.valid = SimulatedPaths(*sizes, [1, *seeds], given, ends)
        task.score = log_score
        size = self._clipped_batch_size(len(task.train))
        task.options = replace(task.options, batch_size=size)
        if incremental:
            task.options = replace(task.options, early_stopping=False)
        task.work = self._work(network, size)
        return task

    @torch.no_grad()
    def _prepare_network(self, network, given, layout: str, seed: int) -> None:
        """Check the equations; standardize the inputs by the training states."""
        model = self.model
        network.standardize(given)
        check_dynamics(model, network, given)
        n_periods = int(self.n_periods) if layout == "simulated" else 1
        network.start_at(
            constant_policies(model, network, given[:_N_FIRST], n_periods, seed)
        )
        if layout == "given":
            return
        rng = np.random.default_rng(seed)
        first = as_states(first_states(model, int(self.n_paths), rng), given)
        path = simulate_paths(model, network, first, n_periods, rng)
        states = path.flatten(0, 1)
        network.standardize(states)
        check_probabilities(model, states)
        values = residuals_in_chunks(model, network, states)
        check_finite_residuals(model, states, network(states), values)

    def _clipped_batch_size(self, n_samples: int) -> int:
        """Return the batch size for a number of training states."""
        if self.batch_size == "auto":
            return self._auto_batch_size(n_samples)
        if self.batch_size > n_samples:
            warn(
                f"Got batch_size={self.batch_size}, more than the {n_samples} training "
                "states. It is going to be clipped."
            )
        return min(int(self.batch_size), n_samples)

    def _fitted_attributes(self, task, plan, *, is_final):
        ends = task.valid.state()[0]
        attributes = super()._fitted_attributes(task, plan, is_final=is_final)
        return {**attributes, "_ends": ends}

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X=None, y=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_states), default=None
            States to train on. None means those on paths that the network simulates.
            They must cover the states that follow them: elsewhere the policies of the
            next period are extrapolated, and may satisfy the equations by accident. The
            columns of a data frame are matched by name.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If the model lacks something or returns wrong shapes, if its residuals are
            not finite at the start, or if training diverges.

        Examples
        --------
        {tracking}
        >>> network.fit().n_iter_
        2
        """
        return self._fit(X, None)

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X=None, y=None):
        """Train for one epoch and keep its weights.

        There is no early stopping: if ``n_iter_no_change`` is finite,
        ``early_stopping`` must be False.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_states), default=None
            States to train on. None means those on paths that the network simulates.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Examples
        --------
        {tracking}
        >>> for _ in range(3):
        ...     network = network.partial_fit()
        >>> len(network.history_)
        3
        """
        return self._fit(X, None, incremental=True)

    # -- predictions -------------------------------------------------------------------

    @explaining_arguments
    def predict(self, X):
        """Return the policies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_states)
            States. The columns of a data frame are matched by name.

        Returns
        -------
        policies : ndarray of shape (n_samples, n_policies)
            The policies in the order of ``model.policies``.

        Examples
        --------
        {tracking}
        >>> network.fit().predict([[-1.0], [0.0], [1.0]]).shape
        (3, 1)
        """
        return self._as_array(self._raw_scores(X))

    @explaining_arguments
    def residuals(self, X):
        """Return the errors of the equilibrium conditions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_states)
            States.

        Returns
        -------
        residuals : ndarray of shape (n_samples, n_equations)
            The residuals of the model.

        Examples
        --------
        {tracking}
        >>> X = np.array([[-1.0], [1.0]])
        >>> errors = network.fit().residuals(X)
        >>> bool(np.allclose(errors, network.predict(X) - 0.5 * X))
        True
        """
        check_is_fitted(self)
        table = self._checked_rows(X)
        with memory_errors():
            network, rows = self._encoded(table)
            (states,) = rows.take(slice(None))
            return self._finite_array(self._residuals(network, states), "residuals")

    @torch.inference_mode()
    def _residuals(self, network, states):
        return residuals_in_chunks(self.model, network, states)

    @explaining_arguments
    @validate_arguments(
        {
            "n_periods": [Interval(Integral, 1, None, closed="left")],
            "n_paths": [Interval(Integral, 1, None, closed="left")],
            "random_state": ["random_state"],
        }
    )
    def simulate(self, n_periods, n_paths=1, random_state=None):
        """Simulate the model from its initial states.

        Parameters
        ----------
        n_periods : int
            Number of periods, the first one included.
        n_paths : int, default=1
            Number of paths.
        random_state : int, RandomState instance, default=None
            Determines the initial states and the shocks.

        Returns
        -------
        states : ndarray of shape (n_paths, n_periods, n_states)
            The states.
        policies : ndarray of shape (n_paths, n_periods, n_policies)
            The policies.

        Examples
        --------
        {tracking}
        >>> states, policies = network.fit().simulate(10, n_paths=3, random_state=0)
        >>> states.shape, policies.shape
        ((3, 10, 1), (3, 10, 1))
        """
        check_is_fitted(self)
        self._check_same_model()
        seed = check_random_state(random_state).randint(2**31 - 1)
        with memory_errors():
            states, policies = self._simulate(int(n_periods), int(n_paths), seed)
        return (
            self._finite_array(states.transpose(0, 1), "states"),
            self._finite_array(policies.transpose(0, 1), "policies"),
        )

    @torch.inference_mode()
    def _simulate(self, n_periods: int, n_paths: int, seed: int):
        """Return states and policies, (n_periods, n_paths, ...)."""
        network: Any = self.module_
        rng = np.random.default_rng(seed)
        first = as_states(first_states(self.model, n_paths, rng), network.center)
        states = simulate_paths(
            self.model, network, first, n_periods, rng, restarts=False
        )
        policies = network(states.flatten(0, 1))
        return states, policies.view(n_periods, n_paths, -1)

    @explaining_arguments
    def score(self, X=None, y=None):
        """Return minus the decimal logarithm of the mean absolute residual.

        A score of 3 is a mean error of 0.001.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_states), default=None
            States. None means those of ``n_paths`` new paths of ``n_periods``, which
            begin where the last paths of ``fit`` ended. The result is the same in each
            call.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        score : float
            The score.

        Examples
        --------
        {tracking}
        >>> X = np.array([[-1.0], [1.0]])
        >>> error = np.abs(network.fit().residuals(X)).mean()
        >>> bool(np.isclose(network.score(X), -np.log10(error)))
        True
        """
        if X is None:
            check_is_fitted(self)
            self._check_same_model()
            with memory_errors():
                values = self._residuals_on_paths()
            values = self._finite_array(values, "residuals")
        else:
            values = self.residuals(X)
        return log_score(torch.from_numpy(values))

    @torch.inference_mode()
    def _residuals_on_paths(self):
        """Return the residuals on paths that continue the last ones of ``fit``."""
        network: Any = self.module_
        # There are no ends if Ctrl-C came in the first epoch.
        n_paths = int(self.n_paths) if self._ends is None else len(self._ends)
        sizes = self.model, n_paths, int(self.n_periods)
        paths = SimulatedPaths(*sizes, [2, self.t_], network.center, self._ends)
        paths.renew({"network": network})
        return residuals_in_chunks(self.model, network, paths.states)

    def _finite_array(self, values, what: str) -> np.ndarray:
        """Return a result as an array; raise if it is not finite."""
        values = values.cpu()
        if not values.isfinite().all():
            raise ValueError(
                f"The {what} are not finite. Check model.step and model.residuals in "
                "these states, and whether the network is trained: score()."
            )
        return self._as_array(values.contiguous())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.target_tags.required = False
        return tags
