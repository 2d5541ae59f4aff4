"""Cost and pairwise losses, compared with loops, scipy and scikit-learn's AUC."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax
from sklearn.metrics import roc_auc_score
from torch.utils._python_dispatch import TorchDispatchMode

from skdeep.losses import StepLoss, make_loss

N, C = 40, 3
COSTS = np.array([[0.0, 2.0, 5.0], [1.0, 0.5, 3.0], [4.0, 0.75, 0.25]])


def build(name, form, costs=None):
    loss = make_loss(SimpleNamespace(loss=name), form)
    if costs is not None:
        loss.costs = costs
    return loss


def draw(form, leading=(), n_samples=N, seed=0):
    rng = np.random.default_rng(seed)
    raw = rng.normal(scale=2, size=(*leading, n_samples, C))
    if form == "classes":
        return raw, rng.integers(0, C, (*leading, n_samples))
    return raw, rng.integers(0, 2, (*leading, n_samples, C)).astype(float)


def values(loss, raw, target, weight=None):
    weight = None if weight is None else torch.tensor(weight)
    raw, target = torch.tensor(raw), torch.tensor(target)
    return loss.per_sample_in_batch(raw, target, weight).numpy()


def pair_losses(score, is_positive, weight):
    """Return the mean loss of each row over the opposite rows, by a double loop."""
    losses = np.zeros(len(score))
    for i in range(len(score)):
        others = np.flatnonzero((is_positive != is_positive[i]) & (weight > 0))
        sign = 1 if is_positive[i] else -1
        if len(others):
            margins = sign * (score[i] - score[others])
            pairs = np.logaddexp(0, -margins)
            losses[i] = np.average(pairs, weights=weight[others])
    return losses


def mean_score_loss(score, is_positive, weight):
    mean = np.average(score, weights=weight)
    return np.logaddexp(0, mean) - is_positive * mean


def expected_labels(raw, target, weight=None):
    weight = np.ones(len(raw)) if weight is None else weight
    columns = zip(raw.T, target.T > 0, strict=True)
    return sum(
        pair_losses(z, y, weight) + mean_score_loss(z, y, weight) for z, y in columns
    )


def expected_classes(raw, codes, weight=None):
    weight = np.ones(len(raw)) if weight is None else weight
    present = np.unique(codes[weight > 0])
    present = present if len(present) > 1 else []
    pairs = [pair_losses(raw[:, c], codes == c, weight) for c in present]
    mean_score_losss = [
        mean_score_loss(raw[:, c], codes == c, weight) for c in range(C)
    ]
    return (np.mean(pairs, axis=0) if pairs else 0) + np.mean(mean_score_losss, axis=0)


PAIRS = [("labels", expected_labels), ("classes", expected_classes)]


# -- expected cost ---------------------------------------------------------------------


@pytest.mark.parametrize("costs", [None, COSTS], ids=["errors", "costs"])
def test_expected_cost_of_classes(costs):
    raw, codes = draw("classes")
    table = 1 - np.eye(C) if costs is None else costs
    expected = [
        sum(p[j] * table[code, j] for j in range(C))
        for p, code in zip(softmax(raw, axis=1), codes, strict=True)
    ]
    got = values(build("expected_cost", "classes", costs), raw, codes)
    np.testing.assert_allclose(got, expected)


@pytest.mark.parametrize("costs", [None, COSTS[:2, :2]], ids=["errors", "costs"])
def test_expected_cost_of_labels(costs):
    raw, target = draw("labels")
    table = 1 - np.eye(2) if costs is None else costs
    p = expit(raw)
    by_label = np.where(
        target == 1,
        (1 - p) * table[1, 0] + p * table[1, 1],
        (1 - p) * table[0, 0] + p * table[0, 1],
    )
    got = values(build("expected_cost", "labels", costs), raw, target)
    np.testing.assert_allclose(got, by_label.sum(axis=1))


def test_cost_of_two_scores_is_that_of_their_difference():
    raw, codes = draw("classes")
    codes, costs = codes % 2, COSTS[:2, :2]
    two = values(build("expected_cost", "classes", costs), raw[:, :2], codes)
    difference, labels = raw[:, [1]] - raw[:, [0]], codes[:, np.newaxis].astype(float)
    one = values(build("expected_cost", "labels", costs), difference, labels)
    np.testing.assert_allclose(two, one)


def test_single_class_has_constant_cost():
    loss = build("expected_cost", "labels", np.array([[3.0]]))
    cost, gradient = loss.with_gradient(torch.randn(5, 1), torch.zeros(5, 1))
    assert (cost == 3).all()
    assert (gradient == 0).all()


# -- pairs -----------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("form", "expected"), PAIRS)
def test_pairs_equal_a_double_loop(form, expected, weighted):
    raw, target = draw(form, leading=(2,))
    weight = np.random.default_rng(1).uniform(size=(2, N)) if weighted else None
    got = values(build("pairwise_auc", form), raw, target, weight)
    for k in range(2):
        one = weight[k] if weighted else None
        np.testing.assert_allclose(got[k], expected(raw[k], target[k], one))


@pytest.mark.parametrize("weighted", [False, True])
def test_mean_over_rows_is_the_mean_over_pairs(weighted):
    raw, target = draw("labels")
    raw, target = raw[:, :1], target[:, :1]
    weight = np.random.default_rng(1).uniform(size=N) if weighted else np.ones(N)
    got = values(build("pairwise_auc", "labels"), raw, target, weight)
    z, is_positive = raw[:, 0], target[:, 0] > 0
    pairs = np.logaddexp(0, z[~is_positive] - z[is_positive][:, np.newaxis])
    products = np.outer(weight[is_positive], weight[~is_positive])
    expected = np.average(pairs, weights=products)
    expected += np.average(mean_score_loss(z, is_positive, weight), weights=weight)
    assert np.average(got, weights=weight) == pytest.approx(expected)


FORMS = [("labels", 1), ("labels", C), ("classes", C)]


def draw_repeated(form, n_scores, weight):
    """Return scores, targets and an index that repeats rows by their weights."""
    raw, target = draw(form)
    raw, target = torch.tensor(raw[:, :n_scores]), torch.tensor(target)
    index = torch.arange(N).repeat_interleave(torch.tensor(weight).long())
    return raw, target[:, :n_scores] if form == "labels" else target, index


@pytest.mark.parametrize("scale", [1.0, 1 / N, 1e-3])
@pytest.mark.parametrize(("form", "n_scores"), FORMS)
def test_weight_k_equals_k_copies(form, n_scores, scale):
    loss = build("pairwise_auc", form)
    weight = np.random.default_rng(1).integers(0, 4, N).astype(float)
    assert set(weight) == {0, 1, 2, 3}
    raw, target, index = draw_repeated(form, n_scores, weight)
    weight = scale * torch.tensor(weight)
    expected, gradient = loss.scaled_gradient(raw[index], target[index], scale)
    summed = torch.zeros_like(raw).index_add(0, index, gradient)
    # By the hand-written gradient, and by autograd.
    got, written = loss.scaled_gradient(raw, target, weight[:, None])
    torch.testing.assert_close(got[index], expected)
    torch.testing.assert_close(written, summed)
    raw.requires_grad_()
    got = loss.per_sample_in_batch(raw, target, weight)
    torch.testing.assert_close(got[index], expected)
    (by_autograd,) = torch.autograd.grad((got * weight).sum(), raw)
    torch.testing.assert_close(by_autograd, summed)


@pytest.mark.parametrize(
    ("form", "n_scores", "absent"),
    [
        *((*form, absent) for form in FORMS for absent in ([0], [1])),
        *(("classes", C, absent) for absent in ([0, 1], [1, 2])),
    ],
)
def test_class_without_weight_equals_a_dropped_class(form, n_scores, absent):
    loss = build("pairwise_auc", form)
    raw, target, _ = draw_repeated(form, n_scores, np.ones(N))
    code = target if form == "classes" else target[:, 0]
    kept = ~torch.isin(code, torch.tensor(absent).to(code))
    assert 0 < kept.sum() < N
    expected, gradient = loss.with_gradient(raw[kept], target[kept])
    got, written = loss.scaled_gradient(raw, target, kept.to(raw)[:, None])
    assert got.isfinite().all()
    torch.testing.assert_close(got[kept], expected)
    torch.testing.assert_close(written[kept], gradient)
    assert (written[~kept] == 0).all()


@pytest.mark.parametrize(("form", "n_scores"), FORMS)
def test_all_weights_zero_gives_no_nan(form, n_scores):
    raw, target, _ = draw_repeated(form, n_scores, np.ones(N))
    nothing = torch.zeros(N, 1, dtype=torch.float64)
    got, gradient = build("pairwise_auc", form).scaled_gradient(raw, target, nothing)
    assert got.isfinite().all()
    assert (gradient == 0).all()


def test_many_pairs_equal_a_double_loop():
    raw, target = draw("labels", n_samples=1500)
    raw, target = torch.tensor(raw), torch.tensor(target)
    got, gradient = build("pairwise_auc", "labels").with_gradient(raw, target)
    np.testing.assert_allclose(got, expected_labels(raw.numpy(), target.numpy()))
    p, q = raw[target[:, 0] > 0, 0], raw[target[:, 0] == 0, 0]
    # The pairs of a row count in its own mean and in those of the opposite rows.
    both = torch.sigmoid(q - p[:, None]).sum(1) * (1 / len(p) + 1 / len(q))
    shift = torch.sigmoid(raw[:, 0].mean()) - target[:, 0].mean()
    torch.testing.assert_close(gradient[target[:, 0] > 0, 0], shift - both)


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_class_that_is_missing_in_a_batch(absent):
    raw, codes = draw("classes")
    codes = np.where(codes == absent, (absent + 1) % C, codes)
    got = values(build("pairwise_auc", "classes"), raw, codes)
    np.testing.assert_allclose(got, expected_classes(raw, codes))


@pytest.mark.parametrize("form", ["labels", "classes"])
@pytest.mark.parametrize("n_samples", [1, 4])
def test_batch_of_one_class_has_only_the_mean_score_loss(form, n_samples):
    raw, target = draw(form, n_samples=n_samples)
    loss = build("pairwise_auc", form)
    raw, target = torch.tensor(raw), torch.zeros_like(torch.tensor(target))
    got, gradient = loss.with_gradient(raw, target)
    mean = raw.mean(0)
    log_loss = torch.log1p(torch.exp(mean))
    if form == "labels":
        torch.testing.assert_close(got, log_loss.sum().expand(n_samples))
        torch.testing.assert_close(gradient, mean.sigmoid().expand(n_samples, C))
        return
    log_loss[0] -= mean[0]
    torch.testing.assert_close(got, log_loss.mean().expand(n_samples))
    pull = (mean.sigmoid() - torch.tensor([1.0, 0.0, 0.0])) / C
    torch.testing.assert_close(gradient, pull.expand(n_samples, C).to(gradient))


@pytest.mark.parametrize("seed", range(5))
def test_pairs_bound_the_auc(seed):
    raw, codes = draw("classes", seed=seed)
    bound = values(build("pairwise_auc", "classes"), raw, codes).mean()
    same = np.ones(N)
    bound -= np.mean(
        [mean_score_loss(raw[:, c], codes == c, same).mean() for c in range(C)]
    )
    each = [roc_auc_score(codes == c, raw[:, c]) for c in range(C)]
    assert bound / np.log(2) >= 1 - np.mean(each)
    # With distant scores, the loss of a pair in the wrong order is its distance.
    positive = codes == 0
    steps = np.argsort(np.argsort(raw[:, 0])) * 1e3
    pairs = itertools.product(steps[positive], steps[~positive])
    distance = np.mean([max(q - p, 0) for p, q in pairs])
    target = positive[:, np.newaxis].astype(float)
    far = values(build("pairwise_auc", "labels"), steps[:, np.newaxis], target).mean()
    assert far - mean_score_loss(steps, positive, same).mean() == pytest.approx(
        distance
    )


class LargestTensor(TorchDispatchMode):
    """Records the size of the largest tensor."""

    size = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.size = max(self.size, out.numel())
        return out


@pytest.mark.parametrize("n_positive", [30, 4000, 7970])
def test_pairs_are_processed_in_chunks(n_positive):
    n_samples = 8000
    rng = torch.Generator().manual_seed(0)
    raw = torch.randn(n_samples, 1, generator=rng, dtype=torch.float64)
    target = (torch.arange(n_samples) < n_positive).to(raw)[:, None]
    loss = build("pairwise_auc", "labels")
    with LargestTensor() as largest:
        _, gradient = loss.with_gradient(raw, target)
    assert n_samples <= largest.size < 100_000
    # The gradients of both rows of a pair cancel; the loss of the mean score remains.
    shift = n_samples * torch.sigmoid(raw.mean()) - n_positive
    torch.testing.assert_close(gradient.sum(), shift)


# -- cost and pairwise losses ----------------------------------------------------------

CASES = [
    ("expected_cost", "labels", None),
    ("expected_cost", "labels", COSTS[:2, :2]),
    ("expected_cost", "classes", None),
    ("expected_cost", "classes", COSTS),
    ("pairwise_auc", "labels", None),
    ("pairwise_auc", "classes", None),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("leading", [(), (2,)], ids=["one", "population"])
@pytest.mark.parametrize(("name", "form", "costs"), CASES)
def test_gradient_equals_finite_differences(name, form, costs, leading, weighted):
    loss = build(name, form, costs)
    raw, target = draw(form, leading, n_samples=9)
    tensors = torch.tensor(raw), torch.tensor(target)
    weight = np.ones((*leading, 9))
    if weighted:
        weight = np.random.default_rng(1).uniform(size=weight.shape)
        weight[..., :3] = 0, 2, 3
        scale = torch.tensor(weight)[..., np.newaxis]
        _, gradient = loss.scaled_gradient(*tensors, scale)
    else:
        _, gradient = loss.with_gradient(*tensors)
    for at in np.ndindex(raw.shape):
        step = np.zeros_like(raw)
        step[at] = 1e-5
        up, down = (values(loss, raw + s, target, weight) for s in (step, -step))
        slope = (weight * (up - down)).sum() / 2e-5
        assert gradient[at].item() == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("among", ["equal", "weighted"])
@pytest.mark.parametrize(("name", "form", "costs"), CASES)
def test_autograd_of_weighted_rows_equals_finite_differences(name, form, costs, among):
    loss = build(name, form, costs)
    raw, target = (torch.tensor(array) for array in draw(form, n_samples=9))
    weight = torch.linspace(0, 3, 9, dtype=torch.float64)
    raw.requires_grad_()
    others = weight if among == "weighted" else None
    assert torch.autograd.gradcheck(
        lambda z: loss.per_sample_in_batch(z, target, others) * weight, raw
    )


@pytest.mark.parametrize(("name", "form", "costs"), CASES)
def test_networks_of_a_population_are_independent(name, form, costs):
    loss = build(name, form, costs)
    raw, target = (torch.tensor(array) for array in draw(form, leading=(3,)))
    together = loss.with_gradient(raw, target)
    alone = [loss.with_gradient(raw[k], target[k]) for k in range(3)]
    for got, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(got, torch.stack(parts))


def draw_sequences():
    """Return scores and codes of steps, and which steps are not padding."""
    rng = np.random.default_rng(0)
    raw, codes = rng.normal(size=(5, 4, C)), rng.integers(0, C, (5, 4))
    is_step = np.arange(4) < np.array([[4], [1], [3], [2], [4]])
    return raw, np.where(is_step, codes, -1), is_step


@pytest.mark.parametrize("class_weight", [None, [0.5, 2.0, 3.0], [1.0, 0.0, 2.0]])
@pytest.mark.parametrize("weight", [None, [3.0, 1.0, 0.0, 2.0, 0.5]])
def test_pairs_of_sequences_are_of_all_steps(weight, class_weight):
    raw, codes, is_step = draw_sequences()
    own = np.ones(C) if class_weight is None else np.array(class_weight)
    rows = np.ones((5, 1)) if weight is None else np.array(weight)[:, np.newaxis]
    among = rows * own[codes]
    steps = np.zeros((5, 4))
    steps[is_step] = expected_classes(raw[is_step], codes[is_step], among[is_step])
    expected = (steps * own[codes]).sum(axis=1) / is_step.sum(axis=1)
    loss = StepLoss(build("pairwise_auc", "classes"), class_weight)
    np.testing.assert_allclose(values(loss, raw, codes, weight), expected)


@pytest.mark.parametrize("class_weight", [None, [0.5, 2.0, 3.0]])
def test_sequence_of_weight_k_is_k_sequences(class_weight):
    raw, codes, _ = draw_sequences()
    weight = np.array([2.0, 1.0, 3.0, 0.0, 1.0])
    index = np.repeat(np.arange(5), weight.astype(int))
    loss = StepLoss(build("pairwise_auc", "classes"), class_weight)
    got = values(loss, raw, codes, weight)
    np.testing.assert_allclose(got[index], values(loss, raw[index], codes[index]))
