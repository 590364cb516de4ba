import pytest
from pydantic import SecretStr

from rest_service.app.access import Keyring, Role

KEYRING = Keyring({Role.ADMIN: SecretStr("admin-kéy"), Role.SERVICE: SecretStr("service-key")})


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        ("Bearer admin-kéy", {Role.ADMIN}),
        ("bearer service-key", {Role.SERVICE}),
        ("Bearer   service-key ", {Role.SERVICE}),
        ("Bearer service-ke", set()),
        ("Bearer service-key2", set()),
        ("Bearer ", set()),
        ("Bearer", set()),
        ("Basic service-key", set()),
        ("service-key", set()),
        ("", set()),
    ],
)
def test_a_key_opens_its_role_and_nothing_else_does(header, roles):
    assert KEYRING.roles(header.encode()) == roles


def test_bytes_that_are_no_text_open_nothing():
    assert not KEYRING.roles(b"Bearer \xff\xfe")
