"""Storages of trials: memory, a journal file or a database."""

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

from skdeep.model_selection._journal import (
    SQLITE_HEADER,
    CheckedJournal,
    StorageError,
)
from skdeep.model_selection._private_url import (
    find_passwords,
    is_masked,
    mask_passwords,
    mask_passwords_in,
    storage_url,
    unmask,
)

DEFAULT_NAME = "OptunaSearchCV"
# Seconds after which the lock of a process that cannot be checked is stale.
_GRACE_PERIOD = 10
# Attempts to open a database: processes that start together may all create its tables.
_N_TRIES = 5
# Seconds to wait while others write to a SQLite file, which is locked as a whole.
_SQLITE_TIMEOUT = 60.0
_NEARLY_A_URL = re.compile(r"(sqlite|postgresql|mysql|mariadb)(\+\w+)?:(?!//)", re.I)
# Seconds to wait for the process that created a study to store its info.
_INFO_TIMEOUT = 10.0


@contextlib.contextmanager
def batch_writes(storage: BaseStorage) -> Iterator[None]:
    """Write everything at once at the end, if the storage is a journal."""
    backend = getattr(storage, "_backend", None)
    if not isinstance(backend, CheckedJournal):
        yield
        return
    with backend.batch_writes():
        yield


def checksum(value) -> str:
    """Return a checksum of a JSON-serialisable value, unchanged by a round trip."""
    plain = json.loads(json.dumps(value))
    text = json.dumps(plain, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# -- opening ---------------------------------------------------------------------------


def open_storage(given) -> BaseStorage:
    """Open a storage.

    Parameters
    ----------
    given : None, str, path or optuna.storages.BaseStorage
        None for memory, the URL of a database or the name of a journal file.

    Raises
    ------
    StorageError
        If it cannot be opened, is not a journal, or is damaged.
    """
    if given is None or isinstance(given, InMemoryStorage):
        return given or InMemoryStorage()
    # Wrapping it again would hide the backend from batch_writes.
    if isinstance(given, CheckedStorage):  # of another search's study
        return given  # type: ignore[return-value]
    storage = (
        given if isinstance(given, BaseStorage) else _open_by_name(storage_url(given))
    )
    # Adds Optuna's cache to database storages.
    cached = optuna.storages.get_storage(storage)
    return CheckedStorage(cached, given)  # type: ignore[return-value]


def display_name(given) -> str:
    """Return the name of a storage for messages, without passwords."""
    if isinstance(given, JournalStorage):
        backend = given._backend
        return getattr(backend, "_file_path", type(backend).__name__)
    return mask_passwords(storage_url(given)) or type(given).__name__


def _open_by_name(given: str) -> BaseStorage:
    url = unmask(given)
    if _NEARLY_A_URL.match(url):
        raise StorageError(
            f"storage={mask_passwords(url)!r} is not a URL. A database URL has two "
            "slashes after the colon, that of a SQLite file three: sqlite:///file.db."
        )
    return _open_database(url) if "://" in url else _open_journal(url)


def _open_journal(path: str) -> BaseStorage:
    journal = CheckedJournal(path, _GRACE_PERIOD)
    try:
        return JournalStorage(journal)
    except StorageError:
        raise
    except Exception as error:
        what = f"cannot be used, {type(error).__name__}: {error}"
        raise journal.corruption_error(what, journal.last_line_read) from error


def _open_database(url: str) -> BaseStorage:
    if is_masked(url):
        raise StorageError(
            f"storage={url!r} has lost its password: pickles do not keep passwords. "
            "Set it again with set_params(storage=...), or leave it out of the URL and "
            "use the environment, such as PGPASSWORD or ~/.pgpass for PostgreSQL."
        )
    for attempt in range(_N_TRIES):
        try:
            _check_sqlite(url)
            # Optuna formats the URL, so braces must be escaped.
            escaped = url.replace("{", "{{").replace("}", "}}")
            return RDBStorage(escaped, engine_kwargs=_engine_options(url))
        except StorageError:
            raise
        except Exception as error:
            if attempt == _N_TRIES - 1 or not _is_creation_race(error):
                cause = _cause_without_passwords(error, url)
                raise _open_error(error, url) from cause
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError


def _open_error(error: Exception, url: str) -> StorageError:
    if isinstance(error, ImportError):
        driver = getattr(error.__cause__, "name", None) or error
        return StorageError(
            f"storage={mask_passwords(url)!r} needs a package that is not installed: "
            f"{driver}. A URL can name another driver, such as postgresql+psycopg2://."
        )
    advice = ""
    if "@" in next(iter(sorted(find_passwords(url), key=len, reverse=True)), ""):
        advice = (
            " A password that contains @ : / ? # or % must be encoded: "
            "urllib.parse.quote(password, safe='')."
        )
    return StorageError(
        f"storage={mask_passwords(url)!r} cannot be opened: "
        f"{_error_summary(error, url)}.{advice}"
    )


def _error_summary(error: BaseException, url: str = "") -> str:
    """Return the reason of an error in one line, without passwords."""
    if isinstance(error, StorageInternalError) and error.__cause__:
        error = error.__cause__
    text = str(error).strip().split("\n")[0].rstrip(".")
    if isinstance(error, KeyError) and "does not exist" in text:
        return "a study or a trial that it held has been deleted"
    if isinstance(error, KeyError | AssertionError | AttributeError | TypeError):
        text = f"{type(error).__name__}: {text}"
    return mask_passwords_in(text or type(error).__name__, url)


def _cause_without_passwords(error: BaseException, url: str) -> BaseException | None:
    """Return an error to chain as a cause, None if its texts hold a password."""
    found: BaseException | None = error
    while found is not None:
        if any(secret in str(found) + repr(found) for secret in find_passwords(url)):
            return None
        found = found.__cause__ or found.__context__
    return error


def _engine_options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": _SQLITE_TIMEOUT}
    return options


def _is_creation_race(error: Exception) -> bool:
    """Check whether an error means that another process is creating the tables."""
    text = str(error).lower()
    return any(sign in text for sign in ("exists", "unique", "duplicate", "is locked"))


def _check_sqlite(url: str) -> None:
    """Raise if a SQLite file is damaged; Optuna would recreate missing tables."""
    path = _sqlite_file(url)
    if path is None:
        return
    # Optuna imports its tables when it first opens a database, so not at the top.
    from optuna.storages._rdb.models import BaseModel

    with contextlib.suppress(OSError), open(path, "rb") as file:
        # SQLite takes a file of one byte to be empty, and would overwrite it.
        if file.read(len(SQLITE_HEADER)) not in (b"", SQLITE_HEADER):
            raise _sqlite_corruption_error(url, path, "file is not a database")
    try:
        connection = sqlite3.connect(path, timeout=_SQLITE_TIMEOUT)
        # sqlite3 connections are not closed by their context manager.
        with contextlib.closing(connection):
            [found] = connection.execute("PRAGMA integrity_check(1)").fetchone()
            names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise
        raise _sqlite_corruption_error(url, path, str(error)) from error
    if found != "ok":
        raise _sqlite_corruption_error(url, path, " ".join(found.split()))
    tables = {name for (name,) in names}
    missing = set(BaseModel.metadata.tables) - tables
    # Optuna creates "alembic_version" last. Without it, creation was interrupted and
    # Optuna completes it.
    if missing and "alembic_version" in tables:
        what = f"it lacks the tables {', '.join(sorted(missing))}"
        raise _sqlite_corruption_error(url, path, what)


def _sqlite_corruption_error(url: str, path: str, what: str) -> StorageError:
    return StorageError(
        f"storage={mask_passwords(url)!r} cannot be opened: it is damaged or not an "
        f"Optuna database: {what}. The file has not been modified. To recover what is "
        "readable, run: "
        f"sqlite3 {shlex.quote(path)} .recover | sqlite3 saved.db"
    )


def _sqlite_file(url: str) -> str | None:
    """Return the file of a SQLite database; None if there is none yet."""
    if not url.startswith("sqlite"):
        return None
    try:
        path = make_url(url).database
    except (SQLAlchemyError, ValueError):
        return None
    return path if path and os.path.isfile(path) and os.path.getsize(path) else None


# -- failures --------------------------------------------------------------------------

# Errors that pass unchanged: they are results, or already name the storage.
_PASSED_UNCHANGED = (DuplicatedStudyError, UpdateFinishedTrialError, StorageError)
# Errors that mean a failure in any method.
_FAILURES = (OSError, SQLAlchemyError, StorageInternalError, JSONDecodeError)


class CheckedStorage:
    """An Optuna storage whose failures are StorageErrors that name it.

    Parameters
    ----------
    storage : BaseStorage
        The storage.
    given : str, path or BaseStorage
        The parameter of the search.
    """

    def __init__(self, storage: BaseStorage, given):
        self._storage = storage
        self.url = storage_url(given)
        self.shown = display_name(given)

    def __getattr__(self, name: str):
        # Special methods must not be forwarded: copy and pickle look them up on the
        # class.
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._storage, name)
        return self._wrap(found, name) if callable(found) else found

    def _wrap(self, method, name: str):
        @functools.wraps(method)
        def call(*args, **kwargs):
            try:
                return method(*args, **kwargs)
            except _PASSED_UNCHANGED:
                raise
            except Exception as error:
                if _is_expected_error(error, name):
                    raise
                text = (
                    f"storage={self.shown!r} cannot be used: "
                    f"{_error_summary(error, self.url)}. Its trials are kept: solve "
                    "the problem and run the same search again to resume it."
                )
                raise StorageError(text) from _cause_without_passwords(error, self.url)

        return call


@contextlib.contextmanager
def as_value_errors() -> Iterator[None]:
    """Convert StorageErrors into plain ValueErrors."""
    try:
        yield
    except StorageError as error:
        raise ValueError(str(error)) from error.__cause__


BaseStorage.register(CheckedStorage)


def _is_expected_error(error: Exception, name: str) -> bool:
    """Check whether a method raised an error as its result and has not failed."""
    if name == "get_study_id_from_name":
        return isinstance(error, KeyError)
    # A getter that raises has failed: what it read is missing or makes no sense.
    return not name.startswith("get_") and not isinstance(error, _FAILURES)


def corruption_error(storage, what: str) -> StorageError:
    """Return the error for a study or trial that was changed after it was written."""
    name = getattr(storage, "shown", type(storage).__name__)
    return StorageError(
        f"storage={name!r} is damaged: {what} has changed since it was written, so the "
        "study cannot be resumed. Use another study_name or storage. "
        "optuna.load_study may still read this one."
    )


class SearchStudy(optuna.Study):
    """A study whose callbacks can stop the search."""

    is_stopped = False

    def stop(self):
        """Start no more trials."""
        self.is_stopped = True


def open_study(
    storage: BaseStorage, name, directions, info: dict, fallback_name: str | None = None
) -> SearchStudy:
    """Create a study, or load an existing one to resume it.

    Parameters
    ----------
    storage : BaseStorage
        The storage.
    name : str or None
        Name of the study.
    directions : list of str
        Directions of the objectives.
    info : dict
        Stored in a new study: the seed and the signature of the search.
    fallback_name : str or None
        Name to use if ``name`` belongs to another search; None raises then.

    Raises
    ------
    ValueError
        If the study was not made by this class, or belongs to another search.
    """
    name = name or DEFAULT_NAME
    if fallback_name is not None and _has_study(storage, fallback_name):
        name, fallback_name = fallback_name, None
    is_new = _create(storage, name, directions)
    # Not optuna.load_study: it returns a plain Study.
    study = SearchStudy(name, storage)
    if is_new or not _wait_for_info(study):
        study.set_user_attr("search", {**info, "check": checksum(info)})
    before, now = study_info(study)["signature"], info["signature"]
    changed = [what for what in now if now[what] != before.get(what)]
    if changed and fallback_name is not None:
        return open_study(storage, fallback_name, directions, info)
    _check_directions(study, directions)
    _check_same_search(name, changed)
    return study


def _has_study(storage: BaseStorage, name: str) -> bool:
    try:
        storage.get_study_id_from_name(name)
    except KeyError:
        return False
    return True


def _create(storage: BaseStorage, name: str, directions) -> bool:
    """Create a study; return False, and write nothing, if it exists."""
    if _has_study(storage, name):
        return False
    try:
        optuna.create_study(storage=storage, study_name=name, directions=directions)
    except DuplicatedStudyError:
        return False
    return True


def study_info(study: SearchStudy) -> dict:
    """Return the seed and the signature of a study.

    Raises
    ------
    StorageError
        If they are damaged.
    """
    info = dict(study.user_attrs["search"])
    check = info.pop("check", None)
    if set(info) != {"seed", "signature"} or check not in (None, checksum(info)):
        what = f"the description of the study {study.study_name!r}"
        raise corruption_error(study._storage, what)
    return info


def _wait_for_info(study: SearchStudy) -> bool:
    """Wait until the process that created the study has stored its info."""
    if study.get_trials(deepcopy=False) and "search" not in study.user_attrs:
        raise ValueError(
            f"The study {study.study_name!r} in this storage was not made by "
            "OptunaSearchCV. Use another study_name or storage."
        )
    until = time.monotonic() + _INFO_TIMEOUT
    while "search" not in study.user_attrs and time.monotonic() < until:
        time.sleep(0.1)
    return "search" in study.user_attrs


def _check_directions(study: SearchStudy, directions) -> None:
    found = [direction.name.lower() for direction in study.directions]
    if found != list(directions):
        raise ValueError(
            f"The study {study.study_name!r} has the directions {found}, not "
            f"{list(directions)}. Use another study_name or storage."
        )


def _check_same_search(name: str, changed: list[str]) -> None:
    """Raise if the study belongs to another search."""
    if not changed:
        return
    raise ValueError(
        f"The study {name!r} in this storage was started with another "
        f"{', '.join(changed)}: the study cannot be resumed. Use another study_name or "
        "storage, delete the old study, or leave study_name=None, which gives each "
        "search its own study. (Shuffled folds need a random_state to be the same in "
        "each run.)"
    )
