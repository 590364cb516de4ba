"""Refusals in Telegram's words (texts as the Bot API server and TDLib write them)."""


class BotApiError(Exception):
    """A call is refused: `{"ok": false, "error_code", "description", "parameters"}`."""

    def __init__(self, code: int, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after


class BadRequestError(BotApiError):
    """400; `reason` begins with a small letter, as Telegram's do."""

    def __init__(self, reason: str) -> None:
        super().__init__(400, f"Bad Request: {reason}")


class ConflictError(BotApiError):
    """409: somebody else gets this bot's updates."""

    def __init__(self, reason: str) -> None:
        super().__init__(409, f"Conflict: {reason}")
