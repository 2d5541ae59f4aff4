"""The parameters of LanguageModel: their documentation and their valid values."""

from __future__ import annotations

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from skdeep.estimators._parameters import (
    FITTED_DOC,
    TRAINING_CONSTRAINTS,
    TRAINING_DOC,
    adapted,
)
from skdeep.networks import CELLS
from skdeep.training import STOCHASTIC_SOLVERS

CONSTRAINTS: dict = {
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "level": [StrOptions({"char", "word", "token"})],
    "cell": [StrOptions(set(CELLS))],
    "num_layers": [Interval(Integral, 1, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "embedding_dim": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "tie_weights": ["boolean"],
    "bptt": [Interval(Integral, 1, None, closed="left")],
    "min_frequency": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_length": [Interval(Integral, 1, None, closed="left")],
    **TRAINING_CONSTRAINTS,
    # L-BFGS computes the loss of all rows at once; here each batch continues another.
    "solver": [StrOptions(set(STOCHASTIC_SOLVERS)), callable],
}
# Those of L-BFGS and of time series.
del CONSTRAINTS["max_fun"], CONSTRAINTS["validation_gap"]

SAMPLING_CONSTRAINTS: dict = {
    "n_samples": [Interval(Integral, 1, None, closed="left")],
    "temperature": [Interval(Real, 0, None, closed="left")],
    "top_k": [None, Interval(Integral, 1, None, closed="left")],
    "top_p": [None, Interval(Real, 0, 1, closed="right")],
    "max_length": [None, Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
}

_REPLACED = (
    "solver",
    "batch_size",
    "validation_fraction",
    "validation_split",
    "validation_gap",
    "max_fun",
    "early_stopping",
    "shuffle",
)
LANGUAGE_MODEL_DOC = """\
hidden_size : int, default=128
    Number of units of each recurrent layer.
level : {'char', 'word', 'token'}, default='word'
    What the tokens are. Strings are split into characters, or into words and
    punctuation marks. With 'token' documents are lists of tokens, strings or integers,
    such as the notes of a melody; lists are read as they are at the other levels, too.
cell : {'lstm', 'gru', 'rnn'}, default='lstm'
    Type of the layers: long short-term memory, gated recurrent units, or plain tanh
    units.
num_layers : int, default=1
    Number of layers; each reads the outputs of the one below at every step.
dropout : float, default=0.0
    Share of values set to zero in each training step: of embedded tokens, between
    layers and after the last layer.
embedding_dim : int or 'auto', default='auto'
    Length of the vector of a token; 'auto' is ``hidden_size``.
tie_weights : bool, default=True
    Whether the scores of the next token are products of the state with the vectors of
    the tokens, instead of having weights of their own. If ``embedding_dim`` is not
    ``hidden_size``, a linear layer maps the state to that length first.
bptt : int, default=64
    Length of truncated back-propagation through time: the number of tokens of a
    document in a batch, over which the gradient is computed. The state is carried on to
    the next batch.
min_frequency : int or 'auto', default='auto'
    Tokens that are less frequent in the training documents become the unknown token.
    'auto' is 2 for words, unless no word occurs twice, and 1 otherwise.
max_length : int, default=200
    Maximum number of tokens that ``sample`` adds to a prompt.
solver : {'sgd', 'adam', 'adamw', 'nadam', 'rmsprop', 'adagrad', 'adadelta'} or \
callable, default='adam'
    The optimizer. A callable builds a ``torch.optim.Optimizer`` from the list of
    parameters. It gets ``lr=learning_rate_init`` if it takes ``lr``.
batch_size : int or 'auto', default='auto'
    Number of columns into which the text is cut; a batch has ``bptt`` tokens of each.
    'auto' is 32, and fewer for a text of less than ``256 * bptt`` tokens.
shuffle : bool, default=True
    Whether to join the documents in another order in each epoch, from another token on.
early_stopping : bool or 'loss', default=False
    Whether to stop when the log-likelihood of validation documents has not improved by
    ``tol`` for ``n_iter_no_change`` epochs. The weights of the best epoch are kept. If
    False, the training loss must improve.
validation_fraction : float, default=0.1
    Share of the documents set aside for early stopping, unless ``X_val`` is given. Of a
    single document it is the last part.
validation_split : {'random', 'last'}, default='random'
    Which documents are set aside: random ones or the last ones."""

_DEFAULTS = {
    "alpha": 0.0,
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.01,
    "max_iter": 30,
    "max_grad_norm": 1.0,
}

LANGUAGE_TRAINING_DOC = adapted(TRAINING_DOC, _REPLACED, **_DEFAULTS)
# A list of documents has no columns; ``t_`` counts tokens.
LANGUAGE_FITTED_DOC = adapted(FITTED_DOC, ("n_features_in_", "feature_names_in_", "t_"))
