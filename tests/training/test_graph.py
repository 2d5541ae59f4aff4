"""Captured and replayed steps: CUDA graphs, emulated on a CPU.

The emulated capture records each operation with its tensors and numbers. As on a GPU, a
replay reads the current values of these tensors, but no other numbers or tensors.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Private: the capture is replaced, since CUDA graphs need a GPU.
import skdeep.training._graph as graph
import skdeep.training._population as population
import skdeep.training._products as products
from tests.training.population_data import (
    X,
    X_numbers,
    classifier,
    folds,
    jobs_of,
    regressor,
    resampled,
    y,
    y_numbers,
)
from tests.training.populations import assert_same_as_separate_fits

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")


class Recorder(TorchDispatchMode):
    """Records operations, and the values of tensors before they are overwritten."""

    def __init__(self):
        super().__init__()
        self.operations, self.overwritten = [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        assert func is not torch.ops.aten._local_scalar_dense.default, "synchronizes"
        for tensor in written_by(func, args, kwargs):
            self.overwritten.append((tensor, tensor.clone()))
        result = func(*args, **kwargs)
        self.operations.append((func, args, kwargs, result))
        return result


def written_by(func, args, kwargs):
    """Return the tensors that an operation writes to."""
    found = []
    for i, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[i] if i < len(args) else kwargs.get(argument.name)
            found += value if isinstance(value, list | tuple) else [value]
    return found


def capture(function, device):
    with Recorder() as recorder:
        results = function()
    for tensor, before in reversed(recorder.overwritten):
        tensor.copy_(before)

    def replay():
        for func, args, kwargs, result in recorder.operations:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if old is not None and old.data_ptr() != new.data_ptr():
                    old.copy_(new)

    return results, replay


@pytest.fixture
def replays(monkeypatch):
    """The steps that were replayed."""
    done = []

    def counted(function, device):
        results, replay = capture(function, device)
        return results, lambda: (done.append(1), replay())

    monkeypatch.setattr(graph, "capture", counted)
    monkeypatch.setattr(graph, "_N_WARM_UP", 2)
    # As on a GPU: only torch's operations are recorded.
    monkeypatch.setattr(products, "_measured_ratio", lambda: 0.0)
    monkeypatch.setattr(population._Chunk, "_can_use_graphs", lambda chunk: True)
    return done


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "adam"},
        {"solver": "adam", "alpha": 0.0},
        {"solver": "adamw", "alpha": 0.5},
        {"solver": "sgd"},
        {"solver": "sgd", "nesterovs_momentum": False, "learning_rate": "invscaling"},
        {"learning_rate": "one_cycle", "solver": "adamw", "alpha": 0.5},
        {"max_grad_norm": 0.1},
        {"early_stopping": True, "n_iter_no_change": 1, "max_iter": 12},
        {"activation": "maxout", "hidden_layer_sizes": (6, 4)},
        {"hidden_layer_sizes": ()},
        {"loss": "focal"},
        {"loss": "hinge"},
    ],
    ids=str,
)
def test_same_as_separate_fits(replays, params):
    params = {"max_iter": 5, **params}
    models = [classifier(**params, learning_rate_init=rate) for rate in (0.003, 0.03)]
    assert_same_as_separate_fits(jobs_of(models))
    assert len(replays) > 5


@pytest.mark.parametrize("loss", ["squared_error", "huber", "gaussian"])
def test_regressors(replays, loss):
    parts = folds(X_numbers, y_numbers)
    assert_same_as_separate_fits(jobs_of([regressor(loss=loss, max_iter=5)], parts))
    assert len(replays) > 5


def test_sample_weights_and_different_rows(replays):
    parts = resampled(3)
    weight = torch.linspace(0.5, 2, len(parts[0][0])).numpy()
    models = [classifier(alpha=alpha) for alpha in (0.0, 1.0)]
    assert_same_as_separate_fits(jobs_of(models, parts, sample_weight=weight))
    assert len(replays) > 5


def test_last_batches_of_different_sizes(replays):
    parts = [(X[:n], y[:n]) for n in (95, 96)]
    assert_same_as_separate_fits(jobs_of([classifier(max_iter=8)], parts))
    assert len(replays) > 5


def test_a_step_that_cannot_be_captured_runs_normally(monkeypatch):
    def fails(function, device):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graph, "capture", fails)
    monkeypatch.setattr(population._Chunk, "_can_use_graphs", lambda chunk: True)
    with pytest.warns(RuntimeWarning, match="not permitted when stream"):
        assert_same_as_separate_fits(jobs_of([classifier(max_iter=6)]))
