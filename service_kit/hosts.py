"""The names under which our HTTP ports answer.

A web site can make its own name point to 127.0.0.1 (DNS rebinding). Its page, in a browser on this machine,
could then read our ports as its own. The browser sends that name as Host, so we answer known names only.
"""

from urllib.parse import urlsplit

OWN_NAMES = frozenset(
    {
        "localhost",
        "127.0.0.1",
        "::1",
        # in the network of compose
        "rest_service",
        "google_calendar_service",
        "cron_service",
        "tg_bot",
        "assistant",
        "sandbox",
    }
)
ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - where one may listen, but not a name
REFUSAL = (
    "This port does not answer under this name. Use localhost or 127.0.0.1, or set ALLOWED_HOSTS to the "
    "names that it has."
)


class AllowedHosts:
    """Decides by the Host header. `further` are names beside ours, comma separated."""

    def __init__(self, listening_on: str, further: str = "") -> None:
        names = {_normalize(name) for name in (listening_on, *further.split(","))}
        self._names = OWN_NAMES | (names - ANY_ADDRESS)

    def allow(self, header: str | None) -> bool:
        """Whether to answer. A request without Host does not come from a browser."""
        if header is None:
            return True
        try:
            return _normalize(urlsplit(f"//{header}").hostname or "") in self._names
        except ValueError:
            return False


def _normalize(name: str) -> str:
    return name.strip().strip("[]").rstrip(".").lower()
