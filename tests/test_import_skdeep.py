"""``import skdeep`` loads few modules, and warns of another package of that name."""

import subprocess
import sys

import pytest

HEAVY = ["torch", "sklearn", "pandas", "skorch", "optuna", "matplotlib", "lime"]


def run(code, *options, **kwargs):
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, **kwargs)


def test_import_loads_no_large_library():
    done = run(f"import sys, skdeep; print(set({HEAVY}) & set(sys.modules))")
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.slow
def test_importing_an_estimator_loads_only_its_dependencies():
    optional = ["optuna", "matplotlib", "lime", "skimage", "sqlalchemy"]
    done = run(
        "import sys; from skdeep import MLPClassifier; "
        f"print(set({optional}) & set(sys.modules))"
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.slow
def test_fit_and_predict_do_not_load_the_compiler_of_torch():
    """Otherwise the first fit in a process takes two to four seconds longer."""
    done = run(
        "import sys, warnings\n"
        "import numpy as np\n"
        "from torch import nn\n"
        "from skdeep import (\n"
        "    AutoEncoder, CNNClassifier, LanguageModel, LSTMForecaster,\n"
        "    MLPClassifier, ModuleClassifier, Seq2Seq,\n"
        ")\n"
        "warnings.simplefilter('ignore')\n"
        "X, y = np.random.RandomState(0).randn(40, 3), np.arange(40) % 2\n"
        "words = ['abab'] * 20\n"
        "for model, *data in [\n"
        "    (MLPClassifier(2, max_iter=1), X, y),\n"
        "    (ModuleClassifier(nn.Linear(3, 2), max_iter=1), X, y),\n"
        "    (LSTMForecaster(2, 1, hidden_size=2, max_iter=1), X),\n"
        "    (CNNClassifier(2, max_iter=1), X.repeat(12, 1).reshape(40, 6, 6), y),\n"
        "    (Seq2Seq(2, max_iter=1), words, words),\n"
        "    (LanguageModel(max_iter=1), words),\n"
        "    (AutoEncoder(2, max_iter=1), X),\n"
        "]:\n"
        "    model.fit(*data)\n"
        "    predict = getattr(model, 'predict', None) or model.score\n"
        "    predict(data[0])\n"
        "    print({'torch._dynamo', 'sympy'} & set(sys.modules), end=' ')\n"
    )
    assert (done.stdout, done.stderr) == ("set() " * 7, "")


@pytest.mark.slow
def test_import_registers_the_joblib_backend():
    done = run(
        "import skdeep, joblib\n"
        "with joblib.parallel_config(backend='skdeep', n_jobs=2):\n"
        "    print(joblib.Parallel()(joblib.delayed(abs)(i) for i in [-1, 2]))"
    )
    assert (done.stdout, done.stderr) == ("[1, 2]\n", "")


def test_unknown_name_raises_attribute_error():
    import skdeep

    with pytest.raises(AttributeError, match="MLPClasifier"):
        _ = skdeep.MLPClasifier


@pytest.mark.parametrize(
    ("record", "warns"), [("skdeep/__init__.py,,\n", True), ("", False)]
)
def test_warns_if_another_package_named_skdeep_is_installed(tmp_path, record, warns):
    metadata = tmp_path / "skdeep-1.7.13.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: skdeep\nVersion: 1.7.13\n")
    (metadata / "RECORD").write_text(record)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import skdeep"
    done = run(code)
    assert ("pip uninstall skdeep scikit-deep" in done.stderr) is warns
