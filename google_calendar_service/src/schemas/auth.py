"""Bodies and records of the link flow."""

from pydantic import BaseModel, ConfigDict, Field


class AuthUrl(BaseModel):
    """Where the user goes to give consent."""

    auth_url: str = Field(description="Google's consent page for this user; good for ten minutes, once.")


class PendingConsent(BaseModel):
    """What must be remembered between the consent page and the callback; kept in Redis."""

    model_config = ConfigDict(frozen=True)

    user_id: int
    code_verifier: str
    """PKCE: only whoever has it can turn the callback's code into tokens."""
