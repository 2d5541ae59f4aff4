"""Losses, compared with autograd, scikit-learn's metrics and torch's functions."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn import metrics
from torch.nn import functional as F

from skdeep.losses import (
    BINARY_LOSSES,
    MULTICLASS_LOSSES,
    REGRESSION_LOSSES,
    make_loss,
)

N, C = 40, 4
PARAMS = dict(quantile=0.3, huber_delta=0.7, focal_gamma=1.7, label_smoothing=0.0)


def build(name, target, **params):
    return make_loss(SimpleNamespace(loss=name, **{**PARAMS, **params}), target)


def draw(loss, seed=0, leading=()):
    """Return raw scores and targets in the form that a loss takes, in float64."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(scale=2, size=(*leading, N, C * loss.scores_per_target))
    target = {
        "values": lambda: rng.gamma(2, size=(*leading, N, C)),
        "indicators": lambda: rng.integers(0, 2, (*leading, N, C)).astype(float),
        "codes": lambda: rng.integers(0, C, (*leading, N)),
        "distributions": lambda: rng.dirichlet(np.ones(C), (*leading, N)),
    }[loss.target_kind]()
    return torch.from_numpy(raw), torch.from_numpy(target)


CASES = [
    *(("values", name) for name in REGRESSION_LOSSES),
    *(("labels", name) for name in BINARY_LOSSES),
    *(("classes", name) for name in MULTICLASS_LOSSES),
]


@pytest.mark.parametrize("leading", [(), (3,)])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize(("target", "name"), CASES)
def test_gradient_equals_autograd(target, name, label_smoothing, leading):
    loss = build(name, target, label_smoothing=label_smoothing)
    raw, truth = draw(loss, leading=leading)
    raw.requires_grad_()
    values = loss.per_sample(raw, truth)
    assert values.shape == (*leading, N)
    (expected,) = torch.autograd.grad(values.sum(), raw)
    raw = raw.detach()
    before = raw.clone()
    got_values, got = loss.with_gradient(raw, truth)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(got_values, values.detach())
    assert torch.equal(raw, before)


@pytest.mark.parametrize(("target", "name"), CASES)
def test_extreme_scores_stay_finite(target, name):
    loss = build(name, target)
    raw, truth = draw(loss)
    raw = (raw * 20).float()
    truth = truth.float() if truth.is_floating_point() else truth
    values, gradient = loss.with_gradient(raw, truth)
    assert values.isfinite().all()
    assert gradient.isfinite().all()


def test_log_loss_equals_scikit_learn():
    loss = build("log_loss", "classes")
    raw, truth = draw(loss)
    expected = metrics.log_loss(truth, loss.predict(raw), labels=range(C))
    assert loss.per_sample(raw, truth).mean() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("squared_error", lambda y, p: metrics.mean_squared_error(y, p) / 2),
        ("absolute_error", metrics.mean_absolute_error),
        ("poisson", lambda y, p: metrics.mean_poisson_deviance(y, p) / 2),
        ("quantile", lambda y, p: metrics.mean_pinball_loss(y, p, alpha=0.3)),
        (
            "squared_log_error",
            lambda y, p: np.mean((np.log1p(y) - np.log1p(p)) ** 2) / 2,
        ),
    ],
)
def test_regression_losses_equal_scikit_learn_metrics(name, metric):
    loss = build(name, "values")
    raw, truth = draw(loss)
    prediction = loss.predict(raw)
    expected = metric(truth.numpy().ravel(), prediction.numpy().ravel())
    assert loss.per_sample(raw, truth).mean() / C == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("hinge", lambda y, s: metrics.hinge_loss(y, s)),
        ("squared_hinge", lambda y, s: np.mean(_crammer_singer_slack(y, s) ** 2)),
    ],
)
def test_multiclass_hinge_equals_scikit_learn(name, metric):
    loss = build(name, "classes")
    raw, truth = draw(loss)
    expected = float(metric(truth, raw))
    assert loss.per_sample(raw, truth).mean() == pytest.approx(expected)


def _crammer_singer_slack(codes, scores):
    codes, scores = codes.numpy(), scores.numpy()
    own = scores[np.arange(N), codes]
    others = np.where(np.eye(C, dtype=bool)[codes], -np.inf, scores).max(axis=1)
    return np.maximum(0, 1 + others - own)


def test_gaussian_equals_scipy():
    loss = build("gaussian", "values")
    raw, truth = draw(loss)
    expected = -norm.logpdf(truth, loss.predict(raw), loss.predict_std(raw)).sum(axis=1)
    np.testing.assert_allclose(loss.per_sample(raw, truth), expected)


def test_focal_loss_of_gamma_zero_is_log_loss():
    for target in ("labels", "classes"):
        focal = build("focal", target, focal_gamma=0.0)
        raw, truth = draw(focal)
        plain = build("log_loss", target)
        torch.testing.assert_close(
            focal.per_sample(raw, truth), plain.per_sample(raw, truth)
        )


def test_label_smoothing_equals_torch():
    loss = build("log_loss", "classes", label_smoothing=0.2)
    raw, truth = draw(loss)
    expected = F.cross_entropy(raw, truth, label_smoothing=0.2, reduction="none")
    torch.testing.assert_close(loss.per_sample(raw, truth), expected)


def test_label_smoothing_of_two_classes_equals_torch():
    loss = build("log_loss", "labels", label_smoothing=0.2)
    raw, truth = torch.randn(40, 1), torch.arange(40) % 2
    scores = torch.cat([torch.zeros(40, 1), raw], 1)
    expected = F.cross_entropy(scores, truth, label_smoothing=0.2, reduction="none")
    got = loss.per_sample(raw, truth[:, None].to(raw.dtype))
    torch.testing.assert_close(got, expected)


def test_kl_divergence_equals_torch():
    loss = build("kl_divergence", "classes")
    raw, truth = draw(loss)
    expected = F.kl_div(raw.log_softmax(-1), truth, reduction="none").sum(-1)
    torch.testing.assert_close(loss.per_sample(raw, truth), expected)


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        (lambda raw, y: 1.0, "must return a torch.Tensor, got float"),
        (lambda raw, y: raw[:3, 0], r"each of the 40 samples, got .* shape \(3,\)"),
        (lambda raw, y: raw[:, 0] + 1j, r"`loss` must return real .* torch.complex"),
        (lambda raw, y: raw.argmax(1), r"`loss` must return real .* torch.int64"),
        (lambda raw, y: raw.argmax(1) != y, r"`loss` must return real .* torch.bool"),
    ],
)
def test_callable_loss_of_the_wrong_kind(returned, error):
    loss = build(returned, "classes")
    raw, truth = draw(loss)
    with pytest.raises((TypeError, ValueError), match=error):
        loss.per_sample(raw, truth)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_callable_loss_takes_torch_functions(reduction):
    def cross_entropy(raw, y):
        return F.cross_entropy(raw, y, reduction=reduction)

    loss = build(cross_entropy, "classes")
    raw, truth = draw(loss)
    expected = build("log_loss", "classes").per_sample(raw, truth).mean()
    torch.testing.assert_close(loss.per_sample(raw, truth).mean(), expected)
