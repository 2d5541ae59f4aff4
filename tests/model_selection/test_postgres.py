"""Processes that share a study in a PostgreSQL database, one of which is killed."""

import contextlib
import functools
import glob
import json
import os
import pickle
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import optuna
import pytest
from scipy.stats import loguniform
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from skdeep import MLPClassifier, OptunaSearchCV
from tests.faults.helpers import start_fork

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork"),
]

N_TRIALS = 6
X, y = load_iris(return_X_y=True)
X, y = X[::2], y[::2]


class Network(MLPClassifier):
    """A network that hangs in one of its fits."""

    n_fits, hangs, folder = 0, 0, None

    def fit(self, X, y):
        Network.n_fits += 1
        if Network.n_fits == Network.hangs:
            (Network.folder / "hangs").touch()
            time.sleep(600)
        return super().fit(X, y)


def run_search(storage=None, folder=None, hangs=0):
    """Run a search and return its results; hang in the fit number ``hangs``."""
    Network.n_fits, Network.hangs, Network.folder = 0, hangs, folder
    search = OptunaSearchCV(
        Network((4,), max_iter=4, random_state=0),
        {"learning_rate_init": loguniform(1e-3, 1e-1), "activation": ["relu", "tanh"]},
        n_trials=N_TRIALS,
        cv=2,
        storage=storage,
        random_state=0,
        callbacks=[lambda *_: folder is None or (folder / "did").touch()],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = search.fit(X, y).cv_results_
    kept = ("param_", "split", "mean_test", "rank", "state", "n_epochs")
    kept = {n: v.tolist() for n, v in found.items() if n.startswith(kept)}
    return json.dumps([kept, search.best_params_])


def programs():
    """Return the folder of PostgreSQL's programs, None if it is not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += map(Path, sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True))
    return next((f for f in folders if (f / "initdb").exists()), None)


def account():
    """Return the user that runs the server, which refuses to run as root."""
    if os.getuid() != 0:
        return {}
    import pwd

    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def change_owner(paths, owner):
    """Change the owner of files if the server runs as another user."""
    try:
        for path in paths if owner else ():
            os.chown(path, owner["user"], owner["group"])
        subprocess.run(["true"], check=True, **owner)
    except PermissionError as error:
        pytest.skip(f"PostgreSQL does not run as root, nor may another user: {error}")


def free_port():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


@pytest.fixture(scope="module")
def server():
    """A server on the loopback interface; yields the credentials and address."""
    psycopg2 = pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    folder_of_programs = programs()
    if folder_of_programs is None:
        pytest.skip("PostgreSQL is not installed")
    owner = account()
    # Not pytest's folder, which other users cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="skdeep-postgres-"))
    password = secrets.token_hex(16)
    try:
        (folder / "password").write_text(password)
        change_owner([folder, folder / "password"], owner)
        data, port = folder / "data", free_port()
        initdb = [folder_of_programs / "initdb", "-D", data, "-U", "skdeep", "-N"]
        initdb += ["-A", "scram-sha-256", f"--pwfile={folder / 'password'}"]
        initdb += ["--no-locale", "--encoding=UTF8"]
        made = subprocess.run(
            initdb, cwd=folder, capture_output=True, text=True, **owner
        )
        assert made.returncode == 0, made.stderr
        command = [folder_of_programs / "postgres", "-D", data, "-p", str(port)]
        command += ["-h", "127.0.0.1", "-k", folder, "-c", "fsync=off"]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, **owner
            )
        try:
            account_at = f"skdeep:{password}@127.0.0.1:{port}/"
            url = f"postgresql://{account_at}postgres"
            wait_for(psycopg2, url, process, folder / "log")
            yield account_at
        finally:
            process.send_signal(signal.SIGINT)  # a fast but clean shutdown
            process.wait(30)
    finally:
        shutil.rmtree(folder)


def wait_for(psycopg2, url, process, log):
    """Wait until the server answers."""
    until = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        try:
            psycopg2.connect(url).close()
            return
        except psycopg2.OperationalError:
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)


@pytest.fixture
def database(server, request):
    """The URL of a new database."""
    import psycopg2

    name = f"db_{secrets.token_hex(4)}"
    connection = psycopg2.connect(f"postgresql://{server}postgres")
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    # The default driver depends on the version of SQLAlchemy.
    return f"postgresql+psycopg2://{server}{name}"


@pytest.fixture
def start_worker(tmp_path):
    """A function that starts a worker process; all of them end with the test."""
    processes = []

    def start_worker(name, database, hangs=0):
        folder = tmp_path / name
        folder.mkdir()
        work_here = functools.partial(run_search, database, folder, hangs)
        processes.append(start_fork(work_here, folder / "outcome"))
        return processes[-1], folder

    yield start_worker
    for process in processes:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def wait_for_file(path):
    """Wait until a worker has created a file."""
    until = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.02)


def results_of(process, folder):
    """Wait for a worker and return its results."""
    os.waitpid(process, 0)
    return pickle.loads((folder / "outcome").read_bytes())


def trials_in(database):
    study = optuna.load_study(storage=database, study_name="OptunaSearchCV")
    return study.get_trials()


def counted(trials):
    """Return the trials that count, by position."""
    done = [t for t in trials if "result" in t.user_attrs and t.state.is_finished()]
    assert len({t.user_attrs["place"] for t in done}) == len(done)
    return {t.user_attrs["place"]: t for t in done}


@pytest.fixture(scope="module")
def uninterrupted():
    """The results of a single process, in memory."""
    return run_search()


@pytest.mark.nightly
def test_a_killed_process_loses_no_trial(database, start_worker, uninterrupted):
    victim, folder = start_worker(
        "victim", database, hangs=4
    )  # second fold, second trial
    wait_for_file(folder / "hangs")
    other, other_folder = start_worker("other", database)
    wait_for_file(other_folder / "did")
    assert "RUNNING" in [t.state.name for t in trials_in(database)]
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    assert results_of(other, other_folder) == uninterrupted
    trials = trials_in(database)
    done = counted(trials)
    assert sorted(done) == list(range(N_TRIALS))
    owners = [t.user_attrs["owner"]["pid"] for t in done.values()]
    assert owners.count(victim) == 1
    assert owners.count(other) == N_TRIALS - 1
    [lost] = [t for t in trials if t not in done.values()]
    assert lost.state.name == "FAIL"
    assert lost.user_attrs["owner"]["pid"] == victim


@pytest.mark.nightly
def test_two_processes_that_begin_together_share_the_trials(
    database, start_worker, uninterrupted
):
    for worker in [start_worker(name, database) for name in ("one", "two")]:
        assert results_of(*worker) == uninterrupted
    trials = trials_in(database)
    assert sorted(counted(trials)) == list(range(N_TRIALS))
    assert all(trial.state.is_finished() for trial in trials)


@pytest.fixture
def execute(server):
    """A function that runs a command in a database."""
    import psycopg2

    def execute(command, database="postgres"):
        connection = psycopg2.connect(f"postgresql://{server}{database}")
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(command)

    return execute


def small_search(database, **options):
    return OptunaSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [0.1, 1.0]},
        n_trials=3,
        cv=2,
        storage=database,
        random_state=0,
        **options,
    ).fit(X, y)


def error_of(database, **options):
    """Return the message of the error of a search."""
    with pytest.raises(ValueError) as caught:
        small_search(database, **options)
    shown = re.sub(r"(skdeep):\w+@", r"\1:***@", database)
    assert str(caught.value).startswith(f"storage={shown!r} ")
    password = database.split(":")[2].split("@")[0]
    assert password not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.mark.nightly
def test_database_dropped_during_use(database, execute):
    name = database.rpartition("/")[2]

    def drop_database(study, trial):
        execute(f"DROP DATABASE {name} WITH (FORCE)")

    message = error_of(database, callbacks=[drop_database])
    assert "cannot be used" in message
    assert f'database "{name}" does not exist' in message


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("UPDATE trial_params SET param_value = 1 - param_value", "trial 0 of"),
        ("UPDATE trial_values SET value = value / 2", "trial 0 of"),
        ("DROP TABLE trial_values", "trial 0 of"),
        ("UPDATE trial_user_attributes SET value_json = '{'", "cannot be used"),
    ],
)
def test_modified_database_is_detected(database, execute, command, message):
    small_search(database)
    execute(command, database.rpartition("/")[2])
    assert message in error_of(database)


def test_server_is_unreachable():
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    url = f"postgresql+psycopg2://me:secret@127.0.0.1:{free_port()}/trials"
    with pytest.raises(ValueError, match="cannot be opened") as caught:
        small_search(url)
    assert str(caught.value).startswith("storage='postgresql+psycopg2://me:***@127.0.0")
    assert "secret" not in "".join(traceback.format_exception(caught.value))
