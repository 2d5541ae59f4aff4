"""Where trials are kept: in memory, in a journal file or in a database."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

DEFAULT_NAME = "OptunaSearchCV"
# A process that holds the lock of a journal for longer than these seconds is dead.
_GRACE_PERIOD = 10
# Processes that begin together may all find a database without tables.
_N_TRIES = 5
# Seconds to wait for others that write into a SQLite file; it is locked as a whole.
_SQLITE_PATIENCE = 60.0
# Seconds that the process which made a study is given to say what it searches.
_PATIENCE = 10.0


class _Journal(JournalFileBackend):
    """A journal that survives being killed while it is written.

    A half line at its end, which the next line would be glued to, is cut off first.
    Several lines may be written at once: waiting for the disk takes milliseconds.
    """

    def __init__(self, path: str):
        self._path = path
        self._guard = JournalFileSymlinkLock(path, grace_period=_GRACE_PERIOD)
        self._held: list[dict[str, Any]] | None = None
        super().__init__(path, lock_obj=self._guard)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write what comes meanwhile at the end, all at once."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self.append_logs(held)

    def append_logs(self, logs):
        """Write lines."""
        if self._held is not None:
            self._held.extend(logs)
            return
        lines = [json.dumps(log, separators=(",", ":")) + "\n" for log in logs]
        self._guard.acquire()
        try:
            with open(self._path, "r+b") as file:
                _cut_half_line(file)
                file.write("".join(lines).encode())
                file.flush()
                os.fsync(file.fileno())
        finally:
            self._guard.release()


def _cut_half_line(file) -> None:
    """Go to the end of a file, and drop what stands after its last line's end."""
    end = file.seek(0, os.SEEK_END)
    position, tail = end, b""
    while position and b"\n" not in tail:
        position = max(position - 4096, 0)
        file.seek(position)
        tail = file.read(end - position)
    keep = position + tail.rfind(b"\n") + 1
    if keep < end:
        file.truncate(keep)
    file.seek(keep)


@contextlib.contextmanager
def together(storage: BaseStorage) -> Iterator[None]:
    """Write what comes meanwhile at once, where the storage can."""
    backend = getattr(storage, "_backend", None)
    with backend.together() if isinstance(backend, _Journal) else _nothing():
        yield


def _nothing():
    return contextlib.nullcontext()


def open_storage(given) -> BaseStorage:
    """Return the storage that is meant.

    Parameters
    ----------
    given : None, str, path or optuna.storages.BaseStorage
        None for memory, a database's URL or the name of a journal file.

    Raises
    ------
    ValueError
        If it cannot be opened, or is no journal.
    """
    if given is None:
        return InMemoryStorage()
    if isinstance(given, BaseStorage):
        return given
    is_url = isinstance(given, str) and "://" in given
    return _open_database(given) if is_url else _open_journal(Path(given))


def _open_database(url: str) -> BaseStorage:
    shown = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)
    for attempt in range(_N_TRIES):
        try:
            return RDBStorage(url, engine_kwargs=_engine_options(url))
        except ImportError as error:
            driver = getattr(error.__cause__, "name", None) or error
            raise ValueError(
                f"storage={shown!r} needs a package that is not installed: {driver}. "
                "A URL may name another driver, as postgresql+psycopg2:// does."
            ) from error
        except Exception as error:
            if attempt == _N_TRIES - 1 or not _was_made_meanwhile(error):
                reason = str(error).split("\n")[0]
                raise ValueError(
                    f"storage={shown!r} cannot be opened: {reason}"
                ) from error
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError


def _engine_options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": _SQLITE_PATIENCE}
    return options


def _was_made_meanwhile(error: Exception) -> bool:
    """Say whether another process has created the tables at the same time."""
    text = str(error).lower()
    return any(sign in text for sign in ("exists", "unique", "duplicate", "is locked"))


def _check_last_line(text: bytes) -> None:
    """Refuse a last line that is whole, but no entry: Optuna would overlook it."""
    last = text.rpartition(b"\n")[0].rpartition(b"\n")[2]
    if last:
        json.loads(last)


def _open_journal(path: Path) -> BaseStorage:
    try:
        if path.exists():
            with open(path, "r+b") as file:  # may it be written?
                _check_last_line(file.read())
        return JournalStorage(_Journal(str(path)))
    except OSError as error:
        raise ValueError(
            f"storage={str(path)!r} cannot be opened as a journal file: {error}"
        ) from error
    except Exception as error:
        raise ValueError(
            f"storage={str(path)!r} is no journal of Optuna, or it is corrupted: "
            f"{type(error).__name__}: {error}"
        ) from error


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
    try:
        optuna.create_study(storage=storage, study_name=name, directions=directions)
        is_new = True
    except DuplicatedStudyError:
        is_new = False
    study = SearchStudy(name, storage)
    if is_new or not _wait_for_facts(study):
        study.set_user_attr("search", facts)
    before = study.user_attrs["search"]["signature"]
    now = facts["signature"]
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
