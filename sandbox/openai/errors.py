"""Refusals in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""

import json

from aiohttp import web

from ..faults import Fault


class ApiError(Exception):
    """A call is refused with `status`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code

    def response(self, headers: dict[str, str] | None = None) -> web.Response:
        """The HTTP answer."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return web.Response(
            status=self.status,
            body=json.dumps({"error": error}, ensure_ascii=False).encode(),
            content_type="application/json",
            headers=headers,
        )


class InvalidRequestError(ApiError):
    """400."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(400, message, param=param, code=code)


LOCKED = "Another process is currently operating on this conversation. Please retry in a few seconds."
_USUAL = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", None, "You do not have access to this model."),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again later."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}
_SENTENCES = {
    "insufficient_quota": "You exceeded your current quota, please check your plan and billing details.",
    "context_length_exceeded": "Your input exceeds the context window of this model.",
    "conversation_locked": LOCKED,
}
"""Of errors that clients know by their code."""


def error_of(fault: Fault) -> web.Response:
    """The answer that a `status` fault gives."""
    kind, code, message = _USUAL.get(
        fault.status, ("server_error", None, "The server had an error while processing your request.")
    )
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    message = fault.description or _SENTENCES.get(fault.code or "", message)
    error = ApiError(fault.status, message, kind=kind, code=fault.code or code)
    return error.response(headers)
