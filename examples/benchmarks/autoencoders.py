"""
Autoencoders
============

What codes keep and which outliers they find, in parts:

- ``linear``: reconstruction errors of linear codes, compared with PCA's, on digits;
- ``mnist``: 32 numbers for each of 30,000 digits: the squared error of the pixels (0 to
  1) of test digits, and the accuracy of their 5 nearest neighbors by code, compared
  with PCA;
- ``outliers``: ROC AUC on the ten tables of ADBench in the data folder, each column
  standardized, without labels, compared with an isolation forest and, if it is
  installed, PyOD's ``AutoEncoder`` at its defaults; with the CPU seconds of the fits.

The data are read from the folder that ``SKDEEP_DATA`` names::

    SKDEEP_DATA=/path/to/data python examples/benchmarks/autoencoders.py [PART ...]
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from skdeep import AutoEncoder, VariationalAutoEncoder

N_TRAIN = 30_000


def data_folder() -> Path:
    """Return the folder of the data."""
    return Path(os.environ.get("SKDEEP_DATA", "data"))


def mean_squared_error(model, X) -> float:
    """Return the squared error of reconstructed rows."""
    found = model.inverse_transform(model.transform(X))
    return float(np.mean((found - X) ** 2))


def linear() -> None:
    """Compare linear codes with PCA."""
    X = load_digits().data / 16
    for size in (2, 8, 16):
        model = AutoEncoder(
            size,
            hidden_layer_sizes=(),
            scaling=None,
            solver="lbfgs",
            max_iter=2000,
            tol=1e-9,
            random_state=0,
        )
        errors = [mean_squared_error(m.fit(X), X) for m in (model, PCA(size))]
        print(
            f"{size:>2} numbers  AutoEncoder {errors[0]:.6f}  PCA {errors[1]:.6f}  "
            f"ratio {errors[0] / errors[1]:.5f}",
            flush=True,
        )


def mnist(epochs: int) -> None:
    """Compare codes of 32 numbers of MNIST's digits."""
    with np.load(data_folder() / "mnist" / "mnist.npz") as data:
        X, y = data["X_train"][:N_TRAIN], data["y_train"][:N_TRAIN]
        X_test, y_test = data["X_test"], data["y_test"]
    X, X_test = (pixels.astype(np.float32) / 255 for pixels in (X, X_test))
    models = {
        "PCA": PCA(32, random_state=0),
        "AutoEncoder": AutoEncoder(
            32,
            hidden_layer_sizes=(512, 256),
            scaling=None,
            batch_size=64,
            learning_rate_init=0.002,
            max_iter=epochs,
            random_state=0,
        ),
        "convolutions": AutoEncoder(
            32,
            hidden_layer_sizes=(256,),
            filters=(16, 32),
            image_shape=(28, 28),
            scaling=None,
            batch_size=64,
            learning_rate_init=0.003,
            max_iter=max(1, epochs // 3),
            random_state=0,
        ),
        "variational": VariationalAutoEncoder(
            32,
            hidden_layer_sizes=(256,),
            filters=(16, 32),
            image_shape=(28, 28),
            scaling=None,
            batch_size=64,
            learning_rate_init=0.003,
            max_iter=max(1, 4 * epochs // 3),
            random_state=0,
        ),
    }
    for name, model in models.items():
        start = time.process_time()
        codes = model.fit_transform(X)
        seconds = time.process_time() - start
        neighbors = KNeighborsClassifier(5)
        centered = StandardScaler(with_std=False)
        by_cosine = make_pipeline(centered, Normalizer(), neighbors)
        accuracies = [
            each.fit(codes, y).score(model.transform(X_test), y_test)
            for each in (neighbors, by_cosine)
        ]
        print(
            f"{name:<12} squared error {mean_squared_error(model, X_test):.4f}  "
            f"neighbors {accuracies[0]:.4f}, by the cosine {accuracies[1]:.4f}  "
            f"CPU {seconds:.0f} s",
            flush=True,
        )


def detectors(seed: int) -> dict:
    """Return functions that fit a detector to X and return the scores of outliers."""
    by_distance = {"outlier_score": "distance", "random_state": seed}
    few = dict(max_iter=10, random_state=seed)
    denoising = AutoEncoder(1, hidden_layer_sizes=(), noise=2.0, **few)
    variational = VariationalAutoEncoder(2, noise=2.0, **few)
    found = {
        "AutoEncoder": AutoEncoder(random_state=seed),
        "AutoEncoder, distance": AutoEncoder(**by_distance),
        "distance, 20 epochs": AutoEncoder(max_iter=20, **by_distance),
        "AutoEncoder, noise": denoising,
        "VariationalAutoEncoder": variational,
        "IsolationForest": IsolationForest(random_state=seed),
    }

    def scorer(model):
        return lambda X: -model.fit(X).score_samples(X)

    functions = {name: scorer(model) for name, model in found.items()}
    if find_spec("pyod") is None:
        return functions
    from pyod.models.auto_encoder import AutoEncoder as PyOD

    functions["PyOD"] = lambda X: (
        PyOD(random_state=seed, verbose=0).fit(X).decision_scores_
    )
    return functions


def outliers(n_seeds: int) -> None:
    """Compare detectors of outliers on tables."""
    paths = sorted((data_folder() / "outliers").glob("*.npz"))
    if not paths:
        raise SystemExit("Set SKDEEP_DATA: there is no folder of outliers.")
    if find_spec("pyod") is None:
        print("PyOD is not installed.")
    areas: dict[str, list] = {}
    seconds: dict[str, float] = {}
    for path in paths:
        with np.load(path) as data:
            X, y = data["X"].astype(np.float32), data["y"]
        X = StandardScaler().fit_transform(X)
        for seed in range(n_seeds):
            for name, score in detectors(seed).items():
                start = time.process_time()
                areas.setdefault(name, []).append(roc_auc_score(y, score(X)))
                taken = time.process_time() - start
                seconds[name] = seconds.get(name, 0.0) + taken / n_seeds
    print(f"{'':<24}" + " ".join(f"{path.stem[:9]:>9}" for path in paths))
    for name, values in areas.items():
        means = np.reshape(values, (len(paths), n_seeds)).mean(1)
        cells = " ".join(f"{value:>9.3f}" for value in means)
        print(f"{name:<24}{cells}  mean {means.mean():.3f}  CPU {seconds[name]:.1f} s")


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    names = ["linear", "mnist", "outliers"]
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(names))
    parser.add_argument("--epochs", type=int, default=9, help="of mnist")
    parser.add_argument("--seeds", type=int, default=3, help="of outliers")
    arguments = parser.parse_args()
    wrong = set(arguments.parts) - set(names)
    if wrong:
        parser.error(f"unknown parts: {', '.join(sorted(wrong))}")
    warnings.simplefilter("ignore", ConvergenceWarning)
    for part in arguments.parts or names:
        print(f"== {part}")
        {
            "linear": linear,
            "mnist": lambda: mnist(arguments.epochs),
            "outliers": lambda: outliers(arguments.seeds),
        }[part]()


if __name__ == "__main__":
    main()
