"""URLs of databases that do not show their passwords."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_plus

_HIDDEN = "***"
# user:password@ after the scheme, up to the last @: a password may hold one. Without
# any @ what is not the number of a port may be a password.
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

# URLs by what is shown of them, for copies of a search within this process.
_known: dict[str, str] = {}


class PrivateUrl(str):
    """A URL that is used as it is, and shown and pickled without its password."""

    __slots__ = ()

    def __repr__(self):
        return repr(hide(self))

    def __str__(self):
        return hide(self)

    def __format__(self, spec):
        return format(hide(self), spec)

    def __reduce__(self):
        return str, (remember(self),)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


def private(value):
    """Return a value that hides its password, if it is a URL with one."""
    if not isinstance(value, str) or isinstance(value, PrivateUrl):
        return value
    return value if hide(value) == value else PrivateUrl(value)


def hide(url: str) -> str:
    """Return a URL with ``***`` in the place of passwords."""
    login, query = _split(str.__str__(url))
    match = _LOGIN.match(login)
    if match:
        rest = "@" + login[match.end() :] if match["known"] else ""
        login = f"{match[1]}:{_HIDDEN}{rest}"
    return login + _OPTION.sub(rf"\1{_HIDDEN}", query)


def _split(url: str) -> tuple[str, str]:
    """Return a URL up to its query, and the query."""
    # A question mark before the first @ may belong to the password.
    login = _LOGIN.match(url)
    query = _QUERY.search(url, max(url.find("@", login.end(1)), 0) if login else 0)
    return (url, "") if query is None else (url[: query.start()], url[query.start() :])


def hide_in(text: str, url: str) -> str:
    """Return a text about a URL without the passwords of the URL."""
    for secret in sorted(secrets(url), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


def secrets(url: str) -> set[str]:
    """Return the passwords of a URL, as they are and as they are decoded.

    An ``@`` that is not encoded ends a password for some, so its parts count too.
    """
    login, query = _split(str.__str__(url))
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
        if text and text != _HIDDEN
    }


def remember(url: str) -> str:
    """Return what is shown of a URL, which ``recall`` knows again in this process."""
    hidden = hide(url)
    _known[hidden] = str.__str__(url)
    return hidden


def recall(url: str) -> str:
    """Return the URL itself, if only what is shown of it is left."""
    url = str.__str__(url)
    return _known.get(url, url)


def is_hidden(url: str) -> bool:
    """Say whether a URL has lost its password."""
    return _HIDDEN in url and hide(url) == url
