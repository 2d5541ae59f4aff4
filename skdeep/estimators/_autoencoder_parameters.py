"""The parameters of autoencoders: their documentation and their valid values."""

from __future__ import annotations

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from skdeep.estimators._convolutional_parameters import IMAGE_CONSTRAINTS
from skdeep.estimators._parameters import (
    FITTED_DOC,
    TRAINING_CONSTRAINTS,
    TRAINING_DOC,
    adapted,
)
from skdeep.networks import ACTIVATIONS
from skdeep.training import STOCHASTIC_SOLVERS

_SHARE = Interval(Real, 0, 1, closed="left")

CODE_CONSTRAINTS: dict = {
    "code_size": [Interval(Integral, 1, None, closed="left")],
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS) - {"maxout"})],
    "noise": [Interval(Real, 0, None, closed="left")],
    "mask": [_SHARE],
    "dropout": [_SHARE],
    "scaling": [StrOptions({"standard"}), None],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    **{
        name: IMAGE_CONSTRAINTS[name]
        for name in (
            "filters",
            "image_shape",
            "image_size",
            "channels",
            "memory_budget",
        )
    },
    "sequences": ["boolean"],
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "cell": [StrOptions({"lstm", "gru", "rnn"})],
    "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
    **TRAINING_CONSTRAINTS,
}
AUTOENCODER_CONSTRAINTS: dict = {
    **CODE_CONSTRAINTS,
    "outlier_score": [StrOptions({"distance", "error"})],
    "sparsity": [Interval(Real, 0, None, closed="left")],
    "tied": ["boolean"],
}
VARIATIONAL_CONSTRAINTS: dict = {
    **CODE_CONSTRAINTS,
    "beta": [Interval(Real, 0, None, closed="left")],
    # The loss is estimated with random codes, which misleads a line search.
    "solver": [StrOptions(set(STOCHASTIC_SOLVERS)), callable],
}
del VARIATIONAL_CONSTRAINTS["max_fun"]

CODE_DOC = """\
code_size : int, default=8
    Number of values of a code.
hidden_layer_sizes : int or array-like of int, default=(64,)
    Number of units of each hidden layer of the encoder; the decoder has the same layers
    in reverse order. ``()`` makes both linear.
activation : {'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu', \
'gelu', 'silu', 'mish', 'softplus'}, default='silu'
    Activation of the hidden layers. The code has none.
noise : float, default=0.0
    Standard deviation of normal noise that is added to the numbers of each training
    batch, in the unit of the scaled columns. The network learns to remove it
    (denoising autoencoder).
mask : float, default=0.0
    Share of the entries that are hidden from the network in each training batch, as if
    they were missing. It learns to fill them in.
dropout : float, default=0.0
    Share of the hidden values set to zero in each training step."""

SPARSE_DOC = """\
sparsity : float, default=0.0
    Weight of a penalty that makes each value of the code far from zero for few rows
    only: the mean absolute value over the batch, divided by the root mean square.
tied : bool, default=False
    Whether the weights of the decoder are those of the encoder, transposed."""

BETA_DOC = """\
beta : float, default=1.0
    Factor of the divergence of the codes from a standard normal distribution. Above 1,
    the values of a code become more independent and reconstructions worse; 0 only
    reconstructs, and samples are poor."""

TABLE_DOC = """\
scaling : {'standard'} or None, default='standard'
    Whether each numeric column of a table, or each channel of images, is standardized
    inside, by its mean and standard deviation in the training rows, so that all columns
    count the same. None keeps the unit of X, which suits columns of one unit, such as
    pixels of flat rows; columns are centered in any case.
categorical_features : 'from_dtype', array-like or None, default='from_dtype'
    Categorical columns: those of categorical dtype in a data frame; or a mask,
    positions or names; or none.
filters : int or array-like of int, default=(16, 32)
    Number of filters of each convolution that reads images. Each halves the sizes of
    its input, and the decoder mirrors it. ``()`` reads images with dense layers only.
image_shape : tuple of int, default=None
    Shape of one image, with its channels if it has some, if the rows of X are
    flattened images: for example (28, 28) or (32, 32, 3).
image_size : int or tuple of int, default=None
    Height and width to which image files are resized. None means that all files have
    the same size.
channels : {'auto', 'first', 'last'} or None, default='auto'
    Axis of each image that holds the channels: the first or the last; None if there is
    no such axis. 'auto' takes an axis of length 4 or less for the channels, and raises
    an error if the shape does not tell.
memory_budget : float, default=2**30
    Number of bytes that decoded image files may take in memory. If they take more, each
    batch is read again from the files.
sequences : bool, default=False
    Whether X holds sequences, which recurrent layers read: an array of shape
    (n_samples, n_timesteps, n_features), or of shape (n_samples, n_timesteps) for one
    feature, in which rows of NaN at the end are padding; or a list of arrays. A list
    of arrays of different lengths is read as sequences in any case.
hidden_size : int, default=64
    Width of the recurrent layers that read and write sequences, in each direction.
cell : {'lstm', 'gru', 'rnn'}, default='lstm'
    Kind of the recurrent layers.
contamination : 'auto' or float, default='auto'
    Share of the training rows that ``predict`` considers outliers. 'auto' considers
    scores outliers that are more than 1.5 interquartile ranges below the first
    quartile of the training scores."""

OUTLIER_DOC = """\
outlier_score : {'error', 'distance'}, default='error'
    What ``score_samples`` and ``predict`` compare: the reconstruction error, or the
    distance of the code and of the error from those of the training rows, see the
    notes. The distance is better if some of the training rows are outliers, the error
    if none are. ``score`` is minus the error in any case."""

CODE_DEFAULTS: dict = dict(
    alpha=0.0,
    learning_rate="one_cycle",
    learning_rate_init=0.005,
    max_iter=50,
)
_TRAINING_DOC = (
    adapted(TRAINING_DOC, **CODE_DEFAULTS)
    .replace(
        "'auto' is ``min(200, n_samples)``",
        "'auto' is a fortieth of the\n    samples, but at least 16 and at most 256",
    )
    .replace(
        "Whether to stop when the validation score, or with 'loss' the validation "
        "loss, has\n    not improved",
        "Whether to stop when the validation loss has not improved",
    )
    .replace(
        "Which samples are set aside: a random part (of each class), or the last rows",
        "Which samples are set aside: a random part, or the last rows",
    )
)
AUTOENCODER_TRAINING_DOC = _TRAINING_DOC
VARIATIONAL_TRAINING_DOC = adapted(
    _TRAINING_DOC.replace("{'lbfgs', 'sgd',", "{'sgd',").replace(
        "The optimizer. 'lbfgs' uses all rows at once, in float64, and suits small "
        "data; the\n    others train in batches. 'adamw'",
        "The optimizer. 'adamw'",
    ),
    ("max_fun",),
)
CODE_FITTED_DOC = """\
offset_ : float
    ``decision_function`` is ``score_samples`` minus this number.
""" + FITTED_DOC.replace("The validation score of", "Minus the validation loss of")
