"""The parameters of a GAN: their documentation and their valid values."""

from __future__ import annotations

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from skdeep.estimators._autoencoder_parameters import CODE_CONSTRAINTS
from skdeep.estimators._parameters import (
    FITTED_DOC,
    TRAINING_CONSTRAINTS,
    TRAINING_DOC,
    adapted,
)
from skdeep.losses import ADVERSARIAL_LOSSES
from skdeep.training import LEARNING_RATES, STOCHASTIC_SOLVERS

_PENALTY = Interval(Real, 0, None, closed="left")

GAN_CONSTRAINTS: dict = {
    "loss": [StrOptions(set(ADVERSARIAL_LOSSES))],
    "discriminator_layer_sizes": CODE_CONSTRAINTS["hidden_layer_sizes"],
    "r1_penalty": [_PENALTY],
    "gradient_penalty": [_PENALTY],
    "pack_size": [Interval(Integral, 1, None, closed="left")],
    "training_by_sampling": ["boolean"],
    "scaling": [StrOptions({"modes", "standard"})],
    **{
        name: CODE_CONSTRAINTS[name]
        for name in (
            "code_size",
            "hidden_layer_sizes",
            "activation",
            "categorical_features",
            "filters",
            "image_shape",
            "image_size",
            "channels",
            "memory_budget",
        )
    },
    **TRAINING_CONSTRAINTS,
    "max_iter": [StrOptions({"auto"}), *TRAINING_CONSTRAINTS["max_iter"]],
    # The loss is that of random rows, which misleads a line search.
    "solver": [StrOptions(set(STOCHASTIC_SOLVERS)), callable],
    # The others wait for a loss that no longer falls, which means nothing in a game.
    "learning_rate": [StrOptions(set(LEARNING_RATES) - {"adaptive", "plateau"})],
}
# The losses of a game tell neither when to stop nor which epoch was best.
_UNUSED = (
    "early_stopping",
    "validation_fraction",
    "validation_split",
    "validation_gap",
    "tol",
    "n_iter_no_change",
    "max_fun",
    "precision",
)
for _name in _UNUSED:
    del GAN_CONSTRAINTS[_name]

GAN_DEFAULTS: dict = dict(
    alpha=0.0,
    learning_rate_init=0.002,
    max_iter="auto",
    beta_1=0.0,
    beta_2=0.99,
    weight_averaging=0.999,
)

GAME_DOC = """\
code_size : int, default=64
    Number of random values of which the generator makes a row.
hidden_layer_sizes : int or array-like of int, default=(128, 128)
    Number of units of each dense layer of the generator.
discriminator_layer_sizes : int or array-like of int, default=(256, 256)
    Number of units of each dense layer of the discriminator of a table; that of images
    has none.
activation : {'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu', \
'gelu', 'silu', 'mish', 'softplus'}, default='leaky_relu'
    Activation of the hidden layers of both networks.
loss : {'logistic', 'wasserstein'}, default='logistic'
    What both networks play for. With 'logistic', the discriminator minimizes its log
    loss. With 'wasserstein', it maximizes the difference between the mean scores of
    real and of generated rows, and needs ``gradient_penalty``.
r1_penalty : float, default=1.0
    Half of it is the factor of a penalty on the squared gradient of the discriminator
    at real rows, for 'logistic'. It keeps the game from cycling and modes from being
    lost; the samples are less sharp if it is too large.
gradient_penalty : float, default=10.0
    Factor of a penalty that holds the norm of the discriminator's gradient between real
    and generated rows at 1, for 'wasserstein'.
pack_size : int, default=1
    Number of rows that the discriminator judges together. With more than one, it
    notices when generated rows resemble each other too much.
training_by_sampling : bool, default=False
    Whether rows of a table are generated for a condition, one of their categories or
    modes, and rare ones are asked for more often in training than they occur (Xu et
    al., 2019). It helps where categories are so rare that they would not be learned;
    other columns are less true to the table."""

GAN_TABLE_DOC = """\
scaling : {'modes', 'standard'}, default='modes'
    How the numbers of a table are scaled. 'modes' describes each number by the mode of
    its column that it belongs to (a normal component, or a value that is frequent) and
    by its distance from the mode. 'standard' standardizes each column.
categorical_features : 'from_dtype', array-like or None, default='from_dtype'
    Categorical columns: those of categorical dtype in a data frame; or a mask,
    positions or names; or none.
filters : int or array-like of int, default=(32, 64)
    Number of filters of each convolution of the discriminator of images. Each halves
    the sizes of its input, and the generator mirrors it.
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
    batch is read again from the files."""

_RATES_DOC = """\
learning_rate : {'constant', 'invscaling', 'cosine', 'one_cycle', 'exponential'}, \
default='cosine'
    Schedule of the learning rate. 'invscaling' divides it by ``t_ ** power_t`` and
    needs ``solver='sgd'``. The others work with every solver and span ``max_iter``
    epochs: 'cosine' falls to 0 along half a cosine; 'one_cycle' rises for three tenths
    of the steps and then falls to 0; 'exponential' falls to a hundredth.
"""
GAN_TRAINING_DOC = (
    adapted(TRAINING_DOC, (*_UNUSED, "learning_rate"), **GAN_DEFAULTS)
    .replace("{'lbfgs', 'sgd',", "{'sgd',")
    .replace(
        "The optimizer. 'lbfgs' uses all rows at once, in float64, and suits small "
        "data; the\n    others train in batches. 'adamw'",
        "The optimizer of both networks. 'adamw'",
    )
    .replace("learning_rate_init :", f"{_RATES_DOC}learning_rate_init :")
    .replace(
        "the order of samples, the validation rows and\n    dropout.",
        "the order of samples and the random\n    values of the generator.",
    )
    .replace(
        "average of the weights over the steps, for example\n    0.99.",
        "average of the generator's weights over the steps,\n    for example 0.99.",
    )
    .replace(
        "'auto' is ``min(200, n_samples)``",
        "'auto' is 64 for images, and\n    for tables an eighth of the samples, but at "
        "least 64 and at most 500",
    )
    .replace(
        "max_iter : int, default='auto'\n    Maximum number of epochs, or of "
        "iterations with 'lbfgs'.",
        "max_iter : int or 'auto', default='auto'\n    Number of epochs; 'auto' is as "
        "many as 4,000 steps take, but at most 300.",
    )
    .replace(
        "None means that of X on the CPU and float32 elsewhere", "None means float32"
    )
)
GAN_FITTED_DOC = """\
classes_ : ndarray of shape (n_classes,)
    The labels, if ``fit`` was given some.
discriminator_ : torch.nn.Module
    The trained discriminator.
""" + adapted(
    FITTED_DOC,
    ("validation_scores_", "best_validation_score_", "out_activation_", "criterion_"),
).replace("The trained network.", "The trained generator.").replace(
    "Number of targets, or of raw scores for a classifier.",
    "Number of values of a row as the generator makes it.",
).replace(
    "``learning_rate``, ``duration``\n    in seconds and, with validation rows, "
    "``valid_loss`` and ``valid_score``.",
    "the loss of the\n    generator, ``discriminator_loss``, ``learning_rate``, and "
    "``duration`` in seconds.",
)
