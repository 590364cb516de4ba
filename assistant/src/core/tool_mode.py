"""How a model gets its tools, as far as its name tells.

OpenAI's models that reason call functions over Chat Completions under conditions that changed from generation
to generation; over Responses all of them do. Names are read by generation, not listed, so that the next model
needs no release here; what a server says itself is learned besides (`tool_mode_backend`).
"""

import re
from enum import StrEnum

_GPT = re.compile(r"gpt-(\d)(?:\.(\d+))?(?!\d)(?:-([a-z]+))?")
"""Generation and tier. Azure's older `gpt-35-…` does not match: it is not generation 35."""
_LISTED = re.compile(r"o[134](?!\w)")


class ToolMode(StrEnum):
    """The ways, over Chat Completions unless they say otherwise."""

    DEFAULT = "default"
    WITHOUT_REASONING = "without_reasoning"
    """With `reasoning_effort: "none"`; left out it would be another one."""
    RESPONSES = "responses"
    """Over the Responses protocol, where the model may reason too."""
    OMITTED = "omitted"
    """Not at all: the model answers without tools."""


def tool_mode_of(model: str) -> ToolMode:
    """The way for a model of this name, at whatever server.

    Up to 5.5 tools are taken as they are; from 5.6 on only without reasoning; and gpt-6-astra, and from 6.1
    on all but terra, know no `none`.
    """
    name = _GPT.match(model)
    if name is None:
        return ToolMode.DEFAULT
    generation, tier = (int(name[1]), int(name[2] or 0)), name[3]
    if generation < (5, 6):
        return ToolMode.DEFAULT
    if tier == "astra" or (generation >= (6, 1) and tier != "terra"):
        return ToolMode.RESPONSES
    return ToolMode.WITHOUT_REASONING


def is_reasoning_model(model: str) -> bool:
    """Whether a model of this name reasons: then OpenAI refuses a temperature, and `max_tokens`."""
    name = _GPT.match(model)
    return _LISTED.match(model) is not None or (name is not None and int(name[1]) >= 5)
