"""Loss curves that grow in a notebook while a network trains."""

import pickle
import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skdeep import MLPClassifier

# Private: the tests replace the drawing and the pauses of _loss_curve.
from skdeep.inspection import LossCurveDisplay, _loss_curve

IPython = pytest.importorskip("IPython")

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

X, y = make_classification(n_samples=60, n_features=4, random_state=0)


def network(**params):
    return MLPClassifier(**{"hidden_layer_sizes": (4,), "max_iter": 4, **params})


class Notebook:
    """A fake notebook that records what is displayed in which output."""

    def __init__(self):
        self.shell = SimpleNamespace(kernel=object(), execution_count=1)
        self.outputs = []  # a list of images for each output

    def display(self, image, display_id):
        assert display_id is True
        output = [image]
        self.outputs.append(output)
        return SimpleNamespace(update=output.append)


@pytest.fixture
def notebook(monkeypatch):
    plt.close(
        plt.figure()
    )  # pyplot loads its backend and asks IPython at the first figure
    notebook = Notebook()
    monkeypatch.setattr(IPython, "get_ipython", lambda: notebook.shell)
    monkeypatch.setattr("IPython.display.display", notebook.display)
    return notebook


@pytest.fixture
def drawn(monkeypatch):
    """The displays that are drawn, one after every epoch."""
    displays = []

    def as_png(display):
        displays.append(display)
        return b"\x89PNG\r\n\x1a\n"

    monkeypatch.setattr(_loss_curve, "_as_png", as_png)
    monkeypatch.setattr(_loss_curve, "_PAUSE", 0)
    monkeypatch.setattr(_loss_curve, "_PAUSES_PER_DRAWING", 0)
    return displays


def n_epochs(displays):
    return [len(display.epochs) for display in displays]


def test_picture_is_displayed_as_png(notebook):
    model = network(early_stopping=True).set_callbacks(LossCurveDisplay.live(name="it"))
    before = dict(plt.rcParams)
    model.fit(X, y)
    ((*_, image),) = notebook.outputs
    assert image.data.startswith(b"\x89PNG")
    assert image.alt == "Loss curves"
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before


def test_curve_grows_and_ends_with_the_history_of_the_fit(notebook, drawn):
    model = network(early_stopping=True).set_callbacks(LossCurveDisplay.live())
    model.fit(X, y)
    assert n_epochs(drawn) == [1, 2, 3, 4, 4]  # the last weights may not be the best
    final = LossCurveDisplay.from_estimator(model)
    for name in ["epochs", "train_loss", "valid_loss", "valid_score"]:
        np.testing.assert_array_equal(getattr(drawn[-1], name), getattr(final, name))
    assert drawn[-1].best_epoch == final.best_epoch
    assert drawn[-1].estimator_name == "MLPClassifier"
    assert [len(output) for output in notebook.outputs] == [5]


def test_training_is_not_changed(notebook, drawn):
    plain = network(random_state=0).fit(X, y)
    watched = network(random_state=0).set_callbacks(LossCurveDisplay.live()).fit(X, y)
    np.testing.assert_array_equal(watched.predict_proba(X), plain.predict_proba(X))


def test_lbfgs(notebook, drawn):
    model = network(solver="lbfgs", alpha=1).set_callbacks(LossCurveDisplay.live())
    with pytest.warns(UserWarning, match="lbfgs failed to converge"):
        model.fit(X, y)
    assert n_epochs(drawn)[-1] == 4


@pytest.mark.parametrize("early_stopping", [False, "loss"])
def test_divergence_raises_the_error_of_training(notebook, drawn, early_stopping):
    options = {"solver": "sgd", "learning_rate_init": 1e300, "random_state": 0}
    model = network(early_stopping=early_stopping, **options)
    model.set_callbacks(LossCurveDisplay.live())
    with pytest.raises(ValueError, match="Solver produced non-finite"):
        model.fit(X, y)
    assert n_epochs(drawn) == [1]  # it diverges in the second epoch


def test_drawing_rate_is_limited(notebook, monkeypatch):
    """At most two drawings per second, in at most a fifth of the time."""
    now, drawn = [0.0], []

    def as_png(display):
        drawn.append(now[0])
        now[0] += 0.3 if len(drawn) == 2 else 0.01
        return b"\x89PNG\r\n\x1a\n"

    def monotonic():
        now[0] += 0.01
        return now[0]

    monkeypatch.setattr(_loss_curve, "_as_png", as_png)
    monkeypatch.setattr(_loss_curve.time, "monotonic", monotonic)
    network(max_iter=400, tol=0, n_iter_no_change=400).set_callbacks(
        LossCurveDisplay.live()
    ).fit(X, y)
    gaps = np.diff(drawn)[:-1]  # the last drawing does not wait
    assert len(gaps) > 3
    assert (gaps >= 0.5).all()
    assert gaps[1] >= 1.5
    assert gaps[2] < 0.7


@pytest.mark.parametrize("on", ["network", "pipeline", "search"])
def test_inside_other_estimators(notebook, drawn, on):
    # PCA has no callbacks, which scikit-learn warns of if they were propagated to it.
    inner = network()
    model = pipeline = make_pipeline(PCA(2), inner)
    if on == "search":
        model = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1, 1]}, cv=2)
    host = {"network": inner, "pipeline": pipeline, "search": model}[on]
    host.set_callbacks(LossCurveDisplay.live())
    model.fit(X, y)
    n_fits = 5 if on == "search" else 1
    assert n_epochs(drawn).count(1) == n_fits
    assert n_epochs(drawn)[-1] == 4
    assert len(notebook.outputs) == 1
    # Only the user's own callback is left.
    assert hasattr(inner, "_skl_callbacks") == (on == "network")
    assert hasattr(host, "_skl_callbacks")


def test_one_output_per_cell(notebook, drawn):
    model = network().set_callbacks(LossCurveDisplay.live())
    cross_val_score(model, X, y, cv=2)
    assert len(notebook.outputs) == 1
    notebook.shell.execution_count = 2
    model.fit(X, y)
    assert len(notebook.outputs) == 2
    other = network().set_callbacks(LossCurveDisplay.live())
    other.fit(X, y)
    assert len(notebook.outputs) == 3


def test_failed_fit_shows_the_epochs_so_far(notebook, drawn):
    class Failure:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context):
            if context.task_id == 1:
                raise RuntimeError("stop here")

    live = LossCurveDisplay.live()
    pipeline = make_pipeline(PCA(2), network().set_callbacks(Failure()))
    with pytest.raises(RuntimeError, match="stop here"):
        pipeline.set_callbacks(live).fit(X, y)
    assert n_epochs(drawn)[-1] >= 1
    (callback,) = pipeline[-1]._skl_callbacks
    assert isinstance(callback, Failure)
    # The next fit starts a new curve.
    notebook.shell.execution_count = 2
    network().set_callbacks(live).fit(X, y)
    assert n_epochs(drawn)[-1] == 4


@pytest.mark.parametrize("shell", [None, SimpleNamespace(execution_count=1)])
def test_nothing_is_drawn_outside_notebooks(monkeypatch, drawn, shell):
    """In scripts, and in IPython on a terminal, which has no kernel."""
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    network().set_callbacks(LossCurveDisplay.live()).fit(X, y)
    monkeypatch.delitem(sys.modules, "IPython")
    network().set_callbacks(LossCurveDisplay.live()).fit(X, y)
    assert drawn == []


def test_copies_and_clones_draw(notebook, drawn):
    callback = LossCurveDisplay.live(name="it")
    model = network().set_callbacks(callback).fit(X, y)
    for copy in [pickle.loads(pickle.dumps(model)), clone(model)]:
        drawn.clear()
        copy.fit(X, y)
        assert drawn[-1].estimator_name == "it"
    assert repr(callback) == "LossCurveDisplay.live()"


def test_invalid_estimators(notebook, drawn):
    with pytest.raises(TypeError, match="name must be a str or None"):
        LossCurveDisplay.live(name=3)
    callback = LossCurveDisplay.live()
    pipeline = make_pipeline(PCA(2), SVC()).set_callbacks(callback)
    with pytest.raises(TypeError, match=r"needs a network of skdeep, got SVC in Pipel"):
        pipeline.fit(X, y)
    make_pipeline(PCA(2), LogisticRegression()).set_callbacks(callback).fit(X, y)
    assert drawn == []


KERNEL = """
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from skdeep import LossCurveDisplay, MLPClassifier

X, y = make_classification(n_samples=60, n_features=4, random_state=0)
network = MLPClassifier(max_iter=4).set_callbacks(LossCurveDisplay.live())
model = make_pipeline(PCA(2), network)
model.fit(X, y);
import matplotlib.pyplot as plt
assert plt.get_fignums() == []
"""


@pytest.mark.nightly
def test_in_a_kernel():
    """There is one output with a picture, updated in place."""
    client = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    code = f"import warnings; warnings.simplefilter('ignore')\n{KERNEL}"
    cell = nbformat.v4.new_code_cell(code)
    book = nbformat.v4.new_notebook(cells=[cell])
    kinds = []

    class Client(client.NotebookClient):
        def process_message(self, msg, cell, cell_index):
            kinds.append(msg["msg_type"])
            return super().process_message(msg, cell, cell_index)

    Client(book, timeout=300, kernel_name="python3").execute()
    (output,) = cell.outputs
    assert output.data["image/png"].startswith("iVBOR")
    assert kinds.count("display_data") == 1
    assert kinds.count("update_display_data") >= 1
