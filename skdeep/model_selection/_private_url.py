"""Database URLs that do not show their passwords."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, unquote_plus

_MASK = "***"
# user:password@ after the scheme, up to the last @, as a password may contain one.
# Without an @, anything that is not a port number may be a password.
_LOGIN = re.compile(
    r"^([\w+.-]{2,}:/{1,2}(?!/)[^:/@\[]*):(?:(?P<known>.+)@|(?P<likely>\D.*)$)",
    re.DOTALL,
)
_QUERY = re.compile(r"\?[\w.-]+=")
_OPTION = re.compile(
    r"([?&;][^=&;?]*(?:password|passwd|passphrase|pwd|secret|token|credential"
    r"|api_?key|odbc_connect)[^=&;?]*=)([^&;#]*)",
    re.IGNORECASE,
)

# Complete URLs by their masked form: a copy of a search, made by pickling within this
# process, must still work.
_unmasked_urls: dict[str, str] = {}


class PrivateUrl(str):
    """A URL whose password is hidden when it is printed or pickled.

    Its value as a str is the complete URL, so it works wherever the URL does.
    """

    __slots__ = ()

    def __repr__(self):
        return repr(mask_passwords(self))

    def __str__(self):
        return mask_passwords(self)

    def __format__(self, spec):
        return format(mask_passwords(self), spec)

    def __reduce__(self):
        return str, (mask_and_remember(self),)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


def to_private_url(value):
    """Return a URL with a password as a PrivateUrl, and anything else unchanged."""
    if not isinstance(value, str) or isinstance(value, PrivateUrl):
        return value
    return value if mask_passwords(value) == value else PrivateUrl(value)


def mask_passwords(url: str) -> str:
    """Return a URL with ``***`` in place of its passwords."""
    login, query = _split_at_query(str.__str__(url))
    match = _LOGIN.match(login)
    if match:
        rest = "@" + login[match.end() :] if match["known"] else ""
        login = f"{match[1]}:{_MASK}{rest}"
    return login + _OPTION.sub(rf"\1{_MASK}", query)


def _split_at_query(url: str) -> tuple[str, str]:
    """Split a URL into the part before the query, and the query."""
    # A question mark before the first @ may be part of the password.
    login = _LOGIN.match(url)
    query = _QUERY.search(url, max(url.find("@", login.end(1)), 0) if login else 0)
    return (url, "") if query is None else (url[: query.start()], url[query.start() :])


def mask_passwords_in(text: str, url: str) -> str:
    """Return a text with the passwords of a URL masked."""
    # Longest first: a password may contain another as a part.
    for secret in sorted(find_passwords(url), key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return text


def find_passwords(url: str) -> set[str]:
    """Return the passwords of a URL, both as written and URL-decoded.

    Some drivers end a password at an ``@`` that is not encoded, so parts count too.
    """
    login, query = _split_at_query(str.__str__(url))
    match = _LOGIN.match(login)
    found = []
    if match:
        password = match["known"] or match["likely"]
        found = [password, *password.split("@")]
    found += [option[2] for option in _OPTION.finditer(query)]
    return {
        text
        for secret in found
        for text in (secret, unquote(secret), unquote_plus(secret))
        if text and text != _MASK
    }


def mask_and_remember(url: str) -> str:
    """Return a masked URL, which ``unmask`` reverses within this process."""
    hidden = mask_passwords(url)
    _unmasked_urls[hidden] = str.__str__(url)
    return hidden


def unmask(url: str) -> str:
    """Return the complete URL of a masked one, if this process has masked it."""
    url = str.__str__(url)
    return _unmasked_urls.get(url, url)


def is_masked(url: str) -> bool:
    """Check whether a URL has lost its password."""
    return _MASK in url and mask_passwords(url) == url


def storage_url(storage) -> str:
    """Return the URL or file name of a storage; an empty string if it has none."""
    if isinstance(storage, str | os.PathLike):
        return str.__str__(os.fspath(storage))
    return getattr(storage, "url", "")


def storage_without_passwords(storage):
    """Return a storage without passwords, for a pickle.

    An Optuna storage whose URL holds a password is replaced by the masked URL.
    """
    if storage is None or not find_passwords(storage_url(storage)):
        return storage
    return mask_and_remember(storage_url(storage))
