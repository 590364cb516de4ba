"""JSON over HTTP to the suite's own services, with the standard library."""

import json
import urllib.error
import urllib.request
from typing import Any

from ops.errors import OpsError


class HttpError(OpsError):
    """The service answered with an error status; `body` is its JSON, None where there is none."""

    def __init__(self, status: int, text: str, body: Any = None) -> None:  # noqa: ANN401 - JSON
        super().__init__(text)
        self.status = status
        self.body = body


def call(method: str, url: str, body: object = None, *, key: str | None = None, timeout: float = 30) -> Any:  # noqa: ANN401 - JSON
    """The answer's JSON. Raises HttpError for 4xx and 5xx, OpsError where nobody answers."""
    request = urllib.request.Request(  # noqa: S310 - our own http address
        url, method=method, data=None if body is None else json.dumps(body).encode()
    )
    request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot know 127.0.0.1
    try:
        with direct.open(request, timeout=timeout) as answer:
            text = answer.read()
        return json.loads(text) if text else None
    except urllib.error.HTTPError as exc:
        text = exc.read()
        msg = f"{method} {url} answered {exc.code}: {text[:300].decode(errors='replace')}"
        raise HttpError(exc.code, msg, _json(text)) from exc
    except (OSError, ValueError) as exc:
        msg = f"{method} {url}: {exc}"
        raise OpsError(msg) from exc


def _json(text: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except ValueError:
        return None
