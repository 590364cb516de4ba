"""How a model gets its tools, as far as its name tells.

OpenAI's models that reason call functions over Chat Completions under conditions that changed from generation
to generation; over Responses all of them do. Names are read by generation, not listed, so that the next model
needs no release here; what a server says itself is learned besides (`tools_backend`).
"""

import re
from enum import StrEnum

_GPT = re.compile(r"gpt-(\d)(?:\.(\d+))?(?!\d)(?:-([a-z]+))?")
"""Generation and tier. Azure's older `gpt-35-…` is none of a generation 35."""
_LISTED = re.compile(r"o[134](?!\w)")


class ToolsWay(StrEnum):
    """The ways, over Chat Completions unless they say otherwise."""

    AS_USUAL = "as_usual"
    WITHOUT_REASONING = "without_reasoning"
    """With `reasoning_effort: "none"`; left out it would be another one."""
    RESPONSES = "responses"
    """Over the Responses protocol, where the model may reason too."""
    LEFT_OUT = "left_out"
    """Not at all: the model answers without tools."""


def tools_way(model: str) -> ToolsWay:
    """The way for a model of this name, at whatever server.

    Up to 5.5 tools are taken as they are; from 5.6 on only without reasoning; and gpt-6-astra, and from 6.1
    on all but terra, know no `none`.
    """
    name = _GPT.match(model)
    if name is None:
        return ToolsWay.AS_USUAL
    generation, tier = (int(name[1]), int(name[2] or 0)), name[3]
    if generation < (5, 6):
        return ToolsWay.AS_USUAL
    if tier == "astra" or (generation >= (6, 1) and tier != "terra"):
        return ToolsWay.RESPONSES
    return ToolsWay.WITHOUT_REASONING


def reasons(model: str) -> bool:
    """Whether a model of this name reasons: then OpenAI refuses a temperature, and `max_tokens`."""
    name = _GPT.match(model)
    return _LISTED.match(model) is not None or (name is not None and int(name[1]) >= 5)
