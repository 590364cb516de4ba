"""Markdown to entities: what a reader sees is what the model meant."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tg_bot.src.utils.markdown import MAX_ENTITIES, Part, render
from tg_bot.src.utils.split import MESSAGE_LIMIT, utf16_length


def one(text: str) -> Part:
    (part,) = render(text)
    return part


def marked(part: Part, kind: str) -> list[str]:
    """The stretches of the text that carry an entity of this type."""
    units = part.text.encode("utf-16-le")
    return [
        units[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])].decode("utf-16-le")
        for entity in part.entities
        if entity["type"] == kind
    ]


def test_emphasis_code_and_links_become_entities():
    part = one("**жир** 😀 *курсив* `код` [сайт](https://e.com/a_(b))")
    assert part.text == "жир 😀 курсив код сайт"
    assert (marked(part, "bold"), marked(part, "italic"), marked(part, "code")) == (
        ["жир"],
        ["курсив"],
        ["код"],
    )
    assert marked(part, "text_link") == ["сайт"]


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("2*3*4 = 24, **so** there", "2*3*4 = 24, so there"),
        ("use <b>bold</b> and *it*", "use <b>bold</b> and it"),
        ("if a<b and b>c then `x`", "if a<b and b>c then x"),
        ("between $5 and $6, *not* more", "between $5 and $6, not more"),
        ("`2*3*4 <b> $HOME`", "2*3*4 <b> $HOME"),
        ("# Title\ntext", "Title\ntext"),
        ("- a\n- b **c**", "• a\n• b c"),
        ("\ufdd0 *a*", "a"),
    ],
)
def test_what_is_no_markup_stays_text(markdown, text):
    assert one(markdown).text.strip() == text.strip()


@pytest.mark.parametrize(
    ("markdown", "bold"),
    [
        ("**标签：**正文", "标签："),
        ("**«слово»**текст", "«слово»"),
        ("текст**«слово»**", "«слово»"),
        ("中文**「词」**中文", "「词」"),
        ("**Вывод:**да", "Вывод:"),
        ("**Готово ✅**текст", "Готово ✅"),
        ("__标签：__正文", "标签："),
        ("😀 **«а»**б", "«а»"),
        ("> **标签：**正文", "标签："),
        ("**«_слово_»**текст", "«слово»"),
        ("***标签：***正文", "标签："),
    ],
)
def test_marks_beside_punctuation_are_marks(markdown, bold):
    part = one(markdown)
    assert marked(part, "bold") == [bold]
    assert not set("*_>") & set(part.text)


@pytest.mark.parametrize(
    ("markdown", "kind", "stretch"),
    [
        ("*标签：*正文", "italic", "标签："),
        ("_«слово»_текст", "italic", "«слово»"),
        ("~~标签：~~正文", "strikethrough", "标签："),
        ("这是*重点*内容", "italic", "重点"),
        ("*курсив*ом", "italic", "курсив"),
        ("ответ: ||секрет||!", "spoiler", "секрет"),
        ("||**标签：**正文||", "spoiler", "标签：正文"),
    ],
)
def test_other_marks_beside_letters(markdown, kind, stretch):
    assert marked(one(markdown), kind) == [stretch]


@pytest.mark.parametrize(
    "text",
    [
        "In JS use a || b || c",
        "a||b||c",
        "if (a||b) && (c||d)",
        "|| a || b ||",
        "2**(3)**4 = **x",
        "x ||y",
        "f[i](x) = [i]",
        "[Ответ]: да *нет",
        "Sources:\n[1]: https://e.com",
        "between $5 and $10 or 20$-30$, $HOME/$USER, $20-30$",
        "5. *c\n7. d\n6. e",
        "7. *c\n1. d\n2. e",
        "1. *a\n2. b\nthen\n1. c\n2. d",
        "1 < 2 || x<y>z",
        "https://e.com/_a_?x=*1*&y=||b||, https://e.com/__init__.py.",
    ],
)
def test_signs_that_mark_nothing_arrive(text):
    assert (one(text).text.strip(), one(text).entities) == (text, ())


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("1. a\n   1. x\n   2. y\n2. b\n   1. **z**", "1. a\n  1. x\n  2. y\n2. b\n  1. z"),
        ("- a\n  1. x\n  2. y\n- b\n  1. **z**", "• a\n  1. x\n  2. y\n• b\n  1. z"),
        ("1. a\n1. b\n1. **c**", "1. a\n2. b\n3. c"),
        ("1. a\n2. b\n\nThen:\n\n1. **c**\n   - d", "1. a\n2. b\n\nThen:\n\n1. c\n  • d"),
    ],
)
def test_lists_are_still_lists(markdown, text):
    assert one(markdown).text.strip() == text


def test_an_empty_cell_of_a_table_is_no_spoiler():
    part = one("| a || c |\n|---|---|---|\n| 1 || 3 |")
    assert part.text == "a |  | c\n--+--+--\n1 |  | 3"


def test_cells_beyond_the_head_arrive():
    part = one("| a | b |\n|---|---|\n| 1 | 2 | 3 |\n4 | 5")
    assert part.text.splitlines()[2:] == ["1 | 2 | 3", "4 | 5    "]


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        (r"\[ \frac{a}{b} \]", "(a/b)"),
        (r"\(\frac{a+b}{2c}\)", "((a+b)/(2c))"),
        (r"$$x = \frac{-b \pm \sqrt{b^2-4ac}}{2a}$$", "x = ((-b ± √(b²-4ac))/(2a))"),
        (r"$E = mc^2$, $a_1$ и $x$", "E = mc², a₁ и x"),
        (r"\[\sum_{i=1}^{n} i\]", "∑ᵢ₌₁ⁿ i"),
        (r"\(\alpha \leq \beta \to \infty\)", "α ≤ β → ∞"),
        (r"\(\sqrt[3]{x} \cdot \sqrt{2}\)", "∛x ⋅ √2"),
        (r"\(\text{Скорость} = \dfrac{S}{t}\)", "Скорость = (S/t)"),
        (r"\(a*b*c < d_1 | e\) *да*", "a*b*c < d₁ | e да"),
        (r"\[\begin{pmatrix} a & b \\ c & d \end{pmatrix}\]", "(a  b\nc  d)"),
        (r"\(\nosuch{x} + x^2\)", "nosuchx + x²"),
        (r"**$x^2$** **«$x$»**т", "x² «x»т"),
        ("\\begin{equation*}\nx^2\n\\end{equation*}", "x²"),
        (r"Итого \boxed{42}", "Итого [42]"),
        (r"\$5 and \$10", "$5 and $10"),
        # not formulas
        (r"\(see below\) \[1\] \[x\] \[ \frac{a \]", r"(see below) [1] [x] [ \frac{a ]"),
        (r"`$x^2$ \(x^2\)`", r"$x^2$ \(x^2\)"),
        ("```\n$x^2$ a || b || c **标签：**正文\n```", "$x^2$ a || b || c **标签：**正文"),
    ],
)
def test_formulas_are_told_in_plain_text(markdown, text):
    assert one(markdown).text == text


def test_marks_around_an_address_are_marks():
    part = one("**https://e.com/a_b_c** [x](https://e.com/_y_) <https://e.com/*z*>")
    assert part.text == "https://e.com/a_b_c x https://e.com/*z*"
    assert marked(part, "bold") == ["https://e.com/a_b_c"]
    assert [entity.get("url") for entity in part.entities[1:]] == ["https://e.com/_y_", "https://e.com/*z*"]


def test_a_task_that_is_not_done_has_an_empty_box():
    assert one("- [ ] a\n- [x] b").text == "☐ a\n✅ b\n"


def test_a_heading_is_bold_without_an_emoji():
    part = one("## Plan **b**")
    assert part.text.strip() == "Plan b"
    assert "Plan b" in marked(part, "bold")


def test_code_blocks_keep_their_language_and_content():
    part = one("```python\nif a < b: print('*x*')\n```")
    assert marked(part, "pre") == ["if a < b: print('*x*')"]
    assert part.entities[0]["language"] == "python"


@pytest.mark.parametrize(
    "plain", ["Hello, world! 2 + 2 = 4.", "a_b", "1. one\n2. two", "  indented\n\n\nfar"]
)
def test_plain_text_is_not_touched(plain):
    assert one(plain).text == plain.strip()


def test_a_notice_is_never_markdown():
    assert render("**as** `it` is", markdown=False) == [Part("**as** `it` is")]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "/relative", "note"])
def test_links_that_telegram_cannot_open_are_text(url):
    part = one(f"*see* [there]({url})")
    assert part.text == "see there"
    assert marked(part, "text_link") == []


def test_what_renders_to_nothing_is_sent_as_it_stands():
    assert render("[](http://x.y)") == [Part("[](http://x.y)")]
    assert render(" \n ") == []


def test_a_table_that_grows_beyond_a_message_is_split_further():
    rows = "\n".join(f"| {'x' * 200 if row == 0 else row} | b |" for row in range(200))
    parts = render(f"| a | b |\n|---|---|\n{rows}")
    assert len(parts) > 1
    assert all(utf16_length(part.text) <= MESSAGE_LIMIT for part in parts)


def test_a_message_has_no_more_entities_than_telegram_reads():
    parts = render("**b** " * 500)
    assert sum(len(part.entities) for part in parts) == 500
    assert all(len(part.entities) <= MAX_ENTITIES for part in parts)


@given(
    st.lists(
        st.sampled_from(
            ["слово", "word", "字", "7", "x1", "😀", " ", "  ", "\n", "\n\n", "\n- ", "\n# ", "\n> ", "1. "]
        )
        | st.sampled_from(
            ["*", "**", "***", "_", "__", "~~", "||", "|", "`", "$", "$$", "<", ">", "[", "]", "("]
        )
        | st.sampled_from(
            [")", "«", "»", "：", ":", ".", "!", "\\", "\\(", "\\)", "\\[", "\\]", "=", "+", "^", "{", "}"]
        ),
        max_size=40,
    ).map("".join)
)
@example("**«7»**7 ||字||")
def test_no_letter_or_digit_is_lost(text):
    shown = unicodedata.normalize("NFKC", "".join(part.text for part in render(text)))
    assert [one for one in shown if one.isalnum()] == [one for one in text if one.isalnum()]


@given(st.text(st.sampled_from("ab 😀*_`~#[]()<>|$\\\n-+=!&;1.:/\"'"), max_size=300))
def test_any_markdown_gives_valid_parts(text):
    for part in render(text):
        length = utf16_length(part.text)
        assert part.text.strip()
        assert length <= MESSAGE_LIMIT
        assert all(
            0 <= entity["offset"] < entity["offset"] + entity["length"] <= length for entity in part.entities
        )


@given(st.text(max_size=300))
def test_rendering_is_the_same_every_time(text):
    assert render(text) == render(text)


@pytest.mark.parametrize(
    "markdown",
    [
        "[pay](tg://resolve?domain=thief)",
        "[pay](TG://user?id=1)",
        "[pay](ton://transfer/EQ)",
        "tap tg://proxy?server=x now",
        "**tap** tg://proxy?server=x",
        "<tg://user?id=5>",
        "tap ton://transfer/EQ",
    ],
)
def test_a_model_cannot_make_links_into_telegrams_apps(markdown):
    part = one(markdown)
    assert marked(part, "text_link") == []
    assert "tg://" not in part.text.lower()
    assert "ton://" not in part.text


def test_other_addresses_stay_as_they_are():
    part = one("see https://e.com/tg:8080 or [us](https://t.me/us), ratio tg:1")
    assert part.text == "see https://e.com/tg:8080 or us, ratio tg:1"
    assert marked(part, "text_link") == ["us"]


def test_a_flood_of_mentions_calls_nobody():
    names = [f"person_{number}" for number in range(6)]
    few, many = " ".join(f"@{name}" for name in names[:5]), " ".join(f"@{name}" for name in names)
    assert one(f"ask {few}").text == f"ask {few}"
    part = one(f"**ask** {many} 😀 *it*")
    assert "@" not in part.text
    assert all(name in part.text for name in names)
    assert (marked(part, "bold"), marked(part, "italic")) == (["ask"], ["it"])


def test_a_flood_of_mentions_over_several_messages_calls_nobody():
    parts = render("\n\n".join(f"@person_{number} " + "word " * 400 for number in range(8)))
    assert len(parts) > 1
    assert not any("@" in part.text for part in parts)


def test_code_is_left_alone():
    code = "\n".join(f"@decorator_{number}" for number in range(9)) + "\ntg://resolve"
    part = one(f"😀 decorate, mail a@example.com:\n```python\n{code}\n```\n`tg://x` tg://y")
    assert marked(part, "pre") == [code]
    assert marked(part, "code") == ["tg://x"]
    assert part.text.endswith("tg\uff1a//y")
    assert "a@example.com" in part.text
