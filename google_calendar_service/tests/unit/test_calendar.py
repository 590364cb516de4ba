import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import pytest

from google_calendar_service.src.config.settings import Settings
from google_calendar_service.src.services.calendar import GoogleCalendarService
from google_calendar_service.src.services.errors import NotConfiguredError


def test_the_consent_page_is_asked_for_offline_access_with_pkce(settings):
    consent = GoogleCalendarService(settings).get_auth_url("the-state")
    address = urlsplit(consent.auth_url)
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    challenge = base64.urlsafe_b64encode(hashlib.sha256(consent.code_verifier.encode()).digest())
    assert f"{address.scheme}://{address.netloc}{address.path}" == settings.google_auth_url
    assert query == {
        "response_type": "code",
        "client_id": "client.apps.googleusercontent.com",
        "redirect_uri": "http://127.0.0.1:8001/auth/callback",
        "scope": "https://www.googleapis.com/auth/calendar.events "
        "https://www.googleapis.com/auth/calendar.calendarlist.readonly "
        "https://www.googleapis.com/auth/calendar.freebusy",
        "state": "the-state",
        "access_type": "offline",
        "prompt": "consent",
        "code_challenge": challenge.decode().rstrip("="),
        "code_challenge_method": "S256",
    }


def test_every_consent_has_a_verifier_of_its_own_within_the_rfcs_bounds(settings):
    service = GoogleCalendarService(settings)
    verifiers = {service.get_auth_url("state").code_verifier for _ in range(20)}
    assert len(verifiers) == 20
    assert all(43 <= len(verifier) <= 128 for verifier in verifiers)  # RFC 7636, section 4.1


def test_the_clients_secret_does_not_travel_through_the_browser(settings):
    assert "GOCSPX" not in GoogleCalendarService(settings).get_auth_url("state").auth_url


@pytest.mark.parametrize("missing", ["google_client_id", "google_client_secret"])
def test_without_a_client_it_says_what_to_put_where(settings, missing):
    without = Settings.model_validate(settings.model_dump() | {missing: None})
    with pytest.raises(NotConfiguredError, match=r"GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET.*\.env"):
        GoogleCalendarService(without).get_auth_url("state")


def test_a_stand_in_over_plain_http_can_be_used(settings, monkeypatch):
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # as main does for such an address
    url = "http://127.0.0.1:8010/google/o/oauth2/auth"
    local = Settings.model_validate(settings.model_dump() | {"google_auth_url": url})
    assert GoogleCalendarService(local).get_auth_url("state").auth_url.startswith(f"{url}?")
