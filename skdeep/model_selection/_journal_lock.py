"""The lock of a journal: one process writes at a time, and dead ones do not block."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import stat
import time
import uuid
from collections.abc import Iterator
from typing import Any

from skdeep._messages import warn
from skdeep.model_selection._processes import is_dead, this_process

fcntl: Any = None
with contextlib.suppress(ImportError):  # Windows has none
    fcntl = importlib.import_module("fcntl")

# Seconds of waiting after which a warning names the holder of the lock.
_WARN_AFTER = 5.0
# Tokens of the locks that this process holds. A lock with its process id but another
# token was left by an interruption.
_held: set[str] = set()


class JournalLock:
    """A lock file that exists while a process writes to the journal.

    It holds the id of that process. If the process has ended, the lock is removed at
    once. If the process cannot be checked, because it runs on another machine or is not
    from skdeep, the lock is removed when neither it nor the journal has changed for a
    grace period. Optuna's locks have the same file name, so either program respects the
    other's.

    Parameters
    ----------
    journal : str
        Absolute path of the journal.
    grace_period : float
        In seconds.
    """

    def __init__(self, journal: str, grace_period: float):
        self.path = journal + ".lock"
        self._journal = journal
        self._grace_period = grace_period

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock inside the ``with`` statement.

        Raises
        ------
        OSError
            If the lock can be neither created nor waited for.
        """
        token = uuid.uuid4().hex
        _held.add(token)
        try:
            self._acquire(token)
            yield
        finally:
            self._release(token)
            _held.discard(token)

    def _acquire(self, token: str) -> None:
        began = since = time.monotonic()
        seen, pause, warn_after = None, 0.001, _WARN_AFTER
        while not self._create(token):
            now, sign = time.monotonic(), self._state()
            if sign != seen:
                seen, since = sign, now
            if sign is None:
                continue
            owner = self._owner()
            if self._is_stale(owner, now - since):
                self._remove_stale(sign)
                continue
            if now - began > warn_after:
                warn_after *= 2
                self._warn(owner, now - began)
            time.sleep(pause)
            # Exponential back-off: most writes take milliseconds.
            pause = min(2 * pause, 0.25)

    def _create(self, token: str) -> bool:
        """Create the lock; return False if there is one."""
        try:
            # O_EXCL makes creation atomic, also on network file systems.
            number = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        try:
            with open(number, "w") as file:
                json.dump({**this_process(), "token": token}, file)
        except BaseException:
            os.unlink(self.path)
            raise
        return True

    def _release(self, token: str) -> None:
        """Remove the lock, unless another process has broken it and holds its own."""
        if self._owner().get("token") == token:
            os.unlink(self.path)

    def _state(self) -> tuple | None:
        """Return a value that changes during writing; None if there is no lock."""
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(
                None, "a folder has the name of its lock; delete the folder", self.path
            )
        # A process that writes for long changes the journal but not its lock.
        journal = os.stat(self._journal)
        return found.st_ino, found.st_mtime_ns, journal.st_size, journal.st_mtime_ns

    def _owner(self) -> dict:
        """Return the description of the process in the lock; {} if it is unreadable."""
        try:
            if not stat.S_ISREG(os.lstat(self.path).st_mode):
                return {}
            with open(self.path, "rb") as file:
                found = json.loads(file.read(4096))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _is_stale(self, owner: dict, unchanged: float) -> bool:
        # The process is this one: only a lock of a live `held` block counts.
        if owner.get("pid") == os.getpid() and is_dead(owner) is False:
            return owner.get("token") not in _held
        dead = is_dead(owner)
        return unchanged > self._grace_period if dead is None else dead

    def _remove_stale(self, sign: tuple) -> None:
        """Remove a stale lock, unless another process has replaced it."""
        with _exclusive(self._journal):
            if self._state() == sign:
                os.unlink(self.path)

    def _warn(self, owner: dict, seconds: float) -> None:
        if is_dead(owner) is False:
            holder = f"process {owner['pid']}, which is alive; end it if it hangs"
        else:
            holder = (
                "a process that cannot be checked from here; the lock is removed if "
                f"nothing changes for {self._grace_period:g} s"
            )
        warn(
            f"Waiting for {seconds:.0f} s to write to {self._journal!r}: its lock "
            f"{self.path!r} is held by {holder}.",
        )


@contextlib.contextmanager
def _exclusive(path: str) -> Iterator[None]:
    """Keep other processes of this machine out, if the file system supports it."""
    if fcntl is None:
        yield
        return
    with open(path, "rb") as file:
        with contextlib.suppress(OSError):  # some network file systems have no flock
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
