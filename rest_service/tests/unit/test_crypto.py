import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from rest_service.app.crypto import TokenBox, UnreadableTokenError

PLACE = {"user_id": 7, "column": "access_token"}


def box(*keys):
    return TokenBox(SecretStr(",".join(keys)))


def test_a_token_comes_back_in_its_place_only():
    token_box = box(Fernet.generate_key().decode())
    stored = token_box.encrypt("ya29.secret", **PLACE)
    assert "ya29" not in stored
    assert token_box.decrypt(stored, **PLACE) == "ya29.secret"
    for elsewhere in ({**PLACE, "user_id": 8}, {**PLACE, "column": "refresh_token"}):
        with pytest.raises(UnreadableTokenError, match="another place"):
            token_box.decrypt(stored, **elsewhere)


def test_a_new_key_in_front_still_reads_what_the_old_one_wrote():
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    stored = box(old).encrypt("secret", **PLACE)
    assert box(new, old).decrypt(stored, **PLACE) == "secret"
    with pytest.raises(UnreadableTokenError, match="no key"):
        box(new).decrypt(stored, **PLACE)
