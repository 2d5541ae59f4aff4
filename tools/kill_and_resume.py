"""Kill fits at random moments, resume them, and compare with uninterrupted fits.

A 60-epoch fit of each kind runs in its own process. It is killed repeatedly (kill -9),
resumed from its checkpoint each time, and compared bit by bit::

    python tools/kill_and_resume.py [--kills 20] [--seed 0] [KIND ...]
"""

import argparse
import os
import pickle
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from skdeep.callbacks import Checkpoint
from tests.training.test_checkpoint import MODELS, data_for, outcome

EPOCHS = 60


def make(kind):
    """Return an estimator that trains for all its epochs."""
    model = MODELS[kind]()
    if "n_iter_no_change" in model.get_params():
        model.set_params(n_iter_no_change=EPOCHS, tol=0)
    return model.set_params(max_iter=EPOCHS)


def fit(kind, path, result):
    """Fit in a forked process; return its process id."""
    process = os.fork()
    if process:
        return process
    try:
        warnings.simplefilter("ignore")
        model = make(kind)
        if path is not None:
            model.set_callbacks(Checkpoint(path))
        model.fit(*data_for(model))
        result.write_bytes(pickle.dumps(outcome(model)))
    finally:
        os._exit(0)


def is_equal(one, two):
    """Return whether two fits have bit-identical results."""
    arrays = zip(one[1], two[1], strict=True)
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in arrays)
    return one[0] == two[0] and same and one[2] == two[2]


def trial(kind, n_kills, rng):
    """Return how many kills hit a running fit, and whether the results are equal."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        os.waitpid(fit(kind, None, folder / "whole"), 0)
        duration = time.perf_counter() - started
        done, in_time = folder / "resumed", 0
        for _ in range(n_kills):
            process = fit(kind, folder / "fit.ckpt", done)
            time.sleep(rng.uniform(0, 2 * duration / n_kills))
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            in_time += not done.exists()
            done.unlink(missing_ok=True)
        os.waitpid(fit(kind, folder / "fit.ckpt", done), 0)
        files = folder / "whole", done
        results = [pickle.loads(file.read_bytes()) for file in files]
        return in_time, is_equal(*results)


def main():
    kinds = [kind for kind in MODELS if kind != "no random_state"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kinds", nargs="*", default=kinds, metavar="KIND")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    for kind in options.kinds:
        in_time, same = trial(kind, options.kills, rng)
        outcome = "bit-identical" if same else "DIFFERENT"
        print(f"{kind}: {in_time} of {options.kills} kills during training, {outcome}")


if __name__ == "__main__":
    main()
