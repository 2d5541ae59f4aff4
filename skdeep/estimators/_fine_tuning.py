"""Networks that start from one that was trained without labels."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skdeep.encoding import ColumnEncoder, PixelEncoder
from skdeep.estimators._mlp import MLPClassifier, MLPRegressor
from skdeep.estimators._recurrent import LSTMClassifier, LSTMRegressor
from skdeep.estimators._sequences_out import check_documents
from skdeep.estimators._trained import TrainedNetwork
from skdeep.preprocessing import SequenceVectorizer

_START = "[end]"


class DocumentTokens:
    """Splits a document as a language model does, with the start token before it.

    Parameters
    ----------
    level : {"char", "word", "token"}
        How strings are split.
    start : str
        The start token.
    """

    def __init__(self, level: str, start: str):
        self.level = level
        self.start = start

    def __call__(self, document) -> list:
        """Return the tokens of a document."""
        return [self.start, *check_documents([document], self.level).rows[0]]


def fine_tuned(
    estimator, trained: TrainedNetwork, vocabulary: list, level: str
) -> Pipeline:
    """Return a pipeline that starts an estimator from a trained language model.

    Parameters
    ----------
    estimator : LSTMClassifier or LSTMRegressor
        Cloned.
    trained : TrainedNetwork
        A ``LanguageNetwork``.
    vocabulary : list
        Its tokens without the unknown and the end token.
    level : {"char", "word", "token"}
        How strings are split.

    Raises
    ------
    TypeError, ValueError
        If the estimator cannot start from such a network.
    """
    _check_can_start(estimator)
    start = _START
    while start in vocabulary:
        start += "_"
    # Ids: 0 is padding, 1 an unknown token, 2 the end, as in the model plus 1.
    vectorizer = SequenceVectorizer(
        analyzer=DocumentTokens(level, start),
        lowercase=False,
        vocabulary=[start, *vocabulary],
    )
    weights = _initial_weights(trained.arrays)
    sizes = ("hidden_size", "cell", "num_layers", "embedding_dim")
    network = clone(estimator).set_params(
        **{name: trained.config[name] for name in sizes},
        vocabulary_size=len(weights["embedding.weight"]),
        initial_weights=weights,
    )
    return Pipeline([("vectorizer", vectorizer), ("network", network)])


def _initial_weights(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the weights by their names in a ``RecurrentNetwork``."""
    weights = {
        name.replace("layers.", "forwards."): array.copy()
        for name, array in arrays.items()
        if name.startswith("layers.")
    }
    table = arrays["embedding.weight"]
    padding = np.zeros_like(table[:1])
    return {"embedding.weight": np.concatenate([padding, table]), **weights}


def _check_can_start(estimator) -> None:
    """Raise if an estimator cannot start from the weights of a language model."""
    if isinstance(estimator, type) or not isinstance(
        estimator, (LSTMClassifier, LSTMRegressor)
    ):
        raise TypeError(
            "estimator must be an LSTMClassifier or an LSTMRegressor, got "
            f"{estimator!r}."
        )
    if estimator.bidirectional:
        raise ValueError(
            "estimator has bidirectional=True, but a language model reads documents in "
            "one direction only. Set bidirectional=False."
        )
    if estimator.return_sequences:
        raise ValueError(
            "estimator has return_sequences=True, but the end token comes before each "
            "document as a step without a target. Set return_sequences=False."
        )


def fine_tuned_dense(estimator, trained: TrainedNetwork, inputs):
    """Return a dense estimator that starts from the encoder of an autoencoder.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Cloned.
    trained : TrainedNetwork
        An ``AutoEncoderNetwork``.
    inputs : ColumnEncoder, PixelEncoder or StepEncoder
        Scales what it reads.

    Raises
    ------
    TypeError, ValueError
        If the estimator cannot start from such a network.
    """
    sizes = trained.config["hidden_layer_sizes"]
    _check_dense(estimator, inputs, sizes)
    weights = {}
    for i in range(len(sizes)):
        for part in ("weight", "bias"):
            array = trained.arrays[f"encoder.layers.{i}.{part}"]
            weights[f"layers.{i}.{part}"] = array.copy()
    _read_unscaled(weights, inputs)
    return clone(estimator).set_params(
        hidden_layer_sizes=tuple(sizes),
        activation=trained.config["activation"],
        initial_weights=weights,
    )


def _read_unscaled(weights: dict[str, np.ndarray], inputs: ColumnEncoder) -> None:
    """Change the first layer such that it reads the columns without scaling."""
    n = inputs.n_numbers_
    weight = weights["layers.0.weight"].astype(np.float64)
    # A column without values is the same number, 0, in all rows.
    mean = np.nan_to_num(inputs.mean_)
    weight[:, :n] /= inputs.scale_
    bias = weights["layers.0.bias"] - weight[:, :n] @ mean
    weights["layers.0.weight"], weights["layers.0.bias"] = weight, bias


def _check_dense(estimator, inputs, sizes: list[int]) -> None:
    """Raise if an estimator cannot start from the weights of an autoencoder."""
    if isinstance(estimator, type) or not isinstance(
        estimator, (MLPClassifier, MLPRegressor)
    ):
        raise TypeError(
            f"estimator must be an MLPClassifier or an MLPRegressor, got {estimator!r}."
        )
    if not isinstance(inputs, ColumnEncoder):
        kind = "images" if isinstance(inputs, PixelEncoder) else "sequences"
        raise ValueError(
            f"fine_tune needs an autoencoder of tables, but this one reads {kind}."
        )
    if not sizes:
        raise ValueError(
            "fine_tune needs hidden layers, but the autoencoder has "
            "hidden_layer_sizes=()."
        )
    if inputs.known_:
        raise ValueError(
            "fine_tune needs numeric columns: an MLP embeds categories, the "
            "autoencoder does not. Encode them before, for example with OneHotEncoder "
            "in a Pipeline."
        )
    if estimator.batch_norm:
        raise ValueError(
            "estimator has batch_norm=True, but the encoder has no normalization. Set "
            "batch_norm=False."
        )
