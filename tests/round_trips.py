"""Every usual way to store an estimator and load it again."""

import copy
import io
import pickle

import joblib
import skops.io


def through_joblib(model):
    """Store a model with joblib and load it."""
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def through_skops(model):
    """Store a model with skops and load it; only skdeep's classes need trust."""
    data = skops.io.dumps(model)
    untrusted = skops.io.get_untrusted_types(data=data)
    assert all(name.startswith("skdeep.") for name in untrusted), untrusted
    return skops.io.loads(data, trusted=untrusted)


WAYS = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": through_joblib,
    "deepcopy": copy.deepcopy,
    "skops": through_skops,
}
