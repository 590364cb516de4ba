import pytest
from pydantic import SecretStr

from rest_service.app.access import SCOPES, Keyring, Role, Scope

ADMIN, SERVICE = SCOPES[Role.ADMIN], SCOPES[Role.SERVICE]
KEYRING = Keyring({Role.ADMIN: SecretStr("admin-kéy"), Role.SERVICE: SecretStr("service-key")})


@pytest.mark.parametrize(
    ("header", "scopes"),
    [
        ("Bearer admin-kéy", ADMIN),
        ("bearer service-key", SERVICE),
        ("Bearer   service-key ", SERVICE),
        ("Bearer service-ke", set()),
        ("Bearer service-key2", set()),
        ("Bearer ", set()),
        ("Bearer", set()),
        ("Basic service-key", set()),
        ("service-key", set()),
        ("", set()),
    ],
)
def test_a_key_opens_its_role_and_nothing_else_does(header, scopes):
    assert KEYRING.scopes(header.encode()) == scopes


def test_bytes_that_are_no_text_open_nothing():
    assert not KEYRING.scopes(b"Bearer \xff\xfe")


def test_what_one_service_is_for_the_common_key_loses_once_that_service_has_its_own():
    assert {role for role in Role if Scope.TOKENS in SCOPES[role]} == {Role.SERVICE, Role.CALENDAR}
    assert {role for role in Role if Scope.MEMBERS in SCOPES[role]} == {
        Role.ADMIN,
        Role.SERVICE,
        Role.TG_BOT,
    }
    for role, scopes in ((Role.CALENDAR, {Scope.TOKENS}), (Role.TG_BOT, {Scope.BOT, Scope.MEMBERS})):
        keyring = Keyring({Role.SERVICE: SecretStr("common"), role: SecretStr("own")})
        assert keyring.scopes(b"Bearer own") == SCOPES[role]
        assert keyring.scopes(b"Bearer common") == SERVICE - scopes


def test_the_services_in_common_reach_as_far_as_each_of_them():
    services = set(Role) - {Role.ADMIN, Role.SERVICE}
    assert frozenset().union(*(SCOPES[role] for role in services)) == SERVICE
    assert Scope.ADMIN not in SERVICE


def test_one_text_given_to_two_roles_opens_what_both_open():
    keyring = Keyring({Role.CRON_SERVICE: SecretStr("same"), Role.ASSISTANT: SecretStr("same")})
    assert keyring.scopes(b"Bearer same") == SCOPES[Role.CRON_SERVICE] | SCOPES[Role.ASSISTANT]
