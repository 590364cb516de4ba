import pytest
from pydantic import BaseModel

from service_kit.queue.base import Delivery, Reject, RetryLater
from service_kit.queue.envelope import encode, id_of, short
from service_kit.queue.handler_call import HandlerFailure, Success, call_handler


class Message(BaseModel):
    id: str | int | None = None
    text: str = ""


class WithoutId(BaseModel):
    text: str = ""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message(id="tg:1"), "tg:1"),
        (Message(id=7), "7"),
        (Message(), ""),
        (Message(id=""), ""),
        (WithoutId(), ""),
    ],
)
def test_the_id_of_what_is_enqueued(message, expected):
    assert id_of(message) == expected


def test_what_is_enqueued_leaves_out_what_is_not_set():
    assert encode(Message(text="Привет")) == '{"text":"Привет"}'.encode()


def test_long_names_differ_when_their_ends_differ():
    assert short("x" * 256) == "x" * 256
    assert short("x" * 257) != short("x" * 258)


DELIVERY = Delivery(b"{}", "id", "1")


async def test_a_handlers_reasons_are_short_and_tell_no_secret():
    async def handler(delivery: Delivery):
        raise RuntimeError("Bearer abcdefghijklmnop " + "x" * 1000)

    failed = await call_handler(handler, DELIVERY, 1)
    assert isinstance(failed, HandlerFailure)
    assert failed.reason.startswith("RuntimeError: Bearer ***")
    assert len(failed.reason) == 500
    assert isinstance(failed.error, RuntimeError)


async def test_what_a_handler_may_say():
    async def handler(delivery: Delivery):
        match delivery.id:
            case "reply":
                return [Message(id="r", text="hi")]
            case "reject":
                raise Reject("no such user")
            case _:
                raise RetryLater("busy", delay=3)

    async def outcome(name):
        return await call_handler(handler, Delivery(b"{}", name, "1"), 1)

    assert await outcome("reply") == Success([b'{"id":"r","text":"hi"}'])
    assert await outcome("reject") == HandlerFailure("no such user", final=True)
    assert await outcome("retry") == HandlerFailure("busy", delay=3, is_wait=True)


async def test_a_timeout_of_the_handlers_own_is_not_the_queues():
    async def handler(delivery: Delivery):
        raise TimeoutError("the model did not answer")

    failed = await call_handler(handler, DELIVERY, 1)
    assert isinstance(failed, HandlerFailure)
    assert failed.reason == "TimeoutError: the model did not answer"
