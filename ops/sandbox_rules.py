"""Which parts of the outside world the sandbox plays, and the variables that point services at it.

The rules stand here and nowhere else: whatever has no key in `.env` (nor an address of its own) is pointed
at the sandbox. No service knows that it exists.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

SANDBOX_BOT = 100_000
"""The bot of the sandbox, as the migration of its people knows it."""
SANDBOX_MODEL = "sandbox-demo"
SANDBOX_KEY = "sandbox"


@dataclass(frozen=True)
class SandboxParts:
    """Which parts of the outside world the sandbox plays."""

    telegram: bool
    llm: bool
    google: bool
    weather: bool

    @property
    def any(self) -> bool:
        """Whether the sandbox is needed at all."""
        return self.telegram or self.llm or self.google or self.weather


def find_sandbox_parts(values: Mapping[str, str]) -> SandboxParts:
    """Which parts have neither a key nor an address of their own."""
    telegram = not values.get("TELEGRAM_TOKEN") and not values.get("TELEGRAM_API_URL")
    provider, slash, _ = values.get("OPENAI_DEFAULT_MODEL", "").partition("/")
    elsewhere = slash and provider != "openai"  # such as anthropic/claude-…
    llm = not (values.get("OPENAI_API_KEY") or values.get("OPENAI_BASE_URL") or elsewhere)
    google = not (values.get("GOOGLE_CLIENT_ID") or values.get("GOOGLE_AUTH_URL"))
    weather_given = values.get("WEATHER_API_URL") or values.get("WEATHER_GEOCODING_URL")
    # Open-Meteo needs no key: only a machine that talks to nobody else keeps the weather at home as well.
    return SandboxParts(telegram, llm, google, weather=telegram and llm and not weather_given)


def point_to_sandbox(values: Mapping[str, str], *, inner: str, outer: str) -> dict[str, str]:
    """The variables that point services at the sandbox, for those parts that it plays.

    `inner` is the sandbox's address as the services see it, `outer` as the person's browser does.
    """
    played = find_sandbox_parts(values)
    result: dict[str, str] = {}
    if played.telegram:
        result["TELEGRAM_API_URL"] = f"{inner}/telegram"
    # a Bot API of the operator's own gets a made-up token too: the bot does not start without one
    if not values.get("TELEGRAM_TOKEN"):
        result["TELEGRAM_TOKEN"] = sandbox_token(values)
    if played.llm:
        result |= {
            "OPENAI_BASE_URL": f"{inner}/openai/v1",
            "OPENAI_API_KEY": SANDBOX_KEY,
            "OPENAI_DEFAULT_MODEL": SANDBOX_MODEL,
        }
    if played.google:
        result |= {
            "GOOGLE_CLIENT_ID": SANDBOX_KEY,
            "GOOGLE_CLIENT_SECRET": SANDBOX_KEY,
            # the browser opens this one; the service itself calls the other
            "GOOGLE_AUTH_URL": f"{outer}/google/o/oauth2/auth",
            "GOOGLE_TOKEN_URL": f"{inner}/google/token",
        }
    if played.weather:
        result |= {"WEATHER_API_URL": f"{inner}/weather", "WEATHER_GEOCODING_URL": f"{inner}/weather"}
    return result


def sandbox_token(values: Mapping[str, str]) -> str:
    """The token of the sandbox's bot; nobody else on the machine knows it."""
    return f"{SANDBOX_BOT}:{hashlib.sha256(values.get('SANDBOX_SECRET', '').encode()).hexdigest()[:35]}"
