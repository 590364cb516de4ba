"""Reads JSON bodies of the chat and control interfaces."""

import json
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

Body = TypeVar("Body", bound=BaseModel)


async def read(request: web.Request, model: type[Body]) -> Body:
    """The body as `model`; raises HTTPUnprocessableEntity with a sentence that names the fields."""
    try:
        return model.model_validate_json(await request.read() or b"{}")
    except ValidationError as exc:
        details = [
            {"field": ".".join(map(str, error["loc"])), "message": error["msg"]}
            for error in exc.errors(include_url=False, include_input=False, include_context=False)
        ]
        body = {"code": "invalid", "message": "The body is not as expected.", "details": details}
        raise web.HTTPUnprocessableEntity(text=json.dumps(body), content_type="application/json") from exc
