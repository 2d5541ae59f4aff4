"""The parameters of convolutional networks: their documentation and valid values."""

from __future__ import annotations

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from skdeep.estimators._parameters import TRAINING_CONSTRAINTS, TRAINING_DOC, adapted
from skdeep.networks import ACTIVATIONS, CONVOLUTIONAL_ARCHITECTURES

_POSITIVE = Interval(Integral, 1, None, closed="left")
IMAGE_CONSTRAINTS: dict = {
    "filters": ["array-like", _POSITIVE],
    "architecture": [StrOptions(set(CONVOLUTIONAL_ARCHITECTURES)), callable],
    "depth": [_POSITIVE],
    "kernel_size": ["array-like", _POSITIVE],
    "pool_size": ["array-like", _POSITIVE],
    "hidden_layer_sizes": ["array-like", _POSITIVE],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "batch_norm": ["boolean"],
    "freeze": [None, StrOptions({"backbone"})],
    "image_shape": [None, "array-like"],
    "image_size": [None, "array-like", _POSITIVE],
    "channels": [None, StrOptions({"auto", "first", "last"})],
    "scaling": [None, StrOptions({"channel", "dtype"})],
    "memory_budget": [Interval(Real, 0, None, closed="both")],
    "augment": [None, str, "array-like", callable],
    "tta": [None, StrOptions({"flip", "shift"})],
    "learning_rate_init": [
        StrOptions({"auto"}),
        *TRAINING_CONSTRAINTS["learning_rate_init"],
    ],
}

IMAGE_DOC = """\
filters : int or array-like of int, default=(32, 64)
    Number of filters of each convolution of the architecture 'simple'.
architecture : {'simple', 'lenet5', 'alexnet', 'googlenet', 'resnet'}, callable or \
torch.nn.Module, default='simple'
    The network:

    - 'simple': blocks of convolution, pooling and dropout, then dense layers with
      dropout; shaped by ``filters``, ``kernel_size``, ``pool_size``,
      ``hidden_layer_sizes``, ``activation``, ``dropout`` and ``batch_norm``;
    - 'lenet5', 'alexnet', 'googlenet' and 'resnet': the networks of the references,
      with a first layer that suits the size of the images; ``depth`` is that of the
      residual network;
    - a subclass of ``torch.nn.Module`` or a function, called as
      ``architecture(shape, n_outputs)`` with ``shape`` = (channels, height, width); the
      network takes (n_samples, channels, height, width) and returns raw scores,
      (n_samples, n_outputs);
    - an instance of ``torch.nn.Module``, such as a pretrained network: its output,
      (n_samples, n_features) or (n_samples, n_features, height, width), is averaged
      over the positions and read by a new linear layer. Each fit trains a copy.
depth : int, default=20
    Number of layers of 'resnet': 8, 14, 20, 32, 44, 56 or 110 for small images, 18 or
    34 for large ones.
kernel_size : int or array-like of int, default=3
    Size of the filters of 'simple', for all axes or for each.
pool_size : int or array-like of int, default=2
    Size of the windows over which 'simple' takes the maximum.
hidden_layer_sizes : int or array-like of int, default=(128,)
    Number of units of each dense layer of 'simple' before the last one.
activation : str, default='relu'
    Activation function of 'simple', with the names of :class:`MLPClassifier`.
dropout : float, default=0.1
    Share of values that 'simple' sets to zero in each training step, after each pooling
    and after each dense layer.
batch_norm : bool, default=True
    Whether 'simple' normalizes the output of each layer over the batch.
freeze : {'backbone'}, default=None
    'backbone' trains only the new layer on top of an ``architecture`` that is an
    instance.
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
scaling : {'channel', 'dtype'} or None, default='channel'
    How values are scaled: 'channel' standardizes each channel by the mean and standard
    deviation of the training rows (with ``partial_fit``, of the first call); 'dtype'
    divides integers of up to 16 bits by the largest value of their type, such as 255;
    None does not scale.
memory_budget : float, default=2**30
    Number of bytes that decoded image files may take in memory. If they take more, each
    batch is read again from the files.
augment : str, list of str or callable, default=None
    Random changes of the images of each training batch: 'shift', 'flip', 'crop',
    'rotate', 'cutout', 'mixup' and 'brightness', one or several of them. 'auto' chooses
    what usually helps: for gray images, shift, rotate and crop; for color images, flip
    and shift; for signals, shift and brightness; for volumes, shift and flip. A
    callable takes a batch, a scaled tensor (n_samples, channels, height, width), and
    returns one of the same shape.
tta : {'flip', 'shift'}, default=None
    Test-time augmentation: predictions come from the mean of the raw scores of each
    image and its mirror image ('flip'), or its copies shifted by a pixel in each
    direction ('shift')."""

IMAGE_X_DOC = """\
X holds images, (n_samples, height, width) or with an axis for the channels, (n_samples,
height, width, channels) or (n_samples, channels, height, width); signals, (n_samples,
length[, channels]); or volumes, (n_samples, depth, height, width[, channels]). Flat
rows are images if ``image_shape`` is set. See ``channels`` for how the axes are told
apart.

X may also hold the paths of image files: a list, an array or a data frame with a single
column. They need Pillow: ``pip install scikit-deep[images]``. Images of eight bits stay
so until the batch, and a memory map is not loaded."""

IMAGE_NOTES = """\
Files are read in threads, rotated as their metadata say, resized to ``image_size`` and
laid over white where they are transparent. If any training file has colors, all are
read with three channels, otherwise with one. All files are read once before the
training starts, and an error names those that cannot be read."""

IMAGE_REFERENCES = """\
LeCun, Bottou, Bengio & Haffner (1998). "Gradient-based learning applied to document
recognition." Proceedings of the IEEE 86. ('lenet5'.)

Krizhevsky, Sutskever & Hinton (2012). "ImageNet classification with deep convolutional
neural networks." NeurIPS. ('alexnet'.)

Szegedy et al. (2015). "Going deeper with convolutions." CVPR. ('googlenet'.)

He, Zhang, Ren & Sun (2016). "Deep residual learning for image recognition." CVPR.
('resnet'.)"""

IMAGE_FITTED_DOC = """\
image_shape_ : tuple of int
    Number of channels and sizes of the images that the network takes: (channels,
    height, width) for images.
channel_axis_ : {0, -1} or None
    Axis of each image in X that holds the channels; None if there is no such axis.
"""

# The defaults of the training differ from those of dense networks.
_TRAINING_DEFAULTS: dict = dict(
    dtype="float32",
    learning_rate="one_cycle",
    learning_rate_init="auto",
    max_iter=20,
)
IMAGE_TRAINING_DOC = (
    adapted(TRAINING_DOC, **_TRAINING_DEFAULTS)
    .replace(
        "'auto' is ``min(200, n_samples)``",
        "'auto' is a fortieth of the\n    samples, but at least 16 and at most 64",
    )
    .replace("learning_rate_init : float, ", "learning_rate_init : float or 'auto', ")
    .replace(
        "for 'one_cycle' the highest one.",
        "for 'one_cycle' the highest one. 'auto' is\n"
        "    0.01 if the network normalizes each layer over the batch ('simple' with\n"
        "    ``batch_norm``, 'googlenet', 'resnet'), otherwise 0.001.",
    )
)
