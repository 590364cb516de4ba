"""Google's side of the link flow.

OAuth 2.0 authorization code flow with PKCE (RFC 7636, S256). The verifier is made here and handed back
to be stored beside the state: a flow that is built anew in the callback has none of its own, and Google
refuses the exchange without it.
"""

import secrets
from dataclasses import dataclass

from google_auth_oauthlib.flow import Flow

from ..config.settings import GoogleSettings
from .errors import NotConfiguredError


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent page, and the secret that its callback needs."""

    auth_url: str
    code_verifier: str


class GoogleCalendarService:
    """Requests to Google, for any user."""

    SCOPES = (
        "https://www.googleapis.com/auth/calendar.events",
        "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
        "https://www.googleapis.com/auth/calendar.freebusy",
    )
    """Events, the names of the calendars, free and busy times, and no more (docs/adr/0009)."""

    def __init__(self, settings: GoogleSettings) -> None:
        self._settings = settings

    def get_auth_url(self, state: str) -> Consent:
        """The consent page whose callback will carry `state`.

        `access_type=offline` and `prompt=consent` because Google gives a refresh token only then.

        Raises:
            NotConfiguredError: the OAuth client is not set.
        """
        # 86 characters; RFC 7636 allows 43 to 128
        verifier = secrets.token_urlsafe(64)
        url, _ = self._flow(verifier).authorization_url(state=state, access_type="offline", prompt="consent")
        return Consent(auth_url=url, code_verifier=verifier)

    def _flow(self, code_verifier: str) -> Flow:
        settings = self._settings
        if not settings.google_client_id or not settings.google_client_secret:
            raise NotConfiguredError
        client = {
            "client_id": settings.google_client_id,
            "client_secret": settings.google_client_secret.get_secret_value(),
            "auth_uri": settings.google_auth_url,
            "token_uri": settings.google_token_url,
        }
        return Flow.from_client_config(
            {"web": client},
            scopes=list(self.SCOPES),
            redirect_uri=settings.google_redirect_uri,
            code_verifier=code_verifier,
        )
