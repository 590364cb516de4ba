"""OpenAI in small: Responses and Conversations with their memory, the words put into the model's mouth."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from assistant.src.utils.text import compact_json
from assistant.tests.standin import HttpStandIn, Reply, Request, error

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Says:
    """The model answers with text, or with calls of tools (name, arguments); it may have thought before."""

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    thought: str = ""
    status: str = "completed"
    reason: str | None = None
    failure: tuple[str, str] | None = None
    """Code and message of a failed response."""


Step = Says | Reply | Callable[[Mapping[str, Any]], Says | Reply]


def calls(*wanted: tuple[str, Any], thought: str = "") -> Says:
    return Says(calls=wanted, thought=thought)


class OpenAIStandIn(HttpStandIn):
    """Plays its steps in order and then repeats the last; keeps conversations as OpenAI does."""

    def __init__(self, *steps: Step) -> None:
        super().__init__()
        self.steps = list(steps)
        self.asked: list[dict[str, Any]] = []
        """Bodies of the requests for a response."""
        self.conversations: dict[str, list[Item]] = {}
        self.requests: list[tuple[str, str]] = []
        self.refuses: Callable[[Request], Reply | None] = lambda _request: None
        """Answers in the place of what would be answered."""
        self._numbers = count(1)

    @property
    def url(self) -> str:
        return f"{super().url}/v1"

    def respond(self, request: Request) -> Reply:
        body = json.loads(request.body or b"{}")
        self.requests.append((request.method, request.target))
        if (refusal := self.refuses(request)) is not None:
            return refusal
        match request.method, request.target.removeprefix("/v1").strip("/").split("/"):
            case "POST", ["responses"]:
                return self._response(body)
            case "POST", ["conversations"]:
                name = f"conv_{next(self._numbers)}"
                self.conversations[name] = _few(body.get("items", []))
                return _json({"id": name, "object": "conversation"})
            case "POST", ["conversations", name, "items"] if name in self.conversations:
                self.conversations[name] += _few(body["items"])
                return _json({"object": "list", "data": []})
            case "DELETE", ["conversations", name] if name in self.conversations:
                del self.conversations[name]
                return _json({"id": name, "deleted": True})
            case _:
                return error(404, message="Conversation with id '…' not found.")

    def _response(self, body: dict[str, Any]) -> Reply:
        self.asked.append(body)
        name = body.get("conversation")
        if name is not None and name not in self.conversations:
            return error(404, message=f"Conversation with id '{name}' not found.")
        said = [*self.conversations.get(name or "", []), *body["input"]]
        if (orphan := _orphan(said)) is not None:
            return error(400, message=f"No tool output found for function call {orphan}.")
        step = self.steps[min(len(self.asked), len(self.steps)) - 1]
        if callable(step):
            step = step(body)
        if isinstance(step, Reply):
            return step
        response = self._made(step)
        if name is not None:
            self.conversations[name] = [*said, *response["output"]]
        return stream_of(response, step.text) if body.get("stream") else _json(response)

    def _made(self, step: Says) -> dict[str, Any]:
        output: list[Item] = []
        if step.thought:
            number = next(self._numbers)
            output.append({"type": "reasoning", "id": f"rs_{number}", "encrypted_content": step.thought})
        if step.text:
            content = [{"type": "output_text", "text": step.text, "annotations": []}]
            output.append({"type": "message", "id": "msg_1", "role": "assistant", "content": content})
        for tool, arguments in step.calls:
            number = next(self._numbers)
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            made = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}", "name": tool}
            output.append(made | {"arguments": text, "status": "completed"})
        failure = step.failure and {"code": step.failure[0], "message": step.failure[1]}
        return {
            "id": f"resp_{next(self._numbers)}",
            "object": "response",
            "status": "failed" if failure else step.status,
            "error": failure,
            "incomplete_details": step.reason and {"reason": step.reason},
            "output": output,
            "usage": {
                "input_tokens": 12,
                "output_tokens": 3,
                "input_tokens_details": {"cached_tokens": 8},
            },
        }


def text_of(item: Item) -> str:
    """The words in an item, without the block of time and zone."""
    match item:
        case {"type": "function_call", "name": name}:
            return f"{name}()"
        case {"type": "function_call_output", "output": output}:
            return str(output)
        case {"content": str(text)}:
            return text.rpartition("</context>")[2].strip()
        case _:
            return str(item["content"][0]["text"])


def stream_of(response: Mapping[str, Any], text: str = "", *, last: bool = True) -> Reply:
    """The response as a stream of events; without the `last` one it is cut."""
    body = b"".join(_events(response, text, last=last))
    return Reply(body, headers={"Content-Type": "text/event-stream"})


def _events(response: Mapping[str, Any], text: str, *, last: bool) -> Iterator[bytes]:
    yield _event("response.created", response={**response, "status": "in_progress", "output": []})
    for start in range(0, len(text), 4):
        yield _event("response.output_text.delta", delta=text[start : start + 4])
    for item in response["output"]:
        yield _event("response.output_item.done", item=item)
    if last:
        yield _event(f"response.{response['status']}", response=response)


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {compact_json({'type': kind, **fields})}\n\n".encode()


def _few(items: list[Item]) -> list[Item]:
    assert len(items) <= 20, "at most 20 items in one request"
    return list(items)


def _orphan(items: list[Item]) -> str | None:
    results = {item["call_id"] for item in items if item["type"] == "function_call_output"}
    wanted = (item["call_id"] for item in items if item["type"] == "function_call")
    return next((call_id for call_id in wanted if call_id not in results), None)


def _json(value: Any) -> Reply:
    return Reply(compact_json(value).encode())
