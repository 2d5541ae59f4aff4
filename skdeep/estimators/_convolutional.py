"""Convolutional networks for images, signals and volumes."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import loguniform
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skdeep._input_checks import is_integer
from skdeep._messages import did_you_mean
from skdeep.encoding import (
    Augmentation,
    ImageEncoder,
    check_augment,
    tta_views,
)
from skdeep.estimators._base import BaseNetwork, too_large
from skdeep.estimators._building import building
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._classifier import ClassifierNetwork
from skdeep.estimators._convolutional_parameters import (
    IMAGE_CONSTRAINTS,
    IMAGE_DOC,
    IMAGE_FITTED_DOC,
    IMAGE_NOTES,
    IMAGE_REFERENCES,
    IMAGE_TRAINING_DOC,
    IMAGE_X_DOC,
)
from skdeep.estimators._images import check_images, check_shape_parameters, is_size
from skdeep.estimators._parameters import (
    CLASSIFIER_CONSTRAINTS,
    CLASSIFIER_DOC,
    FITTED_DOC,
    REGRESSOR_CONSTRAINTS,
    REGRESSOR_DOC,
    TRAINING_CONSTRAINTS,
    adapted,
    documented,
)
from skdeep.estimators._regressor import RegressorNetwork
from skdeep.estimators._trained import TrainedModule, copy_module
from skdeep.estimators._user_networks import build_user_network, check_is_ready
from skdeep.networks import (
    AveragedViews,
    BackboneNetwork,
    ConvolutionalNetwork,
    LayerValues,
)
from skdeep.training import Mixup, hidden_values, memory_errors

_LARGEST_BATCH = 64


class _ConvolutionalFamily(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseNetwork
):
    """Builds convolutional networks."""

    def _check(self, X, y="no_validation", *, dtype, schema=None):
        return check_images(self, X, y, dtype=dtype, schema=schema)

    def _check_options(self, incremental):
        super()._check_options(incremental)
        check_shape_parameters(self)
        is_instance = isinstance(self.architecture, nn.Module)
        if self.freeze is not None and not is_instance:
            raise ValueError(
                f"freeze={self.freeze!r} needs an architecture that is a trained "
                f"torch.nn.Module, got architecture={self.architecture!r}."
            )
        if self.solver == "lbfgs" and self.augment is not None:
            raise ValueError(
                f"augment={self.augment!r} changes the images in each epoch, which "
                "solver='lbfgs' does not support. Use a stochastic solver."
            )

    def _float_type(self, X, table):
        if table.layout.files is not None:
            return table.dtype.name
        return super()._float_type(X, table)

    def _make_inputs(self, schema):
        return ImageEncoder(schema.layout, self.scaling)

    def _plan_network(self, plan, sample, first):
        super()._plan_network(plan, sample, first)
        if first:
            plan.inputs.learn_scale(sample.table, sample.weight)
        plan.fitted["image_shape_"] = plan.schema.layout.shape
        plan.fitted["channel_axis_"] = plan.schema.layout.channel_axis

    def _network_config(self, plan):
        shape = plan.schema.layout.shape
        config = {"shape": shape, "n_outputs": plan.n_scores}
        if not isinstance(self.architecture, str):
            return config | {
                "module": self.architecture,
                "is_frozen": self.freeze is not None,
            }
        return config | {
            "architecture": self.architecture,
            "depth": int(self.depth),
            "filters": _sizes(self.filters, "filters"),
            "kernel_size": _window(self.kernel_size, "kernel_size", len(shape) - 1),
            "pool_size": _window(self.pool_size, "pool_size", len(shape) - 1),
            "hidden_layer_sizes": _sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
            "activation": self.activation,
            "dropout": float(self.dropout),
            "batch_norm": bool(self.batch_norm),
        }

    def _build(self, config, seed=0):
        if "module" in config:
            return _build_from_module(**config)
        sizes = (
            f"architecture={config['architecture']!r} with images of shape "
            f"{config['shape']}, filters={config['filters']}, "
            f"kernel_size={config['kernel_size']} and "
            f"hidden_layer_sizes={config['hidden_layer_sizes']}"
        )
        with building(sizes):
            return ConvolutionalNetwork(**config)

    @property
    def _constructor_draws(self):
        return not isinstance(self.architecture, str)

    def _training_options(self, n_samples):
        options = super()._training_options(n_samples)
        if self.learning_rate_init != "auto":
            return options
        rate = 0.01 if self._is_normalized else 0.001
        return replace(options, learning_rate_init=rate)

    @property
    def _is_normalized(self):
        """Whether the network normalizes each layer, and so takes larger steps."""
        if self.architecture == "simple":
            return self.batch_norm
        return self.architecture in ("googlenet", "resnet")

    def _auto_batch_size(self, n_samples):
        # Few images need small batches, or an epoch would have few steps.
        return min(n_samples, max(16, min(_LARGEST_BATCH, n_samples // 40)))

    def _initialize(self, network, rng):
        if isinstance(network, (ConvolutionalNetwork, BackboneNetwork)):
            network.initialize(rng)

    def _store_network(self, network, plan, *, is_final):
        if isinstance(self.architecture, str):
            return super()._store_network(network, plan, is_final=is_final)
        # to() changes a module in place, but training is not over.
        network = network if is_final else copy_module(network)
        return TrainedModule(network.to(plan.dtype))

    def _work(self, network, batch_size):
        work = getattr(network, "work_per_row", None)
        return None if work is None else batch_size * work

    def _objective(self, plan, generator):
        chosen = self._augmentations(plan)
        if callable(chosen) or "mixup" not in chosen:
            return super()._objective(plan, generator)
        return Mixup(plan.loss, plan.n_scores, self.precision, generator=generator)

    def _task(self, plan, *arguments):
        task = super()._task(plan, *arguments)
        change = self._augmentations(plan)
        if not callable(change):
            change = Augmentation([name for name in change if name != "mixup"])
        if self.augment is not None:
            train: Any = task.train
            generator = task.generator
            train.augment = lambda inputs: (change(inputs[0], generator),)
        return task

    def _augmentations(self, plan):
        """Return the names of the augmentations, or the user's function."""
        n_channels, *sizes = plan.schema.layout.shape
        return check_augment(self.augment, len(sizes), n_channels)

    def _draws_globally(self):
        return callable(self.augment) or super()._draws_globally()

    def _search_space(self):
        space = super()._search_space()
        # Small batches would make most of the time of a search.
        del space["batch_size"]
        rates = (1e-3, 3e-2) if self._is_normalized else (3e-4, 1e-2)
        space |= {
            "learning_rate_init": loguniform(*rates),
            "augment": [None, "auto"],
        }
        if self.architecture != "simple":
            return space
        return space | {
            "filters": [(16, 32), (32, 64), (64, 128), (32, 64, 128)],
            "kernel_size": [3, 5],
            "hidden_layer_sizes": [(), (64,), (128,), (256,)],
            "dropout": [0.0, 0.1, 0.25, 0.5],
        }

    # -- predict -----------------------------------------------------------------------

    def _encoded(self, table):
        network, rows = super()._encoded(table)
        if self.tta is not None:
            network = AveragedViews(
                network, functools.partial(tta_views, kind=self.tta)
            )
        return network.eval(), rows

    @explaining_arguments
    def transform(self, X):
        """Return the values of the last hidden layer.

        Images that are similar to the network have similar values.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Images, or the paths of their files.

        Returns
        -------
        values : ndarray of shape (n_samples, n_values)
            The input of the last linear layer.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdeep import CNNClassifier
        >>> digits = load_digits()
        >>> model = CNNClassifier(4, hidden_layer_sizes=8, max_iter=1, random_state=0)
        >>> model.fit(digits.images, digits.target).transform(digits.images).shape
        (1797, 8)
        """
        check_is_fitted(self)
        head = _last_linear(self.module_)
        return self._layer_values(X, head, is_input=True)

    @property
    def _n_features_out(self):
        return _last_linear(self.module_).in_features

    @explaining_arguments
    def feature_maps(self, X, layer=0):
        """Return feature maps: where the filters of a convolutional layer respond.

        The maps are those after the activation and, if the layer has it, the pooling.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Images, or the paths of their files.
        layer : int or str, default=0
            Position of the layer among the convolutional layers, or its name: 'conv1',
            'conv2' and so on, or that of any layer in ``module_``, such as
            'body.blocks.conv1.conv' for the maps before normalization and pooling.

        Returns
        -------
        maps : ndarray of shape (n_samples, n_filters, height, width)
            The maps, with one axis for each axis of the images.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdeep import CNNClassifier
        >>> digits = load_digits()
        >>> model = CNNClassifier(4, hidden_layer_sizes=8, max_iter=1, random_state=0)
        >>> model = model.fit(digits.images, digits.target)
        >>> model.feature_maps(digits.images[:10]).shape
        (10, 4, 4, 4)
        """
        check_is_fitted(self)
        return self._layer_values(X, _find_layer(self.module_, layer))

    @explaining_arguments
    def read_images(self, X):
        """Return images as an array, unscaled, as in the training data.

        Files are read and resized as the network reads them, and flat rows get the axes
        of images. ``predict`` accepts the array, and gives the same predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Images, or the paths of their files.

        Returns
        -------
        images : ndarray of shape (n_samples, height, width) or with channels
            The images, with one axis for each axis of an image, and one for the
            channels at ``channel_axis_``.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skdeep import CNNClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> X.shape
        (1797, 64)
        >>> model = CNNClassifier(4, image_shape=(8, 8), max_iter=1, random_state=0)
        >>> model.fit(X, y).read_images(X).shape
        (1797, 8, 8)
        """
        check_is_fitted(self)
        with memory_errors():
            return self._checked_rows(X).as_array()

    def _layer_values(self, X, layer: nn.Module, *, is_input: bool = False):
        """Return the values of a layer of the network for images."""
        table = self._checked_rows(X)
        with memory_errors():
            _, rows = super()._encoded(table)
            network = LayerValues(self.module_, layer, is_input=is_input).eval()
            values = hidden_values(network, rows, "forward").cpu()
        if not values.isfinite().all():
            raise ValueError(too_large(table))
        return self._as_array(values)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.three_d_array = True
        return tags


def _sizes(sizes, parameter: str) -> tuple[int, ...]:
    """Return numbers of filters or units as a tuple of positive ints."""
    # scikit-learn's constraint "array-like" does not look at the items.
    listed = [sizes] if np.ndim(sizes) == 0 else list(sizes)
    if not all(map(is_size, listed)):
        raise ValueError(f"{parameter} must hold integers > 0, got {listed}.")
    return tuple(int(size) for size in listed)


def _window(size, parameter: str, n_axes: int) -> tuple[int, ...]:
    """Return the size of a window for each axis of an image."""
    if np.ndim(size) == 0:
        size = [size] * n_axes
    sizes = _sizes(size, parameter)
    if len(sizes) != n_axes:
        raise ValueError(
            f"{parameter} must be an int or have a value for each of the {n_axes} axes "
            f"of an image, got {size!r}."
        )
    return sizes


def _build_from_module(module, shape, n_outputs, is_frozen) -> nn.Module:
    """Return the network of a callable, or one around a trained module."""
    if isinstance(module, nn.Module):
        check_is_ready(module, f"architecture={type(module).__name__}(...)")
        backbone = copy_module(module).float()
        return BackboneNetwork(backbone, shape, n_outputs, is_frozen=is_frozen)
    return build_user_network(
        module, (shape, n_outputs), {}, signature="architecture(shape, n_outputs)"
    )


def _last_linear(network: nn.Module) -> nn.Linear:
    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    if not layers:
        raise AttributeError(
            "transform needs a network with a linear layer, whose input it returns; "
            f"{type(network).__name__} has none."
        )
    return layers[-1]


def _find_layer(network: nn.Module, layer) -> nn.Module:
    """Return a layer by its name, or its position among the convolutional ones."""
    named = dict(network.named_modules())
    if isinstance(network, ConvolutionalNetwork):
        maps = network.maps()
    else:
        kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
        maps = {name: m for name, m in named.items() if isinstance(m, kinds)}
    if isinstance(layer, str):
        if layer not in named | maps:
            hint = did_you_mean(layer, [*maps, *named])
            text = f"layer={layer!r} is not the name of a layer of the network. {hint}"
            raise ValueError(text.rstrip())
        return (named | maps)[layer]
    if not is_integer(layer) or not -len(maps) <= int(layer) < len(maps):
        raise ValueError(
            f"layer must be the name of a layer or a number below {len(maps)}, the "
            f"number of convolutional layers, got {layer!r}."
        )
    return list(maps.values())[int(layer)]


@documented(
    network=IMAGE_DOC,
    images=IMAGE_X_DOC,
    image_fitted=IMAGE_FITTED_DOC,
    notes=IMAGE_NOTES,
    references=IMAGE_REFERENCES,
    training=IMAGE_TRAINING_DOC,
    classifier=CLASSIFIER_DOC,
    fitted=FITTED_DOC,
)
class CNNClassifier(ClassifierNetwork, _ConvolutionalFamily):
    """Convolutional network for the classification of images, signals and volumes.

    {images}

    Parameters
    ----------
    {network}
    {training}
    {classifier}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    {image_fitted}
    {fitted}

    See Also
    --------
    CNNRegressor : The same for regression.
    ModuleClassifier : Trains any module.
    skdeep.datasets.load_images : Paths and labels of the images in a folder.
    skdeep.inspection.FilterDisplay : Draws the filters of a layer.

    Notes
    -----
    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skdeep import CNNClassifier
    >>> digits = load_digits()  # 1797 images of 8 x 8 pixels
    >>> X_train, X_test, y_train, y_test = train_test_split(
    ...     digits.images, digits.target, random_state=0
    ... )
    >>> model = CNNClassifier((16, 32), max_iter=5, random_state=0)
    >>> round(model.fit(X_train, y_train).score(X_test, y_test), 2)
    0.99
    """

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **IMAGE_CONSTRAINTS,
        **CLASSIFIER_CONSTRAINTS,
    }

    def __init__(
        self,
        filters=(32, 64),
        *,
        architecture="simple",
        depth=20,
        kernel_size=3,
        pool_size=2,
        hidden_layer_sizes=(128,),
        activation="relu",
        dropout=0.1,
        batch_norm=True,
        freeze=None,
        image_shape=None,
        image_size=None,
        channels="auto",
        scaling="channel",
        memory_budget=2**30,
        augment=None,
        tta=None,
        solver="adam",
        solver_params=None,
        alpha=0.0001,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init="auto",
        power_t=0.5,
        max_iter=20,
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
        loss="log_loss",
        focal_gamma=2.0,
        label_smoothing=0.0,
        cost_matrix=None,
        class_weight=None,
        validation_split="random",
        validation_gap=0,
        max_grad_norm=None,
        accumulate=1,
        weight_averaging=0.0,
        callbacks=None,
        device="auto",
        dtype="float32",
        precision=None,
        compile=False,
    ):
        self.filters = filters
        self.architecture = architecture
        self.depth = depth
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.freeze = freeze
        self.image_shape = image_shape
        self.image_size = image_size
        self.channels = channels
        self.scaling = scaling
        self.memory_budget = memory_budget
        self.augment = augment
        self.tta = tta
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
        self.loss = loss
        self.focal_gamma = focal_gamma
        self.label_smoothing = label_smoothing
        self.cost_matrix = cost_matrix
        self.class_weight = class_weight
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


@documented(
    network=adapted(IMAGE_DOC, dropout=0.0),
    images=IMAGE_X_DOC,
    image_fitted=IMAGE_FITTED_DOC,
    notes=IMAGE_NOTES,
    references=IMAGE_REFERENCES,
    training=IMAGE_TRAINING_DOC,
    regressor=REGRESSOR_DOC,
    fitted=FITTED_DOC,
)
class CNNRegressor(RegressorNetwork, _ConvolutionalFamily):
    """Convolutional network for regression on images, signals and volumes.

    {images}

    Parameters
    ----------
    {network}
    {training}
    {regressor}

    Attributes
    ----------
    {image_fitted}
    {fitted}

    See Also
    --------
    CNNClassifier : The same for classification.
    ModuleRegressor : Trains any module.

    Notes
    -----
    {notes}

    References
    ----------
    {references}

    Examples
    --------
    Where is the peak of a noisy signal?

    >>> import numpy as np
    >>> from skdeep import CNNRegressor
    >>> rng = np.random.RandomState(0)
    >>> y = rng.uniform(0.2, 0.8, size=300)
    >>> t = np.linspace(0, 1, 40)
    >>> X = np.exp(-(((t - y[:, np.newaxis]) / 0.05) ** 2))
    >>> X = X + 0.1 * rng.normal(size=X.shape)
    >>> model = CNNRegressor((8, 16), scale_target=True, random_state=0)
    >>> round(model.fit(X[:200], y[:200]).score(X[200:], y[200:]), 1)
    1.0
    """

    _parameter_constraints: dict = {
        **TRAINING_CONSTRAINTS,
        **IMAGE_CONSTRAINTS,
        **REGRESSOR_CONSTRAINTS,
        "scale_target": ["boolean"],
    }

    def __init__(
        self,
        filters=(32, 64),
        *,
        architecture="simple",
        depth=20,
        kernel_size=3,
        pool_size=2,
        hidden_layer_sizes=(128,),
        activation="relu",
        dropout=0.0,
        batch_norm=True,
        freeze=None,
        image_shape=None,
        image_size=None,
        channels="auto",
        scaling="channel",
        memory_budget=2**30,
        augment=None,
        tta=None,
        solver="adam",
        solver_params=None,
        alpha=0.0001,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init="auto",
        power_t=0.5,
        max_iter=20,
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
        loss="squared_error",
        quantile=0.5,
        huber_delta=1.0,
        scale_target=False,
        validation_split="random",
        validation_gap=0,
        max_grad_norm=None,
        accumulate=1,
        weight_averaging=0.0,
        callbacks=None,
        device="auto",
        dtype="float32",
        precision=None,
        compile=False,
    ):
        self.filters = filters
        self.architecture = architecture
        self.depth = depth
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.freeze = freeze
        self.image_shape = image_shape
        self.image_size = image_size
        self.channels = channels
        self.scaling = scaling
        self.memory_budget = memory_budget
        self.augment = augment
        self.tta = tta
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
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.scale_target = scale_target
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
