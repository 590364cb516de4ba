"""From a delivery to a message, at the edge."""

from pydantic import ValidationError

from service_kit.contracts.messages import IncomingMessage
from service_kit.queue.base import Delivery, Reject


def parse(delivery: Delivery) -> IncomingMessage:
    """The message in a delivery.

    Raises:
        Reject: it is not a valid message; the reason names the fields, without their values.
    """
    try:
        return IncomingMessage.model_validate_json(delivery.raw)
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in error['loc']) or 'message'}: {error['msg']}"
            for error in exc.errors(include_url=False, include_input=False, include_context=False)
        )
        raise Reject(f"not a valid message: {problems[:500]}") from exc
