"""Storages: files of other kinds, locks, passwords."""

import contextlib
import copy
import json
import os
import pickle
import pprint
import socket
import sqlite3
import threading
import traceback
from types import SimpleNamespace

import optuna
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skdeep import OptunaSearchCV

# Private: other processes that hold the lock of a journal are imitated.
from skdeep.model_selection import _journal_lock, _storage
from skdeep.model_selection._processes import this_process

X, y = make_classification(60, 5, random_state=0)


def search(storage, **options):
    options = {"n_trials": 2, "cv": 2, "random_state": 0, **options}
    return OptunaSearchCV(
        LogisticRegression(), {"C": [0.1, 1.0]}, storage=storage, **options
    )


def error_of(storage, **options):
    with pytest.raises(ValueError) as caught:
        search(storage, **options).fit(X, y)
    return str(caught.value)


# -- files that are not journals -------------------------------------------------------

CONTENTS = {
    "json": b'{"accuracy": 0.93}',
    "json lines": b'{"a": 1}\n{"a": 2}\n',
    "json with a key of ours": b'{"op_code": 3, "mine": "precious"}',
    "another json": b'{"op_code":3,"mine":"precious"}',
    "a brace": b"{",
    "an unknown operation": b'{"op_code": 99}\n',
    "a json list": b"[1, 2]\n",
    "a json string": b'"text"\n',
    "pickle": pickle.dumps({"weeks": "of work"}),
    "text": b"hello",
    "csv": b"a,b\n1,2\n",
    "utf-16": "hello\n".encode("utf-16"),
    "zeros": bytes(5000),
    "empty lines": b"\n\n",
    "deep": b"[" * 100_000 + b"\n",
    "long": b"x" * 1_000_000,
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_files_of_other_kinds_are_not_modified(kind, tmp_path):
    path = tmp_path / "precious"
    path.write_bytes(CONTENTS[kind])
    for given in (path, str(path), f"sqlite:///{path}"):
        message = error_of(given)
        assert message.startswith(f"storage={str(given)!r} ")
        assert path.read_bytes() == CONTENTS[kind]
    assert os.listdir(tmp_path) == ["precious"]


def test_empty_file_and_incomplete_first_line(tmp_path):
    path = tmp_path / "trials.journal"
    for content in (b"", b'{"op_code":0,"worker_id":"abc'):
        path.write_bytes(content)
        assert len(search(path).fit(X, y).study_.trials) == 2


def test_sqlite_files_need_a_url(tmp_path):
    path = tmp_path / "trials.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE a (b)")
    assert f"Pass it as a URL: storage='sqlite:///{path}'" in error_of(path)
    for url in ("sqlite:/trials.db", "sqlite:trials.db", "postgresql+psycopg2:/x/y"):
        assert "is not a URL" in error_of(url)


def paths_of_special_files(folder):
    """Return paths without a file, or with one that cannot be a journal."""
    os.mkfifo(folder / "pipe")
    (folder / "text").write_text("hello")
    (folder / "to a device").symlink_to("/dev/null")
    (folder / "to a pipe").symlink_to("pipe")
    (folder / "to nowhere").symlink_to("nowhere/file")
    (folder / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(folder / "socket"))
    names = ["pipe", "to a device", "to a pipe", "to nowhere", "loop", "socket"]
    names += ["", "nowhere/file", "text/file", "x" * 300, "a\0b"]
    devices = ["/dev/null", "/dev/full", "/dev/zero", "/proc/version"]
    return [os.path.join(folder, name) for name in names] + devices


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a POSIX system")
def test_paths_that_are_not_files(tmp_path):
    for path in paths_of_special_files(tmp_path):
        message = error_of(path)
        assert message.startswith(f"storage={path!r} cannot be opened as a journal")


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read everything"
)
def test_unreadable_file(tmp_path):
    path = tmp_path / "trials.journal"
    path.write_text("")
    path.chmod(0)
    assert "Permission denied" in error_of(path)


def test_relative_journal_path_survives_chdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    found = search(
        "trials.journal", callbacks=[lambda *args: os.chdir("/")], n_trials=3
    ).fit(X, y)
    assert len(found.study_.trials) == 3
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "trials.journal"]


# -- locks -----------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path):
    """A journal in a folder that also has a link."""
    (tmp_path / "runs").mkdir()
    search(tmp_path / "runs" / "trials.journal").fit(X, y)
    (tmp_path / "link").symlink_to("runs")
    return tmp_path / "runs" / "trials.journal"


@pytest.mark.parametrize(
    "given",
    ["runs/trials.journal", "./runs/../runs/trials.journal", "link/trials.journal"],
)
@pytest.mark.parametrize("target", ["runs/trials.journal", "nowhere", "/"])
def test_stale_lock_of_optuna_is_removed(journal, monkeypatch, given, target):
    monkeypatch.setattr(_storage, "_GRACE_PERIOD", 0.2)
    monkeypatch.chdir(journal.parent.parent)
    lock = journal.with_name("trials.journal.lock")
    lock.symlink_to(target)
    assert len(search(given, n_trials=3).fit(X, y).study_.trials) == 3
    assert os.listdir(journal.parent) == ["trials.journal"]


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"pid": 1}'])
def test_stale_lock_without_an_owner_is_removed(journal, monkeypatch, content):
    monkeypatch.setattr(_storage, "_GRACE_PERIOD", 0.2)
    journal.with_name("trials.journal.lock").write_text(content)
    assert len(search(journal, n_trials=3).fit(X, y).study_.trials) == 3


def test_lock_left_by_an_interruption_is_removed(journal):
    lock = _journal_lock.JournalLock(str(journal), 60)
    lock._create("of nobody")
    assert len(search(journal, n_trials=3).fit(X, y).study_.trials) == 3


def test_held_lock_is_waited_for_with_a_warning(journal, monkeypatch):
    """Even for longer than the grace period, if its process is alive."""
    monkeypatch.setattr(_storage, "_GRACE_PERIOD", 0.1)
    monkeypatch.setattr(_journal_lock, "_WARN_AFTER", 0.3)
    lock, warn = _journal_lock.JournalLock(str(journal), 0.1), _journal_lock.warn

    def warn_and_release(message):
        os.unlink(lock.path)  # an error if the lock was not waited for
        warn(message)

    monkeypatch.setattr(_journal_lock, "warn", warn_and_release)
    match = rf"Waiting for .* s to write to '{journal}': its lock .* {os.getpid()}"
    with lock.held(), pytest.warns(UserWarning, match=match):
        found = search(journal, n_trials=3).fit(X, y)
    assert len(found.study_.trials) == 3


def test_changing_lock_is_waited_for(journal, monkeypatch):
    """A lock of another machine is kept as long as it changes."""
    monkeypatch.setattr(_storage, "_GRACE_PERIOD", 1)
    lock = journal.with_name("trials.journal.lock")
    lock.symlink_to("elsewhere")
    now, touched = [0.0], []

    def sleep(pause):
        now[0] += 0.6
        if len(touched) < 5:
            touched.append(now[0])
            # An error if the lock was removed.
            os.utime(lock, (now[0], now[0]), follow_symlinks=False)

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(_journal_lock, "time", clock)
    assert len(search(journal, n_trials=3).fit(X, y).study_.trials) == 3
    assert len(touched) == 5


def test_folder_with_the_name_of_the_lock(journal):
    journal.with_name("trials.journal.lock").mkdir()
    message = error_of(journal, n_trials=3)
    assert f"{journal}.lock': a folder has the name of its lock" in message


def test_stale_lock_is_removed_by_one_process_only(journal):
    """Two processes that find a stale lock never both hold the new one."""
    lock = _journal_lock.JournalLock(str(journal), 60)
    dead = {**this_process(), "pid": 2**22 + 1, "token": "x"}
    inside, most = [], []

    def enter():
        for _ in range(30):
            with contextlib.suppress(FileExistsError), open(lock.path, "x") as file:
                json.dump(dead, file)
            with _journal_lock.JournalLock(str(journal), 60).held():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


# -- passwords -------------------------------------------------------------------------

SECRET = "hunter2"
URLS = {
    "plain": "nobase://me:hunter2@localhost:1/db",
    "a driver's": "postgresql+psycopg2://me:hunter2@localhost:1/db",
    "with an @": "nobase://me:hun@hunter2@localhost/db",
    "with a /": "nobase://me:hunter2/x@localhost/db",
    "with a #": "nobase://me:hunter2#x@localhost/db",
    "with a ?": "nobase://me:?hunter2@localhost/db",
    "with a :": "nobase://me:hunter2:x@localhost/db",
    "with braces": "nobase://me:{hunter2}@localhost/db",
    "percent-encoded": "nobase://me:%40hunter2@localhost/db",
    "no user": "nobase://:hunter2@localhost/db",
    "an option": "nobase://localhost/db?user=me&password=hunter2",
    "another option": "nobase://localhost/db?passwd=hunter2&sslmode=require",
    "a key's": "nobase://me:x@localhost/db?sslpassword=hunter2&a=b@c",
    "a token": "nobase://localhost/db?authToken=hunter2",
    "no host": "nobase://me:hunter2",
    "one slash": "nobase:/me:hunter2@localhost/db",
}


def all_representations(one):
    """Return all texts that display an estimator."""
    texts = [pprint.pformat(one.get_params()), str(one.get_params())]
    texts += [f"{value} {value!s}" for value in one.get_params().values()]
    for changed in (True, False):
        with sklearn.config_context(print_changed_only=changed):
            texts += [repr(one), str(one), one._repr_html_()]
    with sklearn.config_context(display="text"):
        texts += [repr(one), str(one._repr_mimebundle_())]
    return texts


@pytest.mark.parametrize("kind", URLS)
def test_passwords_are_not_shown(kind):
    given = search(URLS[kind])
    assert SECRET not in repr(given) and "***" in repr(given)
    assert SECRET not in str(given.get_params())
    for pickled in (given, given.get_params()):
        assert SECRET.encode() not in pickle.dumps(pickled)
    with pytest.raises(ValueError) as caught:
        given.fit(X, y)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert "***" in str(caught.value)


@pytest.mark.parametrize("kind", ["plain", "an option"])
def test_meta_estimators_do_not_show_passwords(kind):
    given = search(URLS[kind])
    grid = GridSearchCV(make_pipeline(given), {"optunasearchcv__n_trials": [1]})
    for one in (given, clone(given), make_pipeline(given), grid):
        for text in all_representations(one):
            assert SECRET not in text
        assert "***" in repr(one)
        assert SECRET.encode() not in pickle.dumps(one)


@pytest.mark.parametrize("kind", URLS)
def test_private_url_works_as_a_url(kind):
    url = URLS[kind]
    value = search(url).get_params()["storage"]
    assert value == url and value[:] == url
    copied = copy.deepcopy(clone(clone(search(url))))
    assert search(None).set_params(storage=value).storage == url
    assert copied.get_params()["storage"] in (url, str(value))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://me@localhost:5432/db?application_name=a@b",
        "postgresql://[::1]:5432/db",
        "postgresql://one:1,two:2/db",
        "sqlite:////folder/a:b@c.db",
        "sqlite:///:memory:",
        "C:\\folder\\me@home:x.journal",
        "runs/a:b@c.journal",
    ],
)
def test_urls_without_passwords_are_shown(url):
    given = search(url)
    assert given.get_params()["storage"] is url
    assert pickle.loads(pickle.dumps(given)).storage == url


class Database(optuna.storages.RDBStorage):
    """A SQLite storage with another URL."""

    def __init__(self, url):
        super().__init__("sqlite://")
        self.url = url


def test_password_of_an_optuna_storage_is_not_shown():
    fitted = search(Database(URLS["plain"])).fit(X, y)
    texts = all_representations(fitted)
    assert not any(SECRET in text for text in texts)
    state = pickle.dumps(fitted)
    assert SECRET.encode() not in state
    assert pickle.loads(state).storage == "nobase://me:***@localhost:1/db"


def test_loaded_search_needs_the_password_again(monkeypatch):
    from skdeep.model_selection import _private_url

    state = pickle.dumps(search(URLS["a driver's"]))
    monkeypatch.setattr(_private_url, "_unmasked_urls", {})  # as in another process
    loaded = pickle.loads(state)
    assert loaded.storage == "postgresql+psycopg2://me:***@localhost:1/db"
    with pytest.raises(ValueError, match="lost its password.*set_params.*PGPASSWORD"):
        loaded.fit(X, y)


def test_copies_in_the_same_process_keep_the_password(tmp_path):
    given = search(URLS["plain"])
    for one in (copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
        with pytest.raises(ValueError, match="Can't load plugin"):
            one.fit(X, y)
