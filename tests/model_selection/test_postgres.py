"""Processes that share a search in a real PostgreSQL, one of which is killed."""

import contextlib
import glob
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import optuna
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skdeep import OptunaSearchCV

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

N_TRIALS = 10

# Run as a program of its own: a network that hangs in its Nth fit, if it is told so.
WORKER = """
import itertools, json, sys, time, warnings
from scipy.stats import loguniform
from sklearn.datasets import load_iris
from skdeep import MLPClassifier, OptunaSearchCV

warnings.simplefilter("ignore")
storage, n_trials, hangs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
fits = itertools.count(1)


class Network(MLPClassifier):
    def fit(self, X, y):
        if next(fits) == hangs:
            print("hangs", flush=True)
            time.sleep(600)
        return super().fit(X, y)


X, y = load_iris(return_X_y=True)
model = Network((4,), max_iter=5, random_state=0)
search = OptunaSearchCV(
    model,
    {"learning_rate_init": loguniform(1e-3, 1e-1), "activation": ["relu", "tanh"]},
    n_trials=n_trials,
    cv=2,
    storage=storage or None,
    random_state=0,
    callbacks=[lambda study, trial: print("did", trial.number, flush=True)],
).fit(X[::2], y[::2])
found = {n: v.tolist() for n, v in search.cv_results_.items() if hasattr(v, "tolist")}
kept = ("param_", "split", "mean_test", "rank", "state", "n_epochs")
found = {n: v for n, v in found.items() if n.startswith(kept)}
print("found", json.dumps([found, search.best_params_]), flush=True)
"""


def programs():
    """Return the folder of the server's programs, or None."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += map(Path, sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True))
    return next((f for f in folders if (f / "initdb").exists()), None)


def account():
    """Return whose the server is: it refuses to be root's."""
    if os.getuid() != 0:
        return {}
    import pwd

    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def give(paths, owner):
    """Give files to another user, if there is one who must have them."""
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
    """A server on loopback, in a folder that is removed; what URLs say of it."""
    psycopg2 = pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    folder_of_programs = programs()
    if folder_of_programs is None:
        pytest.skip("PostgreSQL is not installed")
    owner = account()
    # Not in pytest's own folder, which another user may not enter.
    folder = Path(tempfile.mkdtemp(prefix="skdeep-postgres-"))
    password = secrets.token_hex(16)
    try:
        (folder / "password").write_text(password)
        give([folder, folder / "password"], owner)
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
            process.send_signal(signal.SIGINT)  # ends it at once, but in order
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
    """The URL of a database of the test's own."""
    import psycopg2

    name = f"db_{secrets.token_hex(4)}"
    connection = psycopg2.connect(f"postgresql://{server}postgres")
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    # Without the driver's name SQLAlchemy 2.1 wants psycopg, older ones psycopg2.
    return f"postgresql+psycopg2://{server}{name}"


@pytest.fixture
def start(tmp_path):
    """A function that starts a worker; all of them end with the test."""
    path = tmp_path / "worker.py"
    path.write_text(WORKER)
    workers = []

    def start(storage="", hangs=0):
        command = [sys.executable, path, storage, str(N_TRIALS), str(hangs)]
        workers.append(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
        worker.wait()
        worker.stdout.close()


def wait_for_line(worker, word):
    """Read what a worker prints until a line begins with a word."""
    lines = []
    for line in worker.stdout:
        lines.append(line)
        if line.startswith(word):
            return line
    raise AssertionError("".join(lines))


def found_by(worker):
    """Return what a worker has found when it is done."""
    return json.loads(wait_for_line(worker, "found").removeprefix("found "))


def trials_in(database):
    study = optuna.load_study(storage=database, study_name="OptunaSearchCV")
    return study.get_trials()


def counted(trials):
    """Return the trials that count, by place."""
    done = [t for t in trials if "result" in t.user_attrs and t.state.is_finished()]
    assert len({t.user_attrs["place"] for t in done}) == len(done)
    return {t.user_attrs["place"]: t for t in done}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """What one process finds alone, in memory."""
    path = tmp_path_factory.mktemp("unbroken") / "worker.py"
    path.write_text(WORKER)
    done = subprocess.run(
        [sys.executable, path, "", str(N_TRIALS), "0"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1].removeprefix("found "))


def test_a_killed_process_loses_no_trial(database, start, unbroken):
    victim = start(database, hangs=4)  # the second fold of its second trial
    wait_for_line(victim, "hangs")
    other = start(database)
    wait_for_line(other, "did")
    states = [t.state.name for t in trials_in(database)]
    assert "RUNNING" in states
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert same(found_by(other), unbroken)
    trials = trials_in(database)
    done = counted(trials)
    assert sorted(done) == list(range(N_TRIALS))
    owners = [t.user_attrs["owner"]["pid"] for t in done.values()]
    assert owners.count(victim.pid) == 1
    assert owners.count(other.pid) == N_TRIALS - 1
    [lost] = [t for t in trials if t not in done.values()]
    assert lost.state.name == "FAIL"
    assert lost.user_attrs["owner"]["pid"] == victim.pid


def test_two_processes_that_begin_together_share_the_trials(database, start, unbroken):
    workers = [start(database) for _ in range(2)]
    for worker in workers:
        assert same(found_by(worker), unbroken)
    trials = trials_in(database)
    assert sorted(counted(trials)) == list(range(N_TRIALS))
    assert all(trial.state.is_finished() for trial in trials)


def same(one, other):
    """Say whether two results are equal, NaN included."""
    return json.dumps(one) == json.dumps(other)


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
    X, y = load_iris(return_X_y=True)
    return OptunaSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [0.1, 1.0]},
        n_trials=3,
        cv=2,
        storage=database,
        random_state=0,
        **options,
    ).fit(X[::2], y[::2])


def error_of(database, **options):
    """Return the text of the one error that a search ends with."""
    with pytest.raises(ValueError) as caught:
        small_search(database, **options)
    shown = re.sub(r"(skdeep):\w+@", r"\1:***@", database)
    assert str(caught.value).startswith(f"storage={shown!r} ")
    password = database.split(":")[2].split("@")[0]
    assert password not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_database_dropped_during_use(database, execute):
    name = database.rpartition("/")[2]

    def lose(study, trial):
        execute(f"DROP DATABASE {name} WITH (FORCE)")

    message = error_of(database, callbacks=[lose])
    assert "cannot be used" in message
    assert f'database "{name}" does not exist' in message


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


def test_server_is_unreachable(start):
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed")
    worker = start(f"postgresql+psycopg2://me:secret@127.0.0.1:{free_port()}/trials")
    printed, _ = worker.communicate()
    assert worker.returncode == 1
    assert "ValueError: storage='postgresql+psycopg2://me:***@127.0.0.1" in printed
    assert "cannot be opened" in printed
    assert "secret" not in printed[printed.index("ValueError: storage=") :]
