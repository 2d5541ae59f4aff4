"""The lock of a journal: one process writes at a time, and a dead one blocks nobody."""

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

# Seconds of waiting after which a warning says what is waited for.
_PATIENCE = 5.0
# Locks that this process holds: others of its number were left by an interruption.
_held: set[str] = set()


class JournalLock:
    """A file beside a journal that exists while a process writes to the journal.

    It holds the number of that process. So a lock whose process has ended is removed at
    once; one that cannot be asked about, since its process runs on another machine or
    is not of skdeep, after it has not changed for a grace period. Optuna's own locks
    have the same name and are respected, and respect this one.

    Parameters
    ----------
    journal : str
        The absolute path of the journal.
    grace_period : float
        In seconds.
    """

    def __init__(self, journal: str, grace_period: float):
        self.path = journal + ".lock"
        self._journal = journal
        self._grace_period = grace_period

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock meanwhile.

        Raises
        ------
        OSError
            If it can neither be made nor be waited for.
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
        seen, pause, patience = None, 0.001, _PATIENCE
        while not self._create(token):
            now, sign = time.monotonic(), self._sign()
            if sign != seen:
                seen, since = sign, now
            if sign is None:
                continue
            owner = self._owner()
            if self._is_stale(owner, now - since):
                self._break(sign)
                continue
            if now - began > patience:
                patience *= 2
                self._warn(owner, now - began)
            time.sleep(pause)
            pause = min(2 * pause, 0.25)

    def _create(self, token: str) -> bool:
        """Make the lock; False if there is one."""
        try:
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
        """Remove the lock, unless it is another's: ours may have been broken."""
        if self._owner().get("token") == token:
            os.unlink(self.path)

    def _sign(self) -> tuple | None:
        """Return what changes while somebody writes; None if there is no lock."""
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return None
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(
                None, "a folder has the name of its lock; delete the folder", self.path
            )
        journal = os.stat(self._journal)
        return found.st_ino, found.st_mtime_ns, journal.st_size, journal.st_mtime_ns

    def _owner(self) -> dict:
        """Return what the lock tells of its process, which may be nothing."""
        try:
            if not stat.S_ISREG(os.lstat(self.path).st_mode):
                return {}
            with open(self.path, "rb") as file:
                found = json.loads(file.read(4096))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _is_stale(self, owner: dict, unchanged: float) -> bool:
        if owner.get("pid") == os.getpid() and is_dead(owner) is False:
            return owner.get("token") not in _held
        dead = is_dead(owner)
        return unchanged > self._grace_period if dead is None else dead

    def _break(self, sign: tuple) -> None:
        """Remove a lock, unless another process has just done so and holds its own."""
        with _alone(self._journal):
            if self._sign() == sign:
                os.unlink(self.path)

    def _warn(self, owner: dict, seconds: float) -> None:
        if is_dead(owner) is False:
            who = f"process {owner['pid']}, which is alive; end it if it hangs"
        else:
            who = (
                "a process that cannot be asked whether it is alive; the lock is "
                f"removed when nothing has changed for {self._grace_period:g} s"
            )
        warn(
            f"Waiting for {seconds:.0f} s to write to {self._journal!r}: its lock "
            f"{self.path!r} is held by {who}.",
        )


@contextlib.contextmanager
def _alone(path: str) -> Iterator[None]:
    """Let no other process of this machine do the same meanwhile, where that works."""
    if fcntl is None:
        yield
        return
    with open(path, "rb") as file:
        with contextlib.suppress(OSError):  # not on every network
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
