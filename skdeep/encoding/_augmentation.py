"""Random changes of images, signals and volumes, drawn anew for each batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from skdeep._messages import did_you_mean

AUGMENTATIONS = ("brightness", "crop", "cutout", "flip", "mixup", "rotate", "shift")
_TTA_KINDS = ("flip", "shift")

_LARGEST_SHIFT = 1 / 8  # of each size
_SMALLEST_CROP = 0.8  # of each size
_LARGEST_ANGLE = 15.0  # degrees
_LARGEST_GAIN = _LARGEST_OFFSET = 0.2  # standard deviations


def auto_augmentations(n_channels: int, n_dims: int) -> list[str]:
    """Return the augmentations of ``augment="auto"``.

    They keep the label of most data of a kind:

    - Grayscale images are often scans, such as digits and letters, which differ in
      position, slant and size. Mirrored letters are other letters or none: no flip.
    - Color images are often photographs: mirrored objects are the same objects.
      (Cutout pays off only in trainings of hundreds of epochs.)
    - Signals differ in time of onset, in gain and in offset. Reversed in time, they
      have another meaning: no flip.
    - Volumes differ in position. Many are scans of nearly symmetric bodies.

    Parameters
    ----------
    n_channels : int
        Number of channels.
    n_dims : {1, 2, 3}
        Number of sizes: 1 for signals, 2 for images, 3 for volumes.
    """
    if n_dims == 1:
        return ["shift", "brightness"]
    if n_dims == 3:
        return ["shift", "flip"]
    is_color = n_channels >= 3
    return ["flip", "shift"] if is_color else ["shift", "rotate", "crop"]


def check_augment(
    augment: Any, n_dims: int, n_channels: int
) -> list[str] | AugmentationByCallable:
    """Return the names of augmentations, or a callable that checks its results.

    Parameters
    ----------
    augment : None, "auto", str, sequence of str, or callable
        The parameter of the estimator. A callable is called with each batch.
    n_dims : {1, 2, 3}
        Number of sizes: 1 for signals, 2 for images, 3 for volumes.
    n_channels : int
        Number of channels, on which "auto" depends.

    Returns
    -------
    list of str, or AugmentationByCallable
        The names, perhaps "mixup" among them; empty for None.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, a name is unknown or given twice, or signals are to be
        rotated.
    """
    if augment is None:
        return []
    if isinstance(augment, str):
        if augment == "auto":
            return auto_augmentations(n_channels, n_dims)
        augment = [augment]
    elif callable(augment):
        return AugmentationByCallable(augment)
    names = _as_list(augment)
    _check_names(names)
    if n_dims == 1 and "rotate" in names:
        raise ValueError(_no_rotation(names))
    return names


def _as_list(augment: Any) -> list[Any]:
    try:
        if isinstance(augment, Mapping):  # its values would be ignored
            raise TypeError
        return list(augment)
    except TypeError:
        raise TypeError(
            f"augment={augment!r} must be None, 'auto', a name, a list of names or a "
            f"callable. Names are {_quoted(AUGMENTATIONS)}."
        ) from None


def _check_names(names: list[Any]) -> None:
    for name in names:
        if name not in AUGMENTATIONS:
            question = did_you_mean(name, AUGMENTATIONS)
            if name == "auto":
                question = "Use augment='auto' without a list."
            raise ValueError(
                f"augment={names!r} has the unknown name {name!r}. "
                + (f"{question} " if question else "")
                + f"Names are {_quoted(AUGMENTATIONS)}."
            )
        if names.count(name) > 1:
            raise ValueError(
                f"augment={names!r} has {name!r} {names.count(name)} times. Name each "
                "augmentation once."
            )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _no_rotation(names: Sequence[str]) -> str:
    return f"augment={list(names)!r} needs images or volumes; X holds signals."


class AugmentationByCallable:
    """A user's function of a batch, with a check of its results.

    Parameters
    ----------
    function : callable
        Called as ``function(x)``; returns a tensor of the same shape. It may change x.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]):
        self.function = function

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the function's result for a batch; the generator is not used.

        Raises
        ------
        TypeError, ValueError
            If the result is not a tensor or has another shape.
        """
        shape = tuple(x.shape)
        try:
            result = self.function(x)
        except RuntimeError as error:  # of torch
            raise ValueError(
                f"The callable `augment` failed on a batch of shape {shape}: {error}"
            ) from error
        except Exception as error:
            error.add_note(f"Raised by the callable `augment` on a batch {shape}.")
            raise
        if not isinstance(result, Tensor):
            raise TypeError(
                "The callable `augment` must return a torch.Tensor, got "
                f"{type(result).__name__}."
            )
        if tuple(result.shape) != shape:
            raise ValueError(
                "The callable `augment` must return a tensor of the shape of its batch,"
                f" {shape}, got {tuple(result.shape)}."
            )
        return _in_format_of(x, result.to(x.device, x.dtype))


class Augmentation:
    """Changes each image, signal or volume of a batch by its own random draws.

    - "shift": by whole pixels, up to an eighth of each size and at least by up to one
      pixel; edge values are repeated. Sizes of 1 are left.
    - "flip": mirrors the last axis of half of the images.
    - "crop": scales a window of 80 to 100 % of each side, anywhere, back to the full
      size, by linear interpolation.
    - "rotate": by up to 15 degrees around the center, in the plane of the last two
      axes, by linear interpolation; edge values are repeated.
    - "brightness": multiplies by 1 + a and adds b; a and b are up to ±0.2.
    - "cutout": sets a box of half of each side's length to 0, the mean of standardized
      values (DeVries and Taylor, 2017); the box may be partly outside.

    They are applied in an order that does not depend on that of the names: rotate,
    crop, shift, flip, brightness, cutout. If there is a rotation or a crop, the first
    four are one affine map, and the image is interpolated once: this is faster than
    one after another and blurs less. The edge values are then those of the original
    image, not those of the window.

    Parameters
    ----------
    names : sequence of str
        Names of augmentations, without "mixup", which also mixes targets.

    References
    ----------
    T. DeVries and G. W. Taylor, "Improved regularization of convolutional neural
    networks with cutout", arXiv:1708.04552, 2017.
    """

    def __init__(self, names: Sequence[str]):
        names = list(names)
        _check_names(names)
        if "mixup" in names:
            raise ValueError(
                f"augment={names!r} has 'mixup', which mixes targets too: it is an "
                "objective of the training, not a change of the inputs."
            )
        self.names = names

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return a changed copy of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, *sizes)
            Floats, standardized by channel, with one to three sizes. It is not
            changed, and the result does not share its memory, unless there are no
            names: then it is x itself.
        generator : torch.Generator
            Source of all draws, on the device of x.

        Returns
        -------
        Tensor of shape (n_samples, n_channels, *sizes)
            In the dtype and the memory format of x.

        Raises
        ------
        ValueError
            If signals are to be rotated.
        """
        if x.ndim == 3 and "rotate" in self.names:
            raise ValueError(_no_rotation(self.names))
        result = self._move(x, generator)
        if "brightness" in self.names:
            result = _change_brightness(result, generator)
        if "cutout" in self.names:
            result = _cut_out(result, generator)
        return _in_format_of(x, result)

    def _move(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Rotate, crop, shift and flip."""
        shifts = _draw_shifts(x, generator) if "shift" in self.names else None
        is_flipped = _draw_flips(x, generator) if "flip" in self.names else None
        if "rotate" in self.names or "crop" in self.names:
            angles = _draw_angles(x, generator) if "rotate" in self.names else None
            crops = _draw_crops(x, generator) if "crop" in self.names else None
            return _resample(x, angles, crops, shifts, is_flipped)
        if shifts is not None:
            x = _shift(x, shifts)
        if is_flipped is not None:
            x = torch.where(_per_image(is_flipped, x), x.flip(-1), x)
        return x


def _in_format_of(x: Tensor, result: Tensor) -> Tensor:
    """Return a result in the memory format of x."""
    if result is x or result.stride() == x.stride():
        return result
    return torch.empty_like(x).copy_(result)


def _per_image(values: Tensor, x: Tensor) -> Tensor:
    """Return values of the images in a shape that broadcasts to that of x."""
    return values.view(-1, *[1] * (x.ndim - 1))


# -- draws -----------------------------------------------------------------------------


def _uniform(x: Tensor, n_draws: int, generator: torch.Generator) -> Tensor:
    """Return numbers between -1 and 1, (n_draws, n_samples), in the dtype of x."""
    shape = (n_draws, len(x))
    draws = torch.rand(shape, generator=generator, dtype=x.dtype, device=x.device)
    return draws.mul_(2).sub_(1)


def _margins(sizes: Sequence[int]) -> list[int]:
    """Return the largest shift along each axis."""
    return [min(size - 1, max(1, int(size * _LARGEST_SHIFT))) for size in sizes]


def _draw_shifts(x: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Draw the shift along each axis in pixels, each (n_samples,)."""
    n_samples, device = (len(x),), x.device
    return [
        torch.randint(-m, m + 1, n_samples, generator=generator, device=device)
        for m in _margins(x.shape[2:])
    ]


def _draw_flips(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw which images are mirrored, (n_samples,)."""
    return _uniform(x, 1, generator)[0] < 0


def _draw_angles(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw angles in radians, (n_samples,)."""
    return torch.deg2rad(_uniform(x, 1, generator)[0] * _LARGEST_ANGLE)


def _draw_crops(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw windows in units of half the sizes.

    Returns
    -------
    share : Tensor of shape (n_samples,)
        Length of a window's sides.
    center : Tensor of shape (n_dims, n_samples)
        Its center, such that the window is inside.
    """
    share, *centers = _uniform(x, x.ndim - 1, generator)
    share = 1 - (1 - _SMALLEST_CROP) * (share + 1) / 2
    return share, torch.stack(centers) * (1 - share)


# -- changes ---------------------------------------------------------------------------


def _shift(x: Tensor, shifts: list[Tensor]) -> Tensor:
    """Shift images by whole pixels: windows of an image that is padded by its edges."""
    sizes = x.shape[2:]
    margins = _margins(sizes)
    # F.pad takes the last axis first.
    padding = [margin for margin in reversed(margins) for _ in range(2)]
    windows = F.pad(x, padding, mode="replicate")
    for axis, size in enumerate(sizes, start=2):
        windows = windows.unfold(axis, size, 1)  # (n, c, *n_positions, *sizes)
    starts = [m - by for m, by in zip(margins, shifts, strict=True)]
    index: Any = (torch.arange(len(x), device=x.device), slice(None), *starts)
    return windows[index]


def _resample(
    x: Tensor,
    angles: Tensor | None,
    crops: tuple[Tensor, Tensor] | None,
    shifts: list[Tensor] | None,
    is_flipped: Tensor | None,
) -> Tensor:
    """Rotate, crop, shift and flip by one interpolation.

    The pixel at p of the result, in units of half the sizes from the center, is the
    pixel at R (c + s (F p - t)) of x, for the rotation R, the center c and share s of
    the window, the shift t and the mirror F.
    """
    if x.ndim == 3:  # grid_sample needs at least two sizes
        crops = crops and (crops[0], _with_first_row(crops[1], 0))
        shifts = shifts and [torch.zeros_like(shifts[0]), *shifts]
        moved = _resample(x.unsqueeze(2), angles, crops, shifts, is_flipped)
        return moved.squeeze(2)
    n_dims = x.ndim - 2
    share, offset = crops or (x.new_ones(len(x)), x.new_zeros(n_dims, len(x)))
    if shifts is not None:
        by = [
            2 / size * shift.to(x.dtype)
            for size, shift in zip(x.shape[2:], shifts, strict=True)
        ]
        offset = offset - share * torch.stack(by)
    # From here on the last axis comes first, as in affine_grid.
    matrix = _rotation(x, angles)  # (n, n_dims, n_dims)
    offset = torch.einsum("nij,jn->ni", matrix, offset.flip(0))
    matrix = matrix * share.view(-1, 1, 1)
    if is_flipped is not None:
        matrix[:, :, 0] *= torch.where(is_flipped, -1, 1).unsqueeze(1)
    theta = torch.cat([matrix, offset.unsqueeze(2)], 2)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _with_first_row(values: Tensor, first: float) -> Tensor:
    return torch.cat([torch.full_like(values[:1], first), values])


def _rotation(x: Tensor, angles: Tensor | None) -> Tensor:
    """Return rotations in the plane of the last two axes, (n, n_dims, n_dims).

    The coordinates are in units of half the sizes, the last axis first.
    """
    n_dims = x.ndim - 2
    matrix = torch.eye(n_dims, dtype=x.dtype, device=x.device).repeat(len(x), 1, 1)
    if angles is None:
        return matrix
    aspect = x.shape[-2] / x.shape[-1]
    sine = angles.sin()
    matrix[:, 0, 0] = matrix[:, 1, 1] = angles.cos()
    matrix[:, 0, 1] = -sine * aspect
    matrix[:, 1, 0] = sine / aspect
    return matrix


def _change_brightness(x: Tensor, generator: torch.Generator) -> Tensor:
    """Change gain and offset."""
    gain, offset = _uniform(x, 2, generator)
    result = x * _per_image(1 + _LARGEST_GAIN * gain, x)
    return result.add_(_per_image(_LARGEST_OFFSET * offset, x))


def _cut_out(x: Tensor, generator: torch.Generator) -> Tensor:
    """Set a box to 0."""
    masks = []
    for axis, size in enumerate(x.shape[2:], start=2):
        length = max(1, size // 2)
        shape = [1] * x.ndim
        shape[axis] = size
        center = torch.randint(size, (len(x),), generator=generator, device=x.device)
        position = torch.arange(size, device=x.device).view(shape)
        distance = position - _per_image(center - length // 2, x)
        masks.append((distance >= 0) & (distance < length))
    return x.masked_fill(functools.reduce(torch.logical_and, masks), 0)


# -- test time -------------------------------------------------------------------------


def tta_views(x: Tensor, kind: str) -> list[Tensor]:
    """Return views of a batch over which predictions are averaged.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_channels, *sizes)
        The batch, which is not changed.
    kind : {"flip", "shift"}
        "flip": x and its mirror along the last axis. "shift": x, and x shifted by one
        pixel in each direction along each axis with a size above 1; edge values are
        repeated.

    Returns
    -------
    list of Tensor of shape (n_samples, n_channels, *sizes)
        In the memory format of x; the first is x itself.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    if kind not in _TTA_KINDS:
        question = did_you_mean(kind, _TTA_KINDS)
        raise ValueError(
            f"tta={kind!r} must be one of {_quoted(_TTA_KINDS)}. {question}".rstrip()
        )
    if kind == "flip":
        return [x, _in_format_of(x, x.flip(-1))]
    axes = [axis for axis in range(2, x.ndim) if x.shape[axis] > 1]
    return [x, *(_shifted_by(x, axis, by) for axis in axes for by in (-1, 1))]


def _shifted_by(x: Tensor, axis: int, by: int) -> Tensor:
    size = x.shape[axis]
    index = torch.arange(size, device=x.device).sub_(by).clamp_(0, size - 1)
    return _in_format_of(x, x.index_select(axis, index))
