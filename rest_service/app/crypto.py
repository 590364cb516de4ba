"""Tokens at rest: encrypted with MultiFernet and bound to the user and the column.

The plain text that is encrypted names its place, so that a ciphertext copied to another user's row, or
from one column to the other, is refused. The first key encrypts, all keys decrypt: to rotate, put a
new key in front and encrypt the rows anew (`rotate`).
"""

import json

from cryptography.fernet import InvalidToken, MultiFernet
from pydantic import SecretStr

from .config import parse_fernet_keys


class UnreadableTokenError(Exception):
    """A stored token cannot be used.

    ├── UnknownKeyError     none of our keys opens it
    └── MisplacedTokenError it was encrypted for another user or column
    """


class UnknownKeyError(UnreadableTokenError):
    """None of our keys opens it."""


class MisplacedTokenError(UnreadableTokenError):
    """It was encrypted for another user or column: somebody has moved it."""


class TokenBox:
    """Encrypts and decrypts the tokens of `calendar_credentials`. Raises ValueError for unusable keys."""

    def __init__(self, keys: SecretStr) -> None:
        fernets = parse_fernet_keys(keys)
        self._first = fernets[0]
        self._fernet = MultiFernet(fernets)

    def encrypt(self, token: str, *, user_id: int, column: str) -> str:
        """`token` as it may be stored in `column` of this user's row."""
        # the place is inside the ciphertext, so that a ciphertext copied elsewhere is recognised
        return self._fernet.encrypt(json.dumps([user_id, column, token]).encode()).decode()

    def decrypt(self, stored: str, *, user_id: int, column: str) -> str:
        """The token.

        Raises:
            UnknownKeyError: no key opens it.
            MisplacedTokenError: it belongs to another place.
        """
        try:
            owner, place, token = json.loads(self._fernet.decrypt(stored))
        except InvalidToken as exc:
            msg = f"no key of CREDENTIALS_ENCRYPTION_KEYS opens the {column} of user {user_id}"
            raise UnknownKeyError(msg) from exc
        if (owner, place) != (user_id, column):
            msg = f"the {column} of user {user_id} was encrypted for another place"
            raise MisplacedTokenError(msg)
        return str(token)

    def is_current(self, stored: str) -> bool:
        """Whether the first key opens it."""
        try:
            # MultiFernet does not tell which of its keys fits
            self._first.decrypt(stored)
        except InvalidToken:
            return False
        return True
