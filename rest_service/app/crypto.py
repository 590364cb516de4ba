"""Tokens at rest: encrypted with MultiFernet and bound to the user and the column.

The plain text that is encrypted names its place, so that a ciphertext copied to another user's row, or
from one column to the other, is refused. The first key encrypts, all keys decrypt: to rotate, put a
new key in front.
"""

import json

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from .config import split


class UnreadableTokenError(Exception):
    """A stored token was not encrypted by one of our keys, or not for this place."""


class TokenBox:
    """Encrypts and decrypts the tokens of `calendar_credentials`."""

    def __init__(self, keys: SecretStr) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in split(keys.get_secret_value())])

    def encrypt(self, token: str, *, user_id: int, column: str) -> str:
        """`token` as it may be stored in `column` of this user's row."""
        return self._fernet.encrypt(json.dumps([user_id, column, token]).encode()).decode()

    def decrypt(self, stored: str, *, user_id: int, column: str) -> str:
        """The token.

        Raises:
            UnreadableTokenError: no key fits, or it belongs to another place.
        """
        try:
            owner, place, token = json.loads(self._fernet.decrypt(stored))
        except InvalidToken as exc:
            msg = f"no key of CREDENTIALS_ENCRYPTION_KEYS reads the {column} of user {user_id}"
            raise UnreadableTokenError(msg) from exc
        if (owner, place) != (user_id, column):
            msg = f"the {column} of user {user_id} was encrypted for another place"
            raise UnreadableTokenError(msg)
        return str(token)
