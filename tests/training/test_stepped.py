"""Training of many networks, one epoch of all of them at a time."""

import numpy as np
import pytest
import torch

from skdeep.training import SteppedTraining, train
from tests.training.populations import n_cores
from tests.training.test_population_errors import (
    X_numbers,
    assert_same_training,
    classifier,
    regressor,
    task_of,
    weights_of,
    y_numbers,
)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")


def tasks_of(models):
    return [task_of(model).task for model in models]


def run(tasks, n_threads=1, n_epochs=1):
    """Train tasks to the end; return the number of active networks of each epoch."""
    counts = []
    with SteppedTraining(tasks, n_threads) as training:
        while training.active:
            epochs = training.run_epochs(n_epochs)
            counts += [len(records) for records in epochs]
            numbers = [{record["epoch"] for record in records} for records in epochs]
            first = len(counts) - len(epochs) + 1
            assert numbers == [{first + i} for i in range(len(epochs))]
        training.finish()
    return counts


@pytest.mark.parametrize(("n_threads", "n_epochs"), [(1, 1), (2, 1), (2, 4)])
def test_the_result_is_that_of_separate_trainings(n_threads, n_epochs):
    models = [
        classifier(),
        classifier(alpha=1.0, early_stopping=True, random_state=1),
        classifier(solver="sgd", max_iter=5),
        classifier(learning_rate="one_cycle", solver="adamw", alpha=0.1),
        classifier(hidden_layer_sizes=(3,), early_stopping="loss"),
        classifier(batch_norm=True),  # trained alone
    ]
    found, expected = tasks_of(models), tasks_of(models)
    with n_cores(2):
        counts = run(found, n_threads, n_epochs)
    for one, two in zip(found, expected, strict=True):
        train(two)
        assert_same_training(one, two)
    assert counts == [6, 6, 6, 1, 1]


def test_a_stopped_training_ends_and_the_others_go_on():
    models = [classifier(random_state=seed, max_iter=4) for seed in range(3)]
    found, expected = tasks_of(models), tasks_of(models)
    with SteppedTraining(found, 1) as training:
        training.run_epochs()
        training.stop([found[1]])
        assert len(training.active) == 2
        assert [len(records) for records in training.run_epochs(3)] == [2] * 3
        assert not training.active
        training.finish()
    assert [len(task.state.history) for task in found] == [4, 1, 4]
    for i in (0, 2):
        train(expected[i])
        assert_same_training(found[i], expected[i])


def test_another_length_moves_the_end_of_the_schedule():
    model = classifier(learning_rate="one_cycle", max_iter=20)
    (task,) = tasks_of([model])
    with SteppedTraining([task], 1) as training:
        training.run_epochs()
        training.set_length(5)
        while training.active:
            training.run_epochs()
        training.finish()
    history = task.state.history
    assert len(history) == 5
    assert history[-1]["learning_rate"] < 0.2 * history[1]["learning_rate"]


def test_training_may_end_at_any_epoch():
    (task,) = tasks_of([classifier(early_stopping="loss", max_iter=30)])
    with SteppedTraining([task], 1) as training:
        training.run_epochs(3)
        training.finish()
    assert len(task.state.history) == 3
    assert all(np.isfinite(weight).all() for weight in weights_of(task))


def test_the_first_error_is_raised():
    diverging = regressor(solver="sgd", max_iter=20, learning_rate_init=1e6)
    tasks = [
        task_of(model, X_numbers, y_numbers).task
        for model in (regressor(max_iter=20), diverging)
    ]
    with pytest.raises(ValueError, match="non-finite"):
        run(tasks)


def test_settings_of_the_threads_are_restored():
    before = torch.get_num_threads()
    run(tasks_of([classifier()]), 2)
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
