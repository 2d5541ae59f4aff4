"""Augmentation, against loops over images in numpy and scipy."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from skdeep.encoding import (
    AUGMENTATIONS,
    Augmentation,
    auto_augmentations,
    check_augment,
    tta_views,
)

SIZES = {1: (17,), 2: (8, 16), 3: (5, 9, 6)}
NAMES = [name for name in AUGMENTATIONS if name != "mixup"]
CASES = [(n, d) for n in NAMES for d in SIZES if (n, d) != ("rotate", 1)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n_samples, n_channels, *sizes, dtype=torch.float32):
    return torch.randn(n_samples, n_channels, *sizes, generator=generator(9)).to(dtype)


def augmented(names, x, seed=0):
    return Augmentation(names)(x, generator(seed))


def coordinates(n_samples, *sizes):
    """Return images whose channel d has the position along axis d, from the center."""
    axes = [np.arange(size) - (size - 1) / 2 for size in sizes]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    return torch.from_numpy(np.broadcast_to(grid, (n_samples, *grid.shape)).copy())


def affine_maps(result, margin):
    """Return matrix and offset of the map from new to old positions, of each image.

    They are fitted to the pixels that are at least ``margin`` away from the edges.
    """
    sizes = result.shape[2:]
    inside = (slice(None), *(slice(margin, size - margin) for size in sizes))
    new = coordinates(1, *sizes)[0].numpy()[inside].reshape(len(sizes), -1)
    design = np.vstack([new, np.ones(new.shape[1])]).T
    matrices, offsets = [], []
    for image in result.numpy():
        old = image[inside].reshape(len(sizes), -1).T
        coefs, residual, *_ = np.linalg.lstsq(design, old, rcond=None)
        assert residual.max() < 1e-12
        matrices.append(coefs[:-1].T)
        offsets.append(coefs[-1])
    return np.array(matrices), np.array(offsets)


def is_uniform(values, low, high):
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 0.01


# -- each change -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes, margins",
    [((17,), (2,)), ((8, 16), (1, 2)), ((4, 1), (1, 0)), ((5, 1, 24), (1, 0, 3))],
)
def test_shift_by_whole_pixels(sizes, margins):
    x = batch(400, 2, *sizes)
    padding = [(0, 0), *((m, m) for m in margins)]
    ranges = [range(-m, m + 1) for m in margins]
    counts = dict.fromkeys(itertools.product(*ranges), 0)
    for image, result in zip(x.numpy(), augmented(["shift"], x).numpy(), strict=True):
        padded = np.pad(image, padding, mode="edge")
        for shift in counts:
            window = (
                slice(m - by, m - by + size)
                for m, by, size in zip(margins, shift, sizes, strict=True)
            )
            counts[shift] += np.array_equal(result, padded[(slice(None), *window)])
    assert sum(counts.values()) == len(x)
    assert stats.chisquare(list(counts.values())).pvalue > 0.01


@pytest.mark.parametrize("sizes", SIZES.values(), ids=str)
def test_flip_mirrors_the_last_axis_of_half_of_the_images(sizes):
    x = batch(400, 2, *sizes)
    n_flipped = 0
    for image, result in zip(x.numpy(), augmented(["flip"], x).numpy(), strict=True):
        is_flipped = np.array_equal(result, np.flip(image, -1))
        assert is_flipped or np.array_equal(result, image)
        n_flipped += is_flipped
    assert 170 <= n_flipped <= 230


@pytest.mark.parametrize("sizes", SIZES.values(), ids=str)
def test_crop_scales_windows_inside_the_image(sizes):
    matrices, offsets = affine_maps(augmented(["crop"], coordinates(300, *sizes)), 1)
    share = matrices[:, 0, 0]
    expected = share[:, np.newaxis, np.newaxis] * np.eye(len(sizes))
    np.testing.assert_allclose(matrices, expected, atol=1e-12)
    assert is_uniform(share, 0.8, 1)
    # The windows' centers are as far as the edges allow.
    room = (1 - share[:, np.newaxis]) * np.array(sizes) / 2
    for positions in (offsets / room).T:
        assert is_uniform(positions, -1, 1)


@pytest.mark.parametrize("sizes", [(16, 16), (9, 21), (3, 15, 11)], ids=str)
def test_rotation_is_rigid_and_in_the_last_two_axes(sizes):
    result = augmented(["rotate"], coordinates(200, *sizes))
    if len(sizes) == 3:
        np.testing.assert_allclose(
            result[:, 0], coordinates(200, *sizes)[:, 0], atol=1e-12
        )
        result = result[:, 1:, 1]
    matrices, offsets = affine_maps(result, 3)
    np.testing.assert_allclose(offsets, 0, atol=1e-12)
    np.testing.assert_allclose(
        matrices @ matrices.swapaxes(1, 2), np.broadcast_to(np.eye(2), matrices.shape),
        atol=1e-12,
    )  # fmt: skip
    assert (np.linalg.det(matrices) > 0).all()
    angles = np.rad2deg(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
    assert is_uniform(angles, -15, 15)


def test_rotation_equals_that_of_scipy():
    rng = np.random.default_rng(0)
    x = ndimage.gaussian_filter(rng.normal(size=(6, 1, 19, 19)), (0, 0, 1, 1))
    results = augmented(["rotate"], torch.from_numpy(x)).numpy()
    found = []
    for (image,), (result,) in zip(x, results, strict=True):
        errors = {
            angle: np.abs(
                ndimage.rotate(image, angle, reshape=False, order=1, mode="nearest")
                - result
            ).max()
            for angle in np.arange(-15, 15.01, 0.5)
        }
        best = min(errors, key=errors.get)
        found.append(best)
        # A quarter of a degree moves no pixel by more than 0.06.
        assert errors[best] < 0.06 * np.abs(np.gradient(image)).max() * 2
    assert len(set(found)) > 3


def test_an_image_is_interpolated_once():
    x = coordinates(300, 24, 24)
    matrices, offsets = affine_maps(
        augmented(["shift", "rotate", "crop", "flip"], x), 10
    )
    determinants = np.linalg.det(matrices)
    share = np.sqrt(np.abs(determinants))
    assert 0.8 <= share.min() < 0.81
    assert 0.99 < share.max() <= 1
    assert 120 <= (determinants < 0).sum() <= 180
    scaled = matrices / share[:, np.newaxis, np.newaxis]
    identity = np.broadcast_to(np.eye(2), matrices.shape)
    np.testing.assert_allclose(scaled @ scaled.swapaxes(1, 2), identity, atol=1e-12)
    # Center of the window and shift add up; the shift is scaled with the window.
    moved = np.linalg.solve(scaled, offsets[..., np.newaxis])[..., 0]
    room = (1 - share) * 12 + share * 3
    assert (np.abs(moved) <= room[:, np.newaxis] + 1e-9).all()
    assert np.abs(moved).max() > 0.9 * room.min()


def test_crop_with_shift_of_signals():
    x = coordinates(200, 17)
    matrices, offsets = affine_maps(augmented(["crop", "shift"], x), 5)
    share, moved = matrices[:, 0, 0], np.abs(offsets[:, 0])
    assert 0.8 <= share.min() < 0.81
    assert (moved <= (1 - share) * 8.5 + share * 2 + 1e-9).all()
    assert moved.max() > 2


def test_rotation_with_shift_moves_by_whole_pixels():
    result = augmented(["rotate", "shift"], coordinates(200, 24, 24))
    matrices, offsets = affine_maps(result, 10)
    moved = np.linalg.solve(matrices, offsets[..., np.newaxis])
    np.testing.assert_allclose(moved, moved.round(), atol=1e-10)
    assert set(moved.round().ravel()) == {-3, -2, -1, 0, 1, 2, 3}


@pytest.mark.parametrize("size, length", [(8, 4), (9, 4), (1, 1)])
@pytest.mark.parametrize("n_dims", [1, 2, 3])
def test_cutout_sets_a_box_to_zero(size, length, n_dims):
    x = batch(300, 2, *[size] * n_dims).abs() + 1
    result = augmented(["cutout"], x)
    is_zero = (result == 0).numpy()
    np.testing.assert_array_equal(result[~is_zero], x[~is_zero])
    counts = np.zeros((n_dims, size))
    for mask in is_zero:
        positions = [np.unique(axis) for axis in np.nonzero(mask[0])]
        assert (mask[0] == mask[1]).all()
        assert mask[0].sum() == np.prod([len(axis) for axis in positions])
        for axis, inside in zip(counts, positions, strict=True):
            np.testing.assert_array_equal(np.diff(inside), 1)
            touches = inside[0] == 0 or inside[-1] == size - 1
            assert len(inside) == length or (touches and 2 <= len(inside) < length)
            end = inside[-1] + 1 if inside[0] == 0 else inside[0] + length
            axis[end - length + length // 2] += 1
    # Centers are uniform over the pixels.
    if size > 1:
        assert all(stats.chisquare(axis).pvalue > 0.01 for axis in counts)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=str)
def test_brightness_changes_gain_and_offset(sizes):
    x = batch(300, 2, *sizes, dtype=torch.float64)
    gains, offsets = [], []
    for image, result in zip(x, augmented(["brightness"], x), strict=True):
        gain, offset = np.polyfit(image.ravel(), result.ravel(), 1)
        np.testing.assert_allclose(result, gain * image + offset, atol=1e-12)
        gains.append(gain)
        offsets.append(offset)
    assert is_uniform(gains, 0.8, 1.2)
    assert is_uniform(offsets, -0.2, 0.2)
    assert abs(np.corrcoef(gains, offsets)[0, 1]) < 0.2


# -- all changes -----------------------------------------------------------------------


@pytest.mark.parametrize("name, n_dims", CASES)
def test_results_are_new_and_depend_on_the_generator_alone(name, n_dims):
    x = batch(1, 2, *SIZES[n_dims]).repeat(40, *[1] * (n_dims + 1))
    before, state = x.clone(), torch.get_rng_state()
    first = augmented([name], x)
    assert torch.equal(x, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.data_ptr() != x.data_ptr()
    assert (first.shape, first.dtype) == (x.shape, x.dtype)
    assert torch.equal(first, augmented([name], x))
    assert not torch.equal(first, augmented([name], x, seed=1))
    # Images have their own draws.
    assert len(torch.unique(first, dim=0)) > 1


@pytest.mark.parametrize("name, n_dims", CASES)
def test_successive_batches_have_different_draws(name, n_dims):
    x, draws = batch(40, 1, *SIZES[n_dims]), generator()
    change = Augmentation([name])
    assert not torch.equal(change(x, draws), change(x, draws))


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("name, n_dims", [case for case in CASES if case[1] > 1])
def test_memory_format_is_kept(name, n_dims, n_channels):
    formats = {2: torch.channels_last, 3: torch.channels_last_3d}
    x = batch(20, n_channels, *SIZES[n_dims])
    last = torch.empty_like(x, memory_format=formats[n_dims]).copy_(x)
    result = augmented([name], last)
    assert result.stride() == last.stride()
    assert augmented([name], x).stride() == x.stride()
    torch.testing.assert_close(result, augmented([name], x))


@pytest.mark.parametrize("name, n_dims", CASES)
def test_float64_is_kept(name, n_dims):
    x = batch(4, 1, *SIZES[n_dims], dtype=torch.float64)
    assert augmented([name], x).dtype == torch.float64


@pytest.mark.gpu
@pytest.mark.parametrize("name, n_dims", CASES)
def test_changes_on_a_gpu(name, n_dims):
    x = batch(20, 2, *SIZES[n_dims]).cuda()
    result = Augmentation([name])(x, torch.Generator("cuda").manual_seed(0))
    assert (result.device, result.stride()) == (x.device, x.stride())
    assert not torch.equal(result, x)


def test_order_of_names_does_not_matter():
    x = batch(20, 3, 16, 16)
    names = ["flip", "shift", "cutout", "brightness"]
    result = augmented(names, x)
    assert torch.equal(result, augmented(names[::-1], x))
    # The box is 0 although the offset has changed.
    assert ((result == 0).sum((1, 2, 3)) >= 3 * 4 * 4).all()


def test_without_names_the_batch_is_returned():
    x = batch(3, 1, 8)
    assert Augmentation([])(x, generator()) is x


def test_a_batch_of_one_pixel_or_one_image():
    x = batch(1, 1, 1, 1)
    names = ["shift", "flip", "crop", "rotate"]
    torch.testing.assert_close(augmented(names, x), x)


def test_augmentation_is_pickled():
    x, change = batch(4, 1, 8, 8), Augmentation(["shift", "rotate"])
    copy = pickle.loads(pickle.dumps(change))
    assert torch.equal(change(x, generator()), copy(x, generator()))


# -- names -----------------------------------------------------------------------------


def test_names_are_sorted():
    assert list(AUGMENTATIONS) == sorted(AUGMENTATIONS)


@pytest.mark.parametrize(
    "n_channels, n_dims, expected",
    [
        (1, 2, {"shift", "rotate", "crop"}),
        (2, 2, {"shift", "rotate", "crop"}),
        (3, 2, {"flip", "shift"}),
        (3, 1, {"shift", "brightness"}),
        (1, 3, {"shift", "flip"}),
    ],
)
def test_auto(n_channels, n_dims, expected):
    names = auto_augmentations(n_channels, n_dims)
    assert set(names) == expected
    assert check_augment("auto", n_dims, n_channels) == names
    x = batch(4, n_channels, *SIZES[n_dims])
    assert augmented(names, x).shape == x.shape


@pytest.mark.parametrize(
    "augment, expected",
    [
        (None, []),
        ("flip", ["flip"]),
        ([], []),
        (("shift", "mixup"), ["shift", "mixup"]),
        (np.array(["crop", "cutout"]), ["crop", "cutout"]),
    ],
)
def test_check_augment_returns_names(augment, expected):
    assert check_augment(augment, 2, 1) == expected


@pytest.mark.parametrize(
    "augment, error, message",
    [
        ("rotat", ValueError, r"unknown name 'rotat'. Did you mean 'rotate'\? Names"),
        (["flip", 3], ValueError, r"\['flip', 3\] has the unknown name 3. Names are "),
        (["flip", "auto"], ValueError, r"name 'auto'. Use augment='auto' without a"),
        (["flip", "crop", "flip"], ValueError, "'flip' 2 times"),
        (0.5, TypeError, "augment=0.5 must be None, 'auto', a name"),
        ({"mixup": 0.5}, TypeError, "augment={'mixup': 0.5} must be None"),
    ],
)
def test_wrong_names(augment, error, message):
    with pytest.raises(error, match=message):
        check_augment(augment, 2, 1)


def test_signals_are_not_rotated():
    message = r"augment=\['rotate'\] needs images or volumes; X holds signals\."
    with pytest.raises(ValueError, match=message):
        check_augment("rotate", 1, 1)
    with pytest.raises(ValueError, match=message):
        augmented(["rotate"], batch(2, 1, 9))


def test_mixup_is_no_change_of_inputs():
    with pytest.raises(ValueError, match="'mixup', which mixes targets too"):
        Augmentation(["flip", "mixup"])


def test_callable():
    x = batch(4, 1, 5)
    change = check_augment(torch.negative, 1, 1)
    assert torch.equal(change(x, generator()), -x)
    result = check_augment(lambda x: x.double() + 1, 1, 1)(x)
    torch.testing.assert_close(result, x + 1)


@pytest.mark.parametrize(
    "function, error, message",
    [
        (lambda x: x.numpy(), TypeError, "must return a torch.Tensor, got ndarray"),
        (lambda x: None, TypeError, "must return a torch.Tensor, got NoneType"),
        (lambda x: x[:, :, 1:], ValueError, r"\(4, 1, 5\), got \(4, 1, 4\)"),
    ],
)
def test_wrong_results_of_a_callable(function, error, message):
    with pytest.raises(error, match=message):
        check_augment(function, 1, 1)(batch(4, 1, 5))


# -- test time -------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES.values(), ids=str)
def test_views_of_flip(sizes):
    x = batch(3, 2, *sizes)
    first, mirror = tta_views(x, "flip")
    assert first is x
    np.testing.assert_array_equal(mirror, np.flip(x.numpy(), -1))


@pytest.mark.parametrize("sizes", [*SIZES.values(), (4, 1)], ids=str)
def test_views_of_shift(sizes):
    x = batch(3, 2, *sizes)
    first, *views = tta_views(x, "shift")
    assert first is x
    expected = []
    for axis in (axis for axis, size in enumerate(sizes, start=2) if size > 1):
        widths = [(int(d == axis), int(d == axis)) for d in range(x.ndim)]
        padded = np.pad(x.numpy(), widths, mode="edge")
        size = x.shape[axis]
        # Shifted by -1 and by +1.
        expected += [padded.take(range(at, at + size), axis) for at in (2, 0)]
    assert len(views) == len(expected)
    for view, array in zip(views, expected, strict=True):
        np.testing.assert_array_equal(view, array)


@pytest.mark.parametrize("kind", ["flip", "shift"])
def test_views_keep_memory_format(kind):
    x = batch(3, 2, 4, 5).contiguous(memory_format=torch.channels_last)
    assert all(view.stride() == x.stride() for view in tta_views(x, kind))


def test_unknown_kind_of_views():
    with pytest.raises(ValueError, match=r"tta='flips' .* Did you mean 'flip'\?"):
        tta_views(batch(2, 1, 4), "flips")
