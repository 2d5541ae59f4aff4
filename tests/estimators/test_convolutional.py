"""Convolutional estimators against torch and hand-written loops."""

import pickle
import pickletools
import re

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import EpochScoring
from torch import nn
from torch.nn import functional as F

from skdeep import CNNClassifier, CNNRegressor, OptunaSearchCV
from skdeep.callbacks import Checkpoint
from tests.round_trips import WAYS

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

N = 24
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 8, 6)).astype("f4")
COLOR = rng.integers(0, 256, size=(N, 8, 6, 3)).astype("u1")
y = np.arange(N) % 3
NUMBERS = rng.normal(size=(N, 2))
SMALL = dict(
    filters=(2, 3), hidden_layer_sizes=4, max_iter=2, batch_size=8, random_state=0
)


def classifier(**params):
    return CNNClassifier(**{**SMALL, **params})


def regressor(**params):
    return CNNRegressor(**{**SMALL, **params})


def tensors_of(module):
    return {k: v.clone() for k, v in module.state_dict().items()}


def assert_bit_equal(first, other, X=X):
    assert first.loss_curve_ == other.loss_curve_
    expected = tensors_of(first.module_)
    for name, tensor in tensors_of(other.module_).items():
        assert torch.equal(tensor, expected[name]), name
    np.testing.assert_array_equal(other.predict(X), first.predict(X))


# -- a hand-written loop ---------------------------------------------------------------

PLAIN = dict(
    dropout=0.0,
    shuffle=False,
    learning_rate="constant",
    learning_rate_init=0.05,
    alpha=0.0,
    epsilon=1e-12,  # scikit-learn and torch differ in where they add it
    dtype="float64",
)


class Written(nn.Module):
    """The network of ``filters=(2, 3)``, ``hidden_layer_sizes=4``."""

    def __init__(self, n_outputs):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.conv2, self.norm2 = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.dense, self.norm3 = nn.Linear(3 * 2 * 1, 4), nn.BatchNorm1d(4)
        self.head = nn.Linear(4, n_outputs)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        return self.head(F.relu(self.norm3(self.dense(x.flatten(1)))))

    @torch.no_grad()
    def take_weights(self, network):
        """Copy the weights layer by layer, in order; biases before a norm are 0."""
        kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)
        theirs = [m for m in network.modules() if isinstance(m, kinds)]
        mine = [self.conv1, self.norm1, self.conv2, self.norm2]
        mine += [self.dense, self.norm3, self.head]
        for layer, other in zip(mine, theirs, strict=True):
            assert type(layer) is type(other)
            layer.weight.copy_(other.weight)
            layer.bias.zero_() if other.bias is None else layer.bias.copy_(other.bias)
        return self


# Adam turns gradients that are rounding errors into steps.
@pytest.mark.parametrize(("solver", "atol"), [("sgd", 1e-8), ("adam", 1e-4)])
def test_training_equals_a_hand_written_loop(solver, atol):
    """Same initial weights, same batches: the same losses and scores."""
    params = dict(solver=solver, momentum=0.9, nesterovs_momentum=False, **PLAIN)
    before = classifier(**params).set_params(learning_rate_init=1e-300, max_iter=1)
    # A step of 1e-300 changes no weight.
    network = Written(3).double().take_weights(before.fit(X, y).module_)
    model = classifier(**params, max_iter=3).fit(X, y)

    images = torch.tensor((X.astype(float) - X.mean(dtype=float)) / X.std(dtype=float))
    inputs, target = images[:, None], torch.tensor(y)
    weights = [p for n, p in network.named_parameters()]
    optimizer = {
        "sgd": lambda: torch.optim.SGD(weights, lr=0.05, momentum=0.9),
        "adam": lambda: torch.optim.Adam(weights, lr=0.05, eps=1e-12),
    }[solver]()
    losses = []
    for _ in range(3):
        total = 0.0
        for start in range(0, N, 8):
            batch = slice(start, start + 8)
            optimizer.zero_grad()
            loss = F.cross_entropy(network(inputs[batch]), target[batch])
            loss.backward()
            for layer in (network.conv1, network.conv2, network.dense):
                layer.bias.grad.zero_()  # rounding errors: a norm follows
            optimizer.step()
            total += 8 * loss.item()
        losses.append(total / N)
    np.testing.assert_allclose(model.loss_curve_, losses, rtol=1e-8)
    network.eval()
    with torch.no_grad():
        expected = network(inputs)
    np.testing.assert_allclose(model.decision_function(X), expected, atol=atol)
    np.testing.assert_allclose(model.predict_proba(X), expected.softmax(1), atol=atol)


def test_regression_step_equals_a_hand_written_one():
    params = dict(solver="sgd", momentum=0, **PLAIN, batch_norm=False, batch_size=N)
    before = regressor(**params).set_params(learning_rate_init=1e-300)
    network = before.fit(X, NUMBERS, sample_weight=y + 1).module_
    scale = np.repeat(X, y + 1, axis=0).astype(float)
    images = torch.tensor((X - scale.mean()) / scale.std())[:, None]
    errors = (network(images) - torch.tensor(NUMBERS)).square().sum(1) / 2
    weight = torch.tensor(y + 1.0)
    (weight @ errors / weight.sum()).backward()
    expected = {n: p - 0.05 * p.grad for n, p in network.named_parameters()}
    model = regressor(**params, max_iter=1).fit(X, NUMBERS, sample_weight=y + 1)
    for name, parameter in model.module_.named_parameters():
        torch.testing.assert_close(parameter, expected[name], rtol=1e-7, atol=1e-9)


# -- architectures ---------------------------------------------------------------------

ARCHITECTURES = {
    "lenet5": ({}, (12, 12)),
    "resnet": ({"depth": 8}, (6, 5)),
    "resnet of signals": ({"depth": 8}, (20,)),
    "googlenet": ({}, (8, 8)),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architectures_train_and_predict(name):
    params, sizes = ARCHITECTURES[name]
    images = rng.normal(size=(6, *sizes))
    model = CNNClassifier(
        architecture=name.split()[0], **params, max_iter=1, batch_size=6, random_state=0
    ).fit(images, y[:6])
    assert model.predict_proba(images).shape == (6, 3)
    assert model.transform(images).shape == (6, model.module_.head.in_features)
    assert model.feature_maps(images).shape[:1] == (6,)


@pytest.mark.parametrize("name", ["lenet5", "alexnet"])
def test_images_too_small_for_an_architecture(name):
    message = rf"Images of 8 × 6 pixels are too small for architecture='{name}', which"
    with pytest.raises(ValueError, match=message):
        CNNClassifier(architecture=name).fit(X, y)


@pytest.mark.parametrize("name", ["filters", "kernel_size", "hidden_layer_sizes"])
@pytest.mark.parametrize("value", [True, [0], [2.0, 3], [[2, 3]], [None]], ids=str)
def test_sizes_that_are_no_positive_integers(name, value):
    with pytest.raises(ValueError, match=rf"{name} must hold integers > 0, got \["):
        classifier(**{name: value}).fit(X, y)


def test_windows_larger_than_the_images():
    for params in ({"kernel_size": 9}, {"pool_size": 100}, {"pool_size": (1, 9)}):
        model = classifier(**params, max_iter=1).fit(X, y)
        assert model.predict(X).shape == y.shape


def test_without_convolutions():
    model = classifier(filters=(), max_iter=1).fit(X, y)
    assert not any(isinstance(m, nn.Conv2d) for m in model.module_.modules())


def test_depth_that_does_not_exist():
    with pytest.raises(ValueError, match="depth=9 is not available"):
        CNNClassifier(architecture="resnet", depth=9).fit(X, y)


class Tiny(nn.Sequential):
    def __init__(self, shape, n_outputs):
        super().__init__(nn.Flatten(), nn.Linear(int(np.prod(shape)), n_outputs))


def tiny(shape, n_outputs):
    return Tiny(shape, n_outputs)


@pytest.mark.parametrize("architecture", [Tiny, tiny])
def test_own_architecture(architecture):
    model = classifier(architecture=architecture, scaling=None).fit(X, y)
    weight, bias = (p.detach().numpy() for p in model.module_.parameters())
    raw = X.reshape(N, -1) @ weight.T + bias
    np.testing.assert_allclose(model.decision_function(X), raw, atol=1e-5)
    np.testing.assert_allclose(model.transform(X), X.reshape(N, -1), atol=1e-6)
    again = classifier(architecture=architecture, scaling=None).fit(X, y)
    assert_bit_equal(model, again)


def backbone():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_frozen_backbone(dtype):
    with torch.random.fork_rng():
        module = backbone()
    before = tensors_of(module)
    model = classifier(architecture=module, freeze="backbone", dtype=dtype)
    model.fit(X, y)
    for owner in (module, model.module_.backbone):
        for name, tensor in tensors_of(owner).items():
            assert torch.equal(tensor.to(before[name].dtype), before[name]), name
    assert all(p.requires_grad for p in module.parameters())
    assert module.training
    with torch.no_grad():
        scaled = torch.tensor((X - X.mean()) / X.std())[:, None]
        expected = module.eval()(scaled).mean((2, 3))
    np.testing.assert_allclose(model.transform(X), expected, atol=1e-5)
    assert len(model.loss_curve_) == 2
    assert model.loss_curve_[1] < model.loss_curve_[0]


def test_trained_backbone_is_a_copy():
    with torch.random.fork_rng():
        module = backbone()
    before = tensors_of(module)
    model = classifier(architecture=module).fit(X, y)
    for name, tensor in tensors_of(module).items():
        assert torch.equal(tensor, before[name])
    trained = tensors_of(model.module_.backbone)
    assert not torch.equal(trained["0.weight"], before["0.weight"])
    assert not torch.equal(trained["1.running_mean"], before["1.running_mean"])
    assert_bit_equal(model, classifier(architecture=module).fit(X, y))


WRONG_ARCHITECTURES = {
    "no module": (lambda shape, n: None, r"architecture\(shape, n_outputs\) must ret"),
    "no arguments": (lambda: None, r"positional argument"),
    "too many scores": (lambda s, n: Tiny(s, n + 1), r"shape \(8, 3\).*got \(8, 4\)"),
    "fails": (lambda s, n: nn.Linear(5, n), r"failed on a batch of shape \(8, 1, 8, 6"),
    "lazy": (lambda s, n: nn.LazyLinear(n), "has parameters without values"),
    "lazy instance": (nn.LazyLinear(3), "architecture.*parameters without values"),
    "meta instance": (nn.Linear(6, 2, device="meta"), "without values"),
    "instance that fails": (
        nn.Linear(5, 2),
        r"passed as architecture failed on a batch of shape \(2, 1, 8, 6\)",
    ),
    "no features": (nn.Flatten(0), r"must return features .* got \(96,\)"),
    "no tensor": (nn.LSTM(6, 2), "must return features|failed on a batch"),
    "unknown": ("lenet", "architecture.*lenet5"),
}


@pytest.mark.parametrize("name", WRONG_ARCHITECTURES)
def test_wrong_architectures(name):
    architecture, message = WRONG_ARCHITECTURES[name]
    with pytest.raises((ValueError, TypeError)) as caught:
        classifier(architecture=architecture).fit(X, y)
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert re.search(message, text, re.DOTALL), text


def test_freeze_needs_an_instance():
    with pytest.raises(ValueError, match="freeze='backbone' needs an architecture"):
        classifier(freeze="backbone").fit(X, y)


# -- augmentation ----------------------------------------------------------------------


class Recorder:
    """Counts the images of the batches that it gets, and does not change them."""

    def __init__(self):
        self.counts = []

    def __call__(self, x):
        self.counts.append(len(x))
        return x


def test_augmentation_in_training_only():
    record = Recorder()
    params = dict(early_stopping=True, validation_fraction=0.25, max_iter=3)
    model = classifier(augment=record, **params).fit(X, y)
    assert sum(record.counts) == 3 * 18
    without = classifier(**params).fit(X, y)
    assert_bit_equal(model, without)
    assert model.validation_scores_ == without.validation_scores_
    model.predict(X), model.transform(X), model.score(X, y)
    assert sum(record.counts) == 3 * 18


def test_callable_augmentation_changes_scaled_batches():
    """The negative of every scaled image equals training on negative images."""
    model = classifier(augment=torch.neg).fit(X, y)
    negative = classifier().fit(-X, y)
    np.testing.assert_allclose(model.loss_curve_, negative.loss_curve_, rtol=1e-5)


AUGMENTATIONS = ["auto", "flip", ["shift", "rotate", "crop", "cutout", "brightness"]]


@pytest.mark.parametrize("augment", [*AUGMENTATIONS, ["mixup"], ["mixup", "flip"]])
def test_random_state_determines_augmentation(augment):
    state = torch.get_rng_state()
    first, second = (classifier(augment=augment).fit(X, y) for _ in range(2))
    assert_bit_equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    other = classifier(augment=augment, random_state=1).fit(X, y)
    assert other.loss_curve_ != first.loss_curve_
    assert classifier().fit(X, y).loss_curve_ != first.loss_curve_


@pytest.mark.parametrize("images", [X[:, 0], X, COLOR, np.ones((N, 5, 6, 7, 1))])
def test_auto_augmentation_of_each_kind(images):
    for model in (classifier(augment="auto"), regressor(augment=["shift", "mixup"])):
        assert np.isfinite(model.fit(images, y).loss_)


WRONG_AUGMENTATIONS = {
    "unknown": ("flop", "unknown name 'flop'. Did you mean 'flip'"),
    "twice": (["flip", "flip"], "'flip' 2 times"),
    "number": ([3], "unknown name 3"),
    "other shape": (lambda x: x[:, :, 1:], r"augment.*\(8, 1, 8, 6\), got \(8, 1, 7"),
    "no tensor": (lambda x: None, "augment.* must return a torch.Tensor, got None"),
    "fails": (nn.Linear(5, 5), r"augment` failed on a batch of shape \(8, 1, 8, 6\)"),
}


@pytest.mark.parametrize("name", WRONG_AUGMENTATIONS)
def test_wrong_augmentations(name):
    augment, message = WRONG_AUGMENTATIONS[name]
    with pytest.raises((ValueError, TypeError), match=message):
        classifier(augment=augment).fit(X, y)


def test_augmentations_that_do_not_fit():
    with pytest.raises(ValueError, match="needs images or volumes; X holds signals"):
        classifier(augment=["rotate"]).fit(X[:, 0], y)
    with pytest.raises(ValueError, match="augment='auto' changes .* solver='lbfgs'"):
        classifier(augment="auto", solver="lbfgs", dropout=0.0).fit(X, y)


def test_tta_is_the_mean_of_raw_scores():
    model = classifier().fit(X, y)
    mirrored = model.decision_function(X[:, :, ::-1])
    expected = (model.decision_function(X) + mirrored) / 2
    model.set_params(tta="flip")
    np.testing.assert_allclose(model.decision_function(X), expected, atol=1e-6)
    assert not np.allclose(mirrored, expected)
    # Values that follow from an image, not from views of it.
    transformed = model.transform(X)
    np.testing.assert_array_equal(model.set_params(tta=None).transform(X), transformed)


def test_tta_by_shifts():
    """Shifting a constant image changes nothing; a point moves."""
    constant = np.ones((3, 8, 6)) * np.arange(3)[:, None, None]
    model = classifier().fit(X, y)
    expected = model.decision_function(constant)
    scores = model.decision_function(X)
    model.set_params(tta="shift")
    np.testing.assert_allclose(model.decision_function(constant), expected, atol=1e-5)
    assert not np.allclose(model.decision_function(X), scores)


# -- values of layers ------------------------------------------------------------------


def hooked(model, layer, images):
    """Return what a forward hook on a layer gets: its input and its output."""
    found = []
    handle = layer.register_forward_hook(lambda m, x, out: found.append((x[0], out)))
    with torch.no_grad():
        model.net_.module_.eval()(images)
    handle.remove()
    return [value.numpy() for value in found[0]]


@pytest.mark.parametrize("make", [classifier, regressor])
def test_transform_and_feature_maps(make):
    model = make(max_iter=1).fit(X, y)
    scaled = torch.tensor((X - X.mean()) / X.std())[:, None]
    network = model.module_
    hidden = hooked(model, network.head, scaled)[0]
    np.testing.assert_allclose(model.transform(X), hidden, atol=1e-5)
    for position, name in enumerate(network.maps()):
        maps = hooked(model, network.maps()[name], scaled)[1]
        for layer in (position, name, position - len(network.maps())):
            np.testing.assert_allclose(model.feature_maps(X, layer), maps, atol=1e-5)
    convolution = hooked(model, network.body.blocks.conv1.conv, scaled)[1]
    found = model.feature_maps(X, "body.blocks.conv1.conv")
    np.testing.assert_allclose(found, convolution, atol=1e-5)


@pytest.mark.parametrize("layer", [2, -3, "conv3", "Conv1", None, 0.5, True, [0]])
def test_layers_that_do_not_exist(layer):
    model = classifier(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="layer"):
        model.feature_maps(X, layer)


def test_names_of_features_and_output():
    model = classifier(max_iter=1).fit(X, y)
    names = [f"cnnclassifier{i}" for i in range(4)]
    np.testing.assert_array_equal(model.get_feature_names_out(), names)
    frame = model.set_output(transform="pandas").transform(X)
    assert list(frame.columns) == names
    assert len(frame) == N


# -- targets, weights, further training ------------------------------------------------


def test_multilabel_and_several_outputs():
    labels = np.column_stack([y == 0, y > 0, np.arange(N) % 2]).astype(int)
    model = classifier().fit(X, labels)
    assert model.predict(X).shape == labels.shape
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) > 0.5)
    assert regressor().fit(X, NUMBERS).predict(X).shape == (N, 2)


def test_scaled_targets():
    params = dict(alpha=0.0, dtype="float64")
    model = regressor(scale_target=True, **params).fit(X, 7 * NUMBERS + 1000)
    center, spread = NUMBERS.mean(0), NUMBERS.std(0)
    by_hand = regressor(**params).fit(X, (NUMBERS - center) / spread).predict(X)
    expected = 7 * (by_hand * spread + center) + 1000
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6)


def test_class_weight_equals_sample_weight():
    weight = {0: 1.0, 1: 2.0, 2: 0.5}
    by_class = classifier(class_weight=weight, scaling="dtype").fit(X, y)
    by_row = classifier(scaling="dtype").fit(
        X, y, sample_weight=np.vectorize(weight.get)(y)
    )
    np.testing.assert_allclose(by_class.loss_curve_, by_row.loss_curve_, rtol=1e-6)


def test_partial_fit_takes_one_epoch():
    params = dict(learning_rate="constant", dropout=0.0, shuffle=False)
    model = classifier(**params)
    losses = [model.partial_fit(X, y, classes=[0, 1, 2]).loss_ for _ in range(3)]
    whole = classifier(**params, max_iter=3).fit(X, y)
    np.testing.assert_allclose(losses, whole.loss_curve_, rtol=1e-6)


def test_warm_start_keeps_weights_and_scaling():
    model = classifier(warm_start=True, batch_norm=False).fit(X, y)
    expected = model.predict_proba(X)
    model.set_params(learning_rate_init=1e-300).fit(10 * X + 3, y)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-6)


def test_warm_start_with_other_sizes():
    model = classifier(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="whose layers have other sizes"):
        model.set_params(filters=(3, 3)).fit(X, y)


def test_validation_rows_that_are_passed():
    model = classifier(early_stopping=True, max_iter=3)
    model.fit(X[:16], y[:16], X_val=X[16:], y_val=y[16:])
    assert len(model.validation_scores_) == model.n_iter_
    best = classifier(max_iter=3).fit(X[:16], y[:16])
    if np.argmax(model.validation_scores_) == 2:
        assert model.score(X[16:], y[16:]) == best.score(X[16:], y[16:])
    assert model.best_validation_score_ == pytest.approx(model.score(X[16:], y[16:]))


def test_callbacks():
    scoring = EpochScoring("accuracy", name="accuracy", on_train=True)
    model = classifier(callbacks=[scoring]).fit(X, y)
    assert all(0 <= record["accuracy"] <= 1 for record in model.history_)


RESUMED = {
    "plain": {},
    "auto": {"augment": "auto"},
    "mixup": {"augment": ["mixup", "flip", "cutout"]},
    "early stopping": {"augment": "auto", "early_stopping": True},
    "backbone": {"augment": "shift", "architecture": backbone},
}


class Killed(BaseException):
    """Ends a fit as if the process were killed."""


class KillsAfterTwoEpochs:
    """A scikit-learn callback."""

    def __init__(self):
        self.n_left = 2

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "epoch":
            if self.n_left == 0:
                raise Killed
            self.n_left -= 1

    def on_fit_task_end(self, estimator, context):
        pass


@pytest.mark.parametrize("name", RESUMED)
def test_checkpoint_resumes_to_the_bit(name, tmp_path):
    params = {"max_iter": 4, "dropout": 0.3, **RESUMED[name]}
    if name == "backbone":
        with torch.random.fork_rng():
            params["architecture"] = backbone()
    whole = classifier(**params).fit(X, y)

    path = tmp_path / "fit.skdeep"
    killed = classifier(**params)
    killed.set_callbacks(Checkpoint(path), KillsAfterTwoEpochs())
    with pytest.raises(Killed):
        killed.fit(X, y)
    resumed = classifier(**params)
    resumed.set_callbacks(Checkpoint(path)).fit(X, y)
    assert_bit_equal(resumed, whole)


# -- storage ---------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("params", [{}, {"tta": "flip"}, {"augment": "auto"}])
def test_storage(way, params):
    model = classifier(**params).fit(COLOR, y)
    loaded = WAYS[way](model)
    assert_bit_equal(model, loaded, COLOR)
    np.testing.assert_array_equal(loaded.transform(COLOR), model.transform(COLOR))
    assert_bit_equal(model.partial_fit(COLOR, y), loaded.partial_fit(COLOR, y), COLOR)


@pytest.mark.parametrize("way", ["pickle", "joblib", "deepcopy"])
def test_storage_of_backbones(way):
    with torch.random.fork_rng():
        module = backbone()
    model = classifier(architecture=module, freeze="backbone").fit(X, y)
    assert_bit_equal(model, WAYS[way](model))


def test_pickle_names_no_torch_class():
    model = classifier(augment="auto").fit(X, y)
    data = pickle.dumps(model)
    names = [arg for op, arg, _ in pickletools.genops(data) if isinstance(arg, str)]
    assert not [name for name in names if name.startswith("torch")]


def test_memory_mapped_model(tmp_path):
    model = classifier().fit(X, y)
    joblib.dump(model, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model", mmap_mode="r")
    assert_bit_equal(model, loaded)
    assert_bit_equal(model.partial_fit(X, y), loaded.partial_fit(X, y))


# -- searches --------------------------------------------------------------------------


def test_grid_search_in_parallel():
    grid = {"filters": [2, (2, 3)], "augment": [None, "auto"]}
    model = classifier(max_iter=1, batch_size="auto")
    search = GridSearchCV(model, grid, cv=2, n_jobs=2)
    with joblib.parallel_config(backend="threading"):
        search.fit(X, y)
    serial = clone(search).set_params(n_jobs=1).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )


def test_default_search_space_and_optuna():
    space = classifier().default_search_space()
    assert {"filters", "dropout", "augment", "learning_rate_init"} <= space.keys()
    resnet = classifier(architecture="resnet").default_search_space()
    assert "filters" not in resnet
    search = OptunaSearchCV(
        classifier(max_iter=1), "auto", n_trials=2, cv=2, random_state=1
    )
    images, labels = np.tile(X, (6, 1, 1)), np.tile(y, 6)
    assert search.fit(images, labels).best_params_.keys() <= space.keys()
