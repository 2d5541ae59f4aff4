"""What autoencoders have in common: codes, reconstructions and outliers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.stats import loguniform
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeep.encoding import (
    ColumnEncoder,
    DenseRows,
    ImageLayout,
    Images,
    NoTargets,
    PixelEncoder,
    SequenceFormat,
    StepEncoder,
    TableFormat,
    as_tensor,
    naming,
    tensor_to_numpy,
)
from skdeep.estimators._base import BaseNetwork, is_stochastic, too_large
from skdeep.estimators._building import building
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._code_distance import weighted_quantile
from skdeep.estimators._convolutional import _sizes as filter_sizes
from skdeep.estimators._images import check_shape_parameters, n_axes
from skdeep.estimators._mlp import _layer_sizes
from skdeep.estimators._plan import Sample
from skdeep.estimators._rows_or_images import (
    check_images_alone,
    check_table_alone,
    means_images,
)
from skdeep.estimators._sequences import check_numbers, has_unequal_lengths
from skdeep.estimators._validation import Checked
from skdeep.losses import ImageLoss, SequenceReconstructionLoss, TableLoss
from skdeep.networks import AutoEncoderNetwork
from skdeep.training import RowSource, hidden_values, memory_errors, resolve_device

_LARGEST_BATCH = 256


class AutoEncoding(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, OutlierMixin, BaseNetwork
):
    """Encodes rows as short codes, and finds those that it cannot reconstruct."""

    #: It is not a parameter.
    loss = "squared_error"

    # -- the network -------------------------------------------------------------------

    def _network_config(self, plan):
        sizes = plan.inputs.network_sizes()
        if "shape" in sizes:
            sizes["filters"] = filter_sizes(self.filters, "filters")
        if "n_steps" in sizes:
            sizes |= {"hidden_size": int(self.hidden_size), "cell": self.cell}
        return sizes | {
            "code_size": int(self.code_size),
            "hidden_layer_sizes": _layer_sizes(self.hidden_layer_sizes),
            "activation": self.activation,
            "dropout": float(self.dropout),
            "noise": float(self.noise),
            "mask": float(self.mask),
        }

    def _build(self, config, seed=0):
        with building(
            f"hidden_layer_sizes={config['hidden_layer_sizes']} and "
            f"code_size={config['code_size']}"
        ):
            return AutoEncoderNetwork(**config)

    def _initialize(self, network, rng):
        network.initialize(rng)

    def _work(self, network, batch_size):
        return batch_size * network.work_per_row

    def _search_space(self):
        return {
            "code_size": [2, 4, 8, 16, 32],
            "hidden_layer_sizes": [(), (32,), (64,), (128,), (128, 64)],
            "activation": ["relu", "silu", "tanh"],
            "learning_rate_init": loguniform(1e-3, 3e-2),
            "noise": [0.0, 0.1, 0.3],
            "mask": [0.0, 0.1, 0.3],
            "dropout": [0.0, 0.1, 0.2],
        }

    def _auto_batch_size(self, n_samples):
        # Few rows need small batches, or an epoch would have few steps.
        return min(n_samples, max(16, min(_LARGEST_BATCH, n_samples // 40)))

    # -- training ----------------------------------------------------------------------

    def _check(self, X, y="no_validation", *, dtype, schema=None):
        check = {
            "images": check_images_alone,
            "sequences": _check_sequences,
            "table": check_table_alone,
        }[self._kind_of(X, schema)]
        table, found = check(self, X, dtype, schema)
        return Checked(table, np.empty((len(table), 0)), found)

    def _kind_of(self, X, schema) -> str:
        """Return whether X holds "images", "sequences" or a "table"."""
        if schema is not None:
            kinds = {ImageLayout: "images", SequenceFormat: "sequences"}
            return kinds.get(type(schema.layout), "table")
        if self.sequences:
            return "sequences"
        if means_images(self, X):
            return "images"
        if has_unequal_lengths(X):
            return "sequences"
        return "images" if n_axes(X) > 2 else "table"

    def _check_options(self, incremental):
        super()._check_options(incremental)
        check_shape_parameters(self)
        if self.sequences and self.image_shape is not None:
            raise ValueError(
                f"X cannot hold both sequences and images: got sequences=True and "
                f"image_shape={self.image_shape!r}."
            )

    def _float_type(self, X, table):
        if isinstance(table, Images) and table.layout.files is not None:
            return table.dtype.name
        return super()._float_type(X, table)

    def _has_validation_rows(self, X, y, X_val, y_val):
        return super()._has_validation_rows(X, y, X_val, X_val)

    def _validation_sample(self, X_val, y_val, plan, dtype):
        try:
            table, none, _ = self._check(X_val, None, dtype=dtype, schema=plan.schema)
        except (TypeError, ValueError) as error:
            raise ValueError(f"X_val does not fit: {error}") from error
        return Sample(table, none)

    def _make_targets(self, y, classes):
        return NoTargets()

    def _known_targets(self, y):
        return self._targets

    def _make_inputs(self, schema):
        kinds: dict[type, Any] = {
            ImageLayout: PixelEncoder,
            SequenceFormat: StepEncoder,
            TableFormat: ColumnEncoder,
        }
        return kinds[type(schema.layout)](schema.layout, self.scaling)

    def _make_loss(self, targets):
        sizes = targets.inputs.network_sizes()
        if "shape" in sizes:
            return ImageLoss(sizes["shape"][0])
        if "n_steps" in sizes:
            moments = targets.inputs.length_moments_
            return SequenceReconstructionLoss(sizes["n_numbers"], moments)
        return TableLoss(sizes["n_numbers"], sizes["n_known"])

    def _n_scores(self, targets, loss):
        return loss.n_scores

    def _decode(self, targets, loss, raw):
        return raw

    def _plan_network(self, plan, sample, first):
        if first:
            plan.inputs = self._make_inputs(plan.schema).fit(
                sample.table, sample.weight
            )
            plan.targets.inputs = plan.inputs
            _check_some_value(plan.inputs)
        else:
            plan.inputs = self._inputs
        plan.loss = self._make_loss(plan.targets)
        plan.n_scores = plan.loss.n_scores
        plan.config = self._network_config(plan)
        plan.dtype = getattr(torch, sample.table.dtype.name)

    def _source(self, plan, sample, dtype, device):
        rows = plan.inputs.encode(sample.table, dtype, device)
        weight = sample.weight
        if weight is not None:
            weight = as_tensor(weight).to(device, dtype)
        return RowSource(rows, None, weight)

    def _task(self, plan, *arguments):
        task = super()._task(plan, *arguments)
        task.score = None  # the score of an epoch is minus its loss
        return task

    def _fitted_attributes(self, task, plan, *, is_final):
        attributes = super()._fitted_attributes(task, plan, is_final=is_final)
        return attributes | self._outlier_attributes(task, plan)

    def _outlier_attributes(self, task, plan) -> dict:
        """Return what ``predict`` has to know of the training rows."""
        network = task.learner.module
        was_training = network.training
        network.eval()
        sources = [source for source in (task.train, task.valid) if source is not None]
        found = [
            self._measured(network, source.rows, plan.loss, plan.inputs)
            for source in sources
        ]
        network.train(was_training)
        measures = [np.concatenate(parts) for parts in zip(*found, strict=True)]
        weight = None
        if any(source.weight is not None for source in sources):
            weight = np.concatenate([_weight_of(source) for source in sources])
        usual = self._learn_usual(*measures, weight)
        scores = self._scores_from(*measures, usual)
        return {
            "_usual": usual,
            "offset_": _threshold(scores, weight, self.contamination),
        }

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, X_val=None):
        """Train the network.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Training rows: a table, images or sequences. Entries of a table may be
            missing (NaN or None).
        y : Ignored
            Not used, present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. Rows of weight 0 are ignored.
        X_val : array-like or data frame of shape (n_samples_val, n_features), \
default=None
            Validation rows, whose loss is computed after every epoch. With
            ``early_stopping`` they replace the training rows that would be set aside.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If X is not valid, or training diverges.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import AutoEncoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> AutoEncoder(2, max_iter=2, random_state=0).fit(X).transform(X).shape
        (150, 2)
        """
        return self._fit(X, None, sample_weight, X_val)

    @available_if(is_stochastic)
    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train for one epoch on these rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Training rows. The first call learns scales and categories; a category that
            is new in later calls is unknown.
        y : Ignored
            Not used, present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. Rows of weight 0 are ignored.

        Returns
        -------
        self : object
            The fitted estimator. ``offset_`` is that of these rows.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import AutoEncoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> model = AutoEncoder(2, random_state=0)
        >>> for rows in (X[::2], X[1::2]):
        ...     model = model.partial_fit(rows)
        >>> model.t_
        150
        """
        return self._fit(X, None, sample_weight, incremental=True)

    # -- codes -------------------------------------------------------------------------

    @explaining_arguments
    def transform(self, X):
        """Return the codes of rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        codes : ndarray of shape (n_samples, code_size)
            The codes.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import AutoEncoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> model = AutoEncoder(2, max_iter=2, random_state=0).fit(X)
        >>> model.transform(X[:3]).shape
        (3, 2)
        """
        check_is_fitted(self)
        return self._hidden_values(self._checked_rows(X), "encode")

    @property
    def _n_features_out(self) -> int:
        return self._trained.config["code_size"]

    @explaining_arguments
    def inverse_transform(self, X):
        """Return the rows that codes are decoded to.

        Parameters
        ----------
        X : array-like of shape (n_samples, code_size)
            Codes.

        Returns
        -------
        rows : ndarray or data frame of shape (n_samples, n_features)
            Rows in the format of the training rows: a data frame with their columns and
            types if that is what they were. Numbers are whole where they had integers;
            categories are the most probable ones.

        Examples
        --------
        >>> import pandas as pd
        >>> from skdeep import AutoEncoder
        >>> X = pd.DataFrame({"age": [20, 70] * 30, "job": ["none", "many"] * 30})
        >>> X = X.astype({"job": "category"})
        >>> model = AutoEncoder(1, random_state=0).fit(X)
        >>> model.inverse_transform(model.transform(X[:2]))
           age   job
        0   20  none
        1   70  many
        """
        check_is_fitted(self)
        raw = self._decoded(self._checked_codes(X))
        if not raw.isfinite().all():
            raise ValueError(
                "The network returns non-finite numbers for these codes. The largest "
                f"value of X is {np.abs(np.asarray(X)).max():.3g}."
            )
        return self._as_rows(raw)

    def _checked_codes(self, X) -> np.ndarray:
        with naming("X"):
            codes = check_array(
                tensor_to_numpy(X, "X"), dtype=[np.float64, np.float32], input_name="X"
            )
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X must hold codes of code_size={self._n_features_out} values, got "
                f"{codes.shape[1]} columns."
            )
        return codes

    def _decoded(self, codes: np.ndarray) -> torch.Tensor:
        """Return the raw scores of codes, on the CPU."""
        device = resolve_device(self.device, fall_back=True)
        tensor = as_tensor(codes).to(device, self._trained.dtype)
        with memory_errors():
            return hidden_values(self.module_, DenseRows(tensor), "decode").cpu()

    @explaining_arguments
    def reconstruct(self, X):
        """Encode rows and decode them again.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        rows : ndarray or data frame of shape (n_samples, n_features)
            The reconstructed rows, as ``inverse_transform`` returns them. Missing
            entries are filled in.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import AutoEncoder
        >>> X = np.outer(np.arange(50), [1, 2, 3])
        >>> model = AutoEncoder(1, mask=0.3, max_iter=2, random_state=0).fit(X)
        >>> model.reconstruct([[10.0, np.nan, 30.0]]).shape
        (1, 3)
        """
        check_is_fitted(self)
        table = self._checked_rows(X)
        raw = self._scores_of(table)
        if isinstance(self._inputs, StepEncoder):
            n_steps = table.numeric.shape[1]
            lengths = table.lengths
            if lengths is None:
                lengths = np.full(len(table), n_steps)
            return self._inputs.decode(raw.double().numpy(), lengths, self._dtype)
        return self._as_rows(raw, getattr(X, "index", None))

    def _as_rows(self, raw: torch.Tensor, index=None):
        """Return rows in the format of the training rows from raw scores."""
        chosen = [part.argmax(1).numpy() for part in self._category_scores(raw)]
        return self._restored(raw, chosen, index)

    def _restored(self, raw: torch.Tensor, chosen: list[np.ndarray], index=None):
        """Return rows from raw scores and the codes of categories of each column."""
        values = raw.double().numpy()
        if isinstance(self._inputs, StepEncoder):
            return self._inputs.decode(values, None, self._dtype)
        if isinstance(self._inputs, PixelEncoder):
            images = self._inputs.decode(values)
            return images.astype(self._dtype) if images.dtype.kind == "f" else images
        return self._inputs.restore(values, chosen, self._dtype, index)

    def _category_scores(self, raw: torch.Tensor) -> list[torch.Tensor]:
        """Return the scores of the categories of each categorical column."""
        sizes = [len(known) for known in self._inputs.known_]
        if not sizes:
            return []
        parts = raw[:, self._inputs.n_numbers_ :].split(sizes, 1)
        # A column without categories has no best one.
        return [part if part.shape[1] else raw.new_zeros(len(raw), 1) for part in parts]

    # -- outliers ----------------------------------------------------------------------

    @abstractmethod
    def _measured(self, network, rows, loss, inputs) -> tuple[np.ndarray, ...]:
        """Return what the scores of encoded rows are computed from, row by row.

        The first array, (n_samples,), is that whose mean is ``score``.
        """

    def _learn_usual(self, *measures) -> Any:
        """Return what the scores compare rows with, from measures and weights."""
        return None

    def _scores_from(self, values, *others) -> np.ndarray:
        """Return scores from measures and what they are compared with."""
        return values

    def _measured_rows(self, table) -> tuple[np.ndarray, ...]:
        """Return the measures of checked rows."""
        with memory_errors():
            module, rows = self._encoded(table)
            measures = self._measured(module, rows, self._loss, self._inputs)
        if not all(np.isfinite(values).all() for values in measures):
            raise ValueError(too_large(table))
        return measures

    def _mean_value(self, X) -> float:
        """Return the mean of the first measure of rows of the user."""
        check_is_fitted(self)
        values = self._measured_rows(self._checked_rows(X))[0]
        return float(values.mean(dtype=np.float64))

    def _scored_rows(self, X) -> np.ndarray:
        """Return the scores of rows of the user."""
        check_is_fitted(self)
        table = self._checked_rows(X)
        scores = self._scores_from(*self._measured_rows(table), self._usual)
        with np.errstate(over="ignore"):
            scores = scores.astype(self._dtype, copy=False)
        if not np.isfinite(scores).all():
            raise ValueError(too_large(table))
        return scores

    @explaining_arguments
    def decision_function(self, X):
        """Return how far the score of each row is above the threshold.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            ``score_samples`` minus ``offset_``. Negative for outliers.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import AutoEncoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> model = AutoEncoder(2, contamination=0.1, max_iter=2, random_state=0).fit(X)
        >>> int((model.decision_function(X) < 0).sum())
        15
        """
        scores = self._scored_rows(X)
        return scores - scores.dtype.type(self.offset_)

    @explaining_arguments
    def predict(self, X):
        """Tell outliers from other rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        is_inlier : ndarray of int of shape (n_samples,)
            -1 for outliers, 1 for other rows.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import AutoEncoder
        >>> X = np.linspace(-1, 1, 32)[:, np.newaxis] * [1.0, 2.0, 3.0]
        >>> model = AutoEncoder(1, random_state=0).fit(X)
        >>> model.predict([[0.5, 1.0, 1.5], [0.5, -1.0, 1.5]])
        array([ 1, -1])
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        # Images; the checks of tables reject such arrays.
        tags.input_tags.three_d_array = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _weight_of(source: RowSource) -> np.ndarray:
    if source.weight is None:
        return np.ones(len(source))
    return source.weight.cpu().double().numpy()


def _threshold(scores: np.ndarray, weight: np.ndarray | None, contamination) -> float:
    """Return the score below which rows are outliers."""
    if contamination != "auto":
        return weighted_quantile(scores, weight, contamination)
    low, high = (weighted_quantile(scores, weight, share) for share in (0.25, 0.75))
    return low - 1.5 * (high - low)


def _check_sequences(estimator, X, dtype, schema):
    """Return checked sequences and their schema."""
    if schema is not None:
        own = replace(schema, layout=schema.layout.axes)
        return check_numbers(estimator, X, dtype=dtype, schema=own)[0], schema
    table, found = check_numbers(estimator, X, dtype=dtype)
    layout = SequenceFormat.of(tensor_to_numpy(X, "X"), found.layout)
    return table, replace(found, layout=layout)


def _check_some_value(inputs: ColumnEncoder | PixelEncoder | StepEncoder) -> None:
    """Raise if no column has a value in the training rows."""
    if not isinstance(inputs, ColumnEncoder):
        return
    if np.isnan(inputs.mean_).all() and not any(map(len, inputs.known_)):
        raise ValueError("X holds no values: all entries of the training rows miss.")
