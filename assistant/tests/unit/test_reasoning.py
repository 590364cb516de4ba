"""Reasoning that a server leaves in the answer is not for people; what an answer says about the marks is."""

import pytest

from assistant.src.core.wire import text_collector
from assistant.src.core.wire.reasoning import remove_reasoning
from assistant.src.core.wire.text_collector import TextCollector

FENCED = "Write:\n```xml\n<think>\nlike this\n</think>\n```\nand go on."
HARMONY = (
    "<|channel|>analysis<|message|>User says hi.<|end|>"
    "<|start|>assistant<|channel|>final<|message|>Hello!<|return|>"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<think>Hm</think>\n\nHello!", "Hello!"),
        ("  \n<think>\nHm\n</think>\n\nHello!", "Hello!"),
        ("<THINKING>Hm</THINKING>Hello!", "Hello!"),
        ("<thinking>Hm</thinking>Hello!", "Hello!"),
        ("<think >Hm</think >Hello!", "Hello!"),
        ("<reasoning>Hm</reasoning>\nHello!", "Hello!"),
        ("<thought>Hm</thought>Hello!", "Hello!"),
        ("[THINK]Hm[/THINK]Hello!", "Hello!"),
        ("◁think▷Hm◁/think▷Hello!", "Hello!"),
        ("<|begin_of_thought|>Hm<|end_of_thought|>Hello!", "Hello!"),
        ("<|START_THINKING|>Hm<|END_THINKING|>Hello!", "Hello!"),
        ("<|channel>thought\nHm<channel|>Hello!", "Hello!"),
        ("User says hi.\n</think>\n\nHello!", "Hello!"),
        ("User says hi.\n[/THINK]Hello!", "Hello!"),
        ("User says `hi.\n</think>\n\nHello `you`!", "Hello `you`!"),
        ("<think>one</think>\n<think>two</think>\nHello!", "Hello!"),
        ("Sure. <think>Hm</think>Hello!", "Sure. Hello!"),
        ("<think>about `</think>` and so on</think>Hello!", "Hello!"),
        ("<think>it said `</think>`: Hello!", "`: Hello!"),
        ("<think>never closed", ""),
        ("Hello!\n<think>never closed", "Hello!\n"),
        ("<think>Hm</think><answer>Hello!</answer>", "Hello!"),
        (HARMONY, "Hello!"),
        (HARMONY.removesuffix("<|return|>"), "Hello!"),
        (HARMONY.removeprefix("<|channel|>"), "Hello!"),
        ("<|start|>assistant" + HARMONY, "Hello!"),
        ("<|channel|>analysis<|message|>only that", ""),
        ("<|channel|>commentary to=functions.t <|constrain|>json<|message|>{}<|call|>", ""),
        ("analysisUser says hi.assistantfinalHello!", "Hello!"),
        ('<think id="1">Hm</think>Hello!', "Hello!"),
        ("<longcat_think>Hm</longcat_think>Hello!", "Hello!"),
        ("<scratchpad>Hm</scratchpad>\nHello!", "Hello!"),
        ("<unused94>thought\nHm<unused95>Hello!", "Hello!"),
        ("<|thinking|>Hm<|/thinking|>Hello!", "Hello!"),
        ("<｜begin▁of▁thinking｜>Hm<｜end▁of▁thinking｜>Hello!", "Hello!"),
        ("<think>Hm</think><|begin_of_box|>Hello!<|end_of_box|>", "Hello!"),
        ("Hello!<|im_end|>", "Hello!"),
        ("Hello!\n<|eot_id|>\n", "Hello!"),
        ("Hello!</s>", "Hello!"),
        ("Hello!<end_of_turn>\n<start_of_turn>user\nHow are you?", "Hello!"),
        ("<|im_start|>assistant\nHello!<|im_end|>\n<|im_start|>user\nBye", "Hello!"),
        ("Hello!<｜end▁of▁sentence｜>", "Hello!"),
    ],
)
def test_reasoning_is_taken_out(text, shown):
    assert remove_reasoning(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "1 < 2, [1] and ◁",
        "The tag `<think>` begins it and `</think>` ends it.",
        "Put it between ``<think>`` and ``</think>``",
        "The <think> tag begins it.",
        "`<|channel|>final<|message|>` is Harmony.",
        "ChatML ends a turn with <|im_end|> as `<|im_end|>` shows.",
        "The price is <s>10</s>",
        "In `<|begin_of_box|>` stands what GLM answers.",
        FENCED,
        "Write [link](https://example.org) and <b>bold</b>",
    ],
)
def test_what_an_answer_says_stays(text):
    assert remove_reasoning(text) == text
    assert remove_reasoning("<think>Hm `</think>` hm</think>\n" + text) == text


@pytest.mark.parametrize(
    "text", ["<think>Hm</think>\nHello!", "[THINK]Hm[/THINK]Hello!", HARMONY, "<|start|>assistant" + HARMONY]
)
def test_no_piece_of_it_is_shown_while_it_arrives(text):
    growing, told = TextCollector(), list[str]()
    for letter in text:
        growing.add(letter)
        growing.show(told.append)
    assert told == [text for text in ("H", "He", "Hel", "Hell", "Hello", "Hello!") if text in told]
    assert growing.text() == "Hello!"


def test_an_emoji_cut_in_two_is_joined_and_half_of_one_is_replaced():
    growing, told = TextCollector(), list[str]()
    for piece in ("a", "\ud83d", "\ude00", "b\ud83d", "c"):
        growing.add(piece)
        growing.show(told.append)
    assert told == ["a", "a\U0001f600", "a\U0001f600b", "a\U0001f600b\ufffdc"]
    assert growing.text() == "a\U0001f600b\ufffdc"


def test_what_is_told_grows_with_the_text_and_not_with_its_square():
    growing, told = TextCollector(), list[int]()
    for _ in range(100_000):
        growing.add("x")
        growing.show(lambda text: told.append(len(text)))
    assert told[:64] == list(range(1, 65))
    assert sum(told) < 100 * growing.size
    assert max(told) <= text_collector.SHOWN
    assert len(growing.text()) == growing.size


@pytest.mark.parametrize(
    "text",
    [
        "<think>" * 50_000,
        "a <think>" * 50_000,
        "`<think>` <think> " * 30_000,
        "<think>`</think>`" * 30_000,
        "".join("`" * (n % 700) + "x" for n in range(1500)),
        "<|channel|>" * 50_000,
        "`<|im_end|>` <|im_end|> " * 25_000,
        "</s>  " * 80_000,
        "<think a=" * 50_000,
        "analysis" + "assistant commentary" * 30_000,
    ],
    ids=lambda text: text[:12],
)
def test_whatever_a_server_sends_it_is_read_in_time(text):
    """Half a megabyte, of which a search for each mark anew would take minutes."""
    remove_reasoning(text)
