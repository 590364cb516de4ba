"""A request without what the model's server does not take: learned from its refusals, once a model."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from service_kit.logging import get_logger

from ..errors import FieldRefusedError
from ..model import ModelAnswer
from .provider import Provider
from .request_fields import has_field, without_fields

log = get_logger(__name__)


async def ask_without_refused(
    provider: Provider,
    body: Mapping[str, Any],
    ask: Callable[[Mapping[str, Any]], Awaitable[ModelAnswer]],
) -> ModelAnswer:
    """What `ask` brings for the request, less the fields that are refused; raises what it raises."""
    model = body["model"]
    refused = known = provider.refused_fields.of(model) or frozenset[str]()
    while True:
        asked = without_fields(body, refused) if refused else body
        try:
            answer = await ask(asked)
        except FieldRefusedError as exc:
            field = next((name for name in exc.fields if has_field(asked, name)), None)
            if field is None:
                raise
            refused |= {field}
            reason = str(exc)
            continue
        if refused != known:
            provider.refused_fields.learn(model, refused)
            fields = sorted(refused - known)
            log.warning("fields_left_out", provider=provider.name, model=model, fields=fields, reason=reason)
        return answer
