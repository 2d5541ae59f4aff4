"""Where trials are kept: in memory, in a journal file or in a database."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shlex
import sqlite3
import time
from collections.abc import Iterator
from json import JSONDecodeError
from typing import Any

import optuna
from optuna.exceptions import (
    DuplicatedStudyError,
    StorageInternalError,
    UpdateFinishedTrialError,
)
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from skdeep.model_selection._journal import Journal, StorageError
from skdeep.model_selection._private_url import (
    hide,
    hide_in,
    is_hidden,
    recall,
    remember,
    secrets,
)

DEFAULT_NAME = "OptunaSearchCV"
# Seconds after which the lock of a process that cannot be asked is taken to be stale.
_GRACE_PERIOD = 10
# Processes that begin together may all find a database without tables.
_N_TRIES = 5
_SQLITE_HEADER = b"SQLite format 3\0"
# Seconds to wait for others that write into a SQLite file; it is locked as a whole.
_SQLITE_PATIENCE = 60.0
_NEARLY_A_URL = re.compile(r"(sqlite|postgresql|mysql|mariadb)(\+\w+)?:(?!//)", re.I)
# Seconds that the process which made a study is given to say what it searches.
_PATIENCE = 10.0


@contextlib.contextmanager
def together(storage: BaseStorage) -> Iterator[None]:
    """Write what comes meanwhile at once, where the storage can."""
    backend = getattr(storage, "_backend", None)
    with backend.together() if isinstance(backend, Journal) else _nothing():
        yield


def _nothing():
    return contextlib.nullcontext()


def checksum(value) -> str:
    """Return a checksum of what can be written as JSON, equal when it is read again."""
    plain = json.loads(json.dumps(value))
    text = json.dumps(plain, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# -- opening ---------------------------------------------------------------------------


def open_storage(given) -> BaseStorage:
    """Return the storage that is meant.

    Parameters
    ----------
    given : None, str, path or optuna.storages.BaseStorage
        None for memory, a database's URL or the name of a journal file.

    Raises
    ------
    StorageError
        If it cannot be opened, is no journal, or is damaged.
    """
    if given is None or isinstance(given, InMemoryStorage):
        return given or InMemoryStorage()
    if isinstance(given, CheckedStorage):  # of another search's study
        return given  # type: ignore[return-value]
    storage = given if isinstance(given, BaseStorage) else _open(_url(given))
    # Optuna's own way of keeping what has been read from a database.
    cached = optuna.storages.get_storage(storage)
    return CheckedStorage(cached, given)  # type: ignore[return-value]


def shown(given) -> str:
    """Return what messages call a storage, without passwords."""
    if isinstance(given, JournalStorage):
        backend = given._backend
        return getattr(backend, "_file_path", type(backend).__name__)
    return hide(_url(given)) or type(given).__name__


def _url(given) -> str:
    """Return the URL or the name of a storage; an empty text if it has none."""
    if isinstance(given, BaseStorage):
        return getattr(given, "url", "")
    return str.__str__(os.fspath(given))


def pickled(given):
    """Return what a pickle keeps of a storage: the same, without passwords.

    A storage of Optuna that holds one is replaced by its URL.
    """
    if given is None or not secrets(_url(given)):
        return given
    return remember(_url(given))


def _open(given: str) -> BaseStorage:
    url = recall(given)
    if _NEARLY_A_URL.match(url):
        raise StorageError(
            f"storage={hide(url)!r} is not a URL. One of a database has two slashes "
            "after the colon, and of a SQLite file three: sqlite:///file.db."
        )
    return _open_database(url) if "://" in url else _open_journal(url)


def _open_journal(path: str) -> BaseStorage:
    journal = Journal(path, _GRACE_PERIOD)
    try:
        return JournalStorage(journal)
    except StorageError:
        raise
    except Exception as error:
        what = f"cannot be used, {type(error).__name__}: {error}"
        raise journal.damage(what, journal.line) from error


def _open_database(url: str) -> BaseStorage:
    if is_hidden(url):
        raise StorageError(
            f"storage={url!r} has lost its password: pickles do not keep passwords. "
            "Give it again, set_params(storage=...), or leave it out of the URL and "
            "give it by the environment, as PGPASSWORD or ~/.pgpass for PostgreSQL."
        )
    for attempt in range(_N_TRIES):
        try:
            _check_sqlite(url)
            # Optuna fills in what stands in braces.
            escaped = url.replace("{", "{{").replace("}", "}}")
            return RDBStorage(escaped, engine_kwargs=_engine_options(url))
        except StorageError:
            raise
        except Exception as error:
            if attempt == _N_TRIES - 1 or not _was_made_meanwhile(error):
                cause = _unless_secret(error, url)
                raise _not_opened(error, url) from cause
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError


def _not_opened(error: Exception, url: str) -> StorageError:
    if isinstance(error, ImportError):
        driver = getattr(error.__cause__, "name", None) or error
        return StorageError(
            f"storage={hide(url)!r} needs a package that is not installed: {driver}. "
            "A URL may name another driver, as postgresql+psycopg2:// does."
        )
    advice = ""
    if "@" in next(iter(sorted(secrets(url), key=len, reverse=True)), ""):
        advice = (
            " A password with @ : / ? # or % in it must be encoded: "
            "urllib.parse.quote(password, safe='')."
        )
    return StorageError(
        f"storage={hide(url)!r} cannot be opened: {_reason(error, url)}.{advice}"
    )


def _reason(error: BaseException, url: str = "") -> str:
    """Return what went wrong, in a line and without passwords."""
    if isinstance(error, StorageInternalError) and error.__cause__:
        error = error.__cause__
    text = str(error).strip().split("\n")[0].rstrip(".")
    if isinstance(error, KeyError) and "does not exist" in text:
        return "a study or a trial that it held has been deleted"
    if isinstance(error, KeyError | AssertionError | AttributeError | TypeError):
        text = f"{type(error).__name__}: {text}"
    return hide_in(text or type(error).__name__, url)


def _unless_secret(error: BaseException, url: str) -> BaseException | None:
    """Return an error to be shown as a cause, None if it tells a password."""
    found: BaseException | None = error
    while found is not None:
        if any(secret in str(found) + repr(found) for secret in secrets(url)):
            return None
        found = found.__cause__ or found.__context__
    return error


def _engine_options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": _SQLITE_PATIENCE}
    return options


def _was_made_meanwhile(error: Exception) -> bool:
    """Say whether another process has created the tables at the same time."""
    text = str(error).lower()
    return any(sign in text for sign in ("exists", "unique", "duplicate", "is locked"))


def _check_sqlite(url: str) -> None:
    """Refuse a SQLite file that is damaged; Optuna would make lost tables anew."""
    path = _sqlite_file(url)
    if path is None:
        return
    with contextlib.suppress(OSError), open(path, "rb") as file:
        # SQLite itself takes a file of a single byte for an empty one.
        if file.read(len(_SQLITE_HEADER)) not in (b"", _SQLITE_HEADER):
            raise _sqlite_damage(url, path, "file is not a database")
    try:
        connection = sqlite3.connect(path, timeout=_SQLITE_PATIENCE)
        with contextlib.closing(connection):
            [found] = connection.execute("PRAGMA integrity_check(1)").fetchone()
            names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise
        raise _sqlite_damage(url, path, str(error)) from error
    if found != "ok":
        raise _sqlite_damage(url, path, " ".join(found.split()))
    tables = {name for (name,) in names}
    missing = set(optuna.storages._rdb.models.BaseModel.metadata.tables) - tables
    # Optuna makes this table last.
    if missing and "alembic_version" in tables:
        what = f"it lacks the tables {', '.join(sorted(missing))}"
        raise _sqlite_damage(url, path, what)


def _sqlite_damage(url: str, path: str, what: str) -> StorageError:
    return StorageError(
        f"storage={hide(url)!r} cannot be opened: it is damaged or not a database of "
        f"Optuna: {what}. The file is left as it is. What can still be read of a "
        "damaged database is saved by: "
        f"sqlite3 {shlex.quote(path)} .recover | sqlite3 saved.db"
    )


def _sqlite_file(url: str) -> str | None:
    """Return the file of a SQLite database, if it is one and is there."""
    if not url.startswith("sqlite"):
        return None
    try:
        path = make_url(url).database
    except (SQLAlchemyError, ValueError):
        return None
    return path if path and os.path.isfile(path) and os.path.getsize(path) else None


# -- failures --------------------------------------------------------------------------

# What methods of a storage raise to say something else than that they failed.
_MEANT = (DuplicatedStudyError, UpdateFinishedTrialError, StorageError)
# What they raise when they failed, whatever they were asked.
_FAILURES = (OSError, SQLAlchemyError, StorageInternalError, JSONDecodeError)


class CheckedStorage:
    """A storage of Optuna whose failures are one kind of error, which names it.

    Parameters
    ----------
    storage : BaseStorage
        It does the work.
    given : str, path or BaseStorage
        What it was opened from.
    """

    def __init__(self, storage: BaseStorage, given):
        self._storage = storage
        self.url = _url(given)
        self.shown = shown(given)

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._storage, name)
        return self._checked(found, name) if callable(found) else found

    def _checked(self, method, name: str):
        @functools.wraps(method)
        def call(*args, **kwargs):
            try:
                return method(*args, **kwargs)
            except _MEANT:
                raise
            except Exception as error:
                if _says_something_else(error, name):
                    raise
                text = (
                    f"storage={self.shown!r} cannot be used: "
                    f"{_reason(error, self.url)}. What is written in it is kept: when "
                    "this is put right, the same search goes on from there."
                )
                raise StorageError(text) from _unless_secret(error, self.url)

        return call


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise a ValueError for whatever is wrong with a storage."""
    try:
        yield
    except StorageError as error:
        raise ValueError(str(error)) from error.__cause__


BaseStorage.register(CheckedStorage)


def _says_something_else(error: Exception, name: str) -> bool:
    """Say whether a method of a storage raised an error without having failed."""
    if name == "get_study_id_from_name":
        return isinstance(error, KeyError)
    # What has been read makes no sense, or it has not been read.
    return not name.startswith("get_") and not isinstance(error, _FAILURES)


def damage(storage, what: str) -> StorageError:
    """Return the error for something in a storage that is not what was written."""
    name = getattr(storage, "shown", type(storage).__name__)
    return StorageError(
        f"storage={name!r} is damaged: {what} is not what was written there. The "
        "search would not be what it was, so it does not go on. Choose another "
        "study_name or storage; optuna.load_study reads what is left of this one."
    )


class SearchStudy(optuna.Study):
    """A study whose callbacks may stop the search."""

    is_stopped = False

    def stop(self):
        """Let the search begin no more trials."""
        self.is_stopped = True


def open_study(
    storage: BaseStorage, name, directions, facts: dict, other_name: str | None = None
) -> SearchStudy:
    """Return the study of a name, new or as it was left.

    Parameters
    ----------
    storage : BaseStorage
        Where it is kept.
    name : str or None
        Its name.
    directions : list of str
        Of the objectives.
    facts : dict
        What is written into a new study: the seed, and what must not change.
    other_name : str or None
        Name to use if ``name`` is taken by another search; None raises then.

    Raises
    ------
    ValueError
        If there is such a study that is not of this class, or of another search.
    """
    name = name or DEFAULT_NAME
    if other_name is not None and _has_study(storage, other_name):
        name, other_name = other_name, None
    is_new = _create(storage, name, directions)
    study = SearchStudy(name, storage)
    if is_new or not _wait_for_facts(study):
        study.set_user_attr("search", {**facts, "check": checksum(facts)})
    before, now = facts_of(study)["signature"], facts["signature"]
    changed = [what for what in now if now[what] != before.get(what)]
    if changed and other_name is not None:
        return open_study(storage, other_name, directions, facts)
    _check_directions(study, directions)
    _refuse_another(name, changed)
    return study


def _has_study(storage: BaseStorage, name: str) -> bool:
    try:
        storage.get_study_id_from_name(name)
    except KeyError:
        return False
    return True


def _create(storage: BaseStorage, name: str, directions) -> bool:
    """Make a study; False if there is one, and then nothing is written."""
    if _has_study(storage, name):
        return False
    try:
        optuna.create_study(storage=storage, study_name=name, directions=directions)
    except DuplicatedStudyError:
        return False
    return True


def facts_of(study: SearchStudy) -> dict:
    """Return the facts that a study was made with.

    Raises
    ------
    StorageError
        If they are damaged.
    """
    facts = dict(study.user_attrs["search"])
    check = facts.pop("check", None)
    if set(facts) != {"seed", "signature"} or check not in (None, checksum(facts)):
        what = f"the description of the study {study.study_name!r}"
        raise damage(study._storage, what)
    return facts


def _wait_for_facts(study: SearchStudy) -> bool:
    """Wait for the process that made the study to say what it searches."""
    if study.get_trials(deepcopy=False) and "search" not in study.user_attrs:
        raise ValueError(
            f"The study {study.study_name!r} in this storage was not made by "
            "OptunaSearchCV. Choose another study_name or storage."
        )
    until = time.monotonic() + _PATIENCE
    while "search" not in study.user_attrs and time.monotonic() < until:
        time.sleep(0.1)
    return "search" in study.user_attrs


def _check_directions(study: SearchStudy, directions) -> None:
    found = [direction.name.lower() for direction in study.directions]
    if found != list(directions):
        raise ValueError(
            f"The study {study.study_name!r} has the directions {found}, not "
            f"{list(directions)}. Choose another study_name or storage."
        )


def _refuse_another(name: str, changed: list[str]) -> None:
    """Refuse to go on with another search than the one that was begun."""
    if not changed:
        return
    raise ValueError(
        f"The study {name!r} in this storage was begun with another "
        f"{', '.join(changed)}: its trials cannot be gone on with. Choose another "
        "study_name or storage, delete the old study, or leave study_name=None: then "
        "each search has a study of its own. (Folds that are shuffled need a "
        "random_state to be the same each time.)"
    )
