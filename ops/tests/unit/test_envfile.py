"""`.env`: parsing names the line that is wrong, writing keeps every value, completing loses nothing."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops import envfile
from ops.envfile import EnvFileError, Line, complete, parse, render, values

ANY_VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@given(ANY_VALUE)
def test_whatever_is_rendered_is_read_back(value: str):
    assert values(parse(render("NAME", value))) == {"NAME": value}


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), ANY_VALUE))
def test_a_whole_file_is_read_back(settings: dict[str, str]):
    text = "\n".join(render(name, value) for name, value in settings.items())
    assert values(parse(text)) == settings


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("A = spaced out ", "spaced out"),
        ("export A=x", "x"),
        ("A=x # a comment", "x"),
        ("A=x#no-comment", "x#no-comment"),
        ("A= # only a comment", ""),
        ("A='sp ace # $HOME'", "sp ace # $HOME"),
        ('A="two\\nlines \\"quoted\\""  # why', 'two\nlines "quoted"'),
        ("A=$NOT_EXPANDED", "$NOT_EXPANDED"),
        ("\ufeffA=x\r\n", "x"),
        ("A=x\r", "x"),
        ("\u00a0A\u00a0=\u00a0x\u00a0", "x"),
        ("  export\tA =  x  # a comment", "x"),
        ("A='“quoted”'", "“quoted”"),
        ("A=it’s", "it’s"),
    ],
)
def test_forms_of_a_value(line: str, value: str):
    assert values(parse(line)) == {"A": value}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A=1\nnonsense\n", "line 2: expected NAME=value"),
        ("A=1\n\n# c\n1B=2\n", "line 4: expected NAME=value"),
        ("A=1\nB=2\nA=3", r"line 3: A is set a second time \(first in line 1\)"),
        ("A='open", "line 1: the value of A has an opening ' without"),
        ('A="open', 'line 1: the value of A has an opening " without'),
        *(
            (f"A=1\nB={quoted}", "line 2: the value of B has typographic quotes: write straight ones")
            for quoted in ("“x”", "«x»", "„x“", "‘x’", "’x’", "x” # a comment", "“x y”")
        ),
        ("A=sk-\u200bx", "line 1: the value of A has an invisible character"),
        ("A=\ufeffx", "line 1: the value of A has an invisible character"),
        ("A='x'y", "line 1: the value of A goes on after its closing quote"),
    ],
)
def test_an_error_names_the_line(text: str, problem: str):
    with pytest.raises(EnvFileError, match=problem):
        parse(text)


def test_an_error_never_shows_the_value():
    with pytest.raises(EnvFileError) as caught:
        parse("OPENAI_API_KEY='sk-secret")
    assert "sk-secret" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    with pytest.raises(EnvFileError, match="not UTF-8"):
        envfile.read(tmp_path / ".env")


TEMPLATE = parse("# Head.\n\n# Explains A.\nA=1\n\n# Explains B,\n# at length.\nB=2\nSECRET=\n")


def test_a_missing_variable_comes_with_its_comment():
    lines, made = complete(parse("A=mine # kept\nOWN=x\nSECRET=s"), TEMPLATE, {})
    assert made == ["B"]
    assert [line.text for line in lines] == [
        "A=mine # kept",
        "OWN=x",
        "SECRET=s",
        "",
        "# Explains B,",
        "# at length.",
        "B=2",
    ]


def test_an_empty_secret_is_filled_and_a_given_one_is_not():
    lines, made = complete(parse("A=1\nB=2\nSECRET="), TEMPLATE, {"SECRET": "fresh", "A": "other"})
    assert (values(lines), made) == ({"A": "1", "B": "2", "SECRET": "fresh"}, ["SECRET"])


def test_a_complete_file_is_left_alone():
    lines = parse("B=2\nA=1\nSECRET=s")
    assert complete(lines, TEMPLATE, {"SECRET": "fresh"}) == (lines, [])


def test_the_file_is_for_its_owner_only(tmp_path: Path):
    path = tmp_path / ".env"
    path.write_text("OLD=1")
    path.chmod(0o644)
    envfile.write(path, [Line("NEW=2", "NEW", "2")])
    assert path.read_text() == "NEW=2\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [".env"]


@pytest.mark.parametrize(("before", "mended"), [(0o644, True), (0o640, True), (0o602, True), (0o600, False)])
def test_a_file_that_others_could_read_is_closed(tmp_path: Path, before: int, mended: bool):
    path = tmp_path / ".env"
    path.write_text("SECRET=1")
    path.chmod(before)
    assert envfile.make_private(path) is mended
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_no_copy_of_the_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / ".env"
    path.write_text("OLD=1")

    def refuse(_self: Path, _target: Path) -> Path:
        raise PermissionError

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        envfile.write(path, [Line("SECRET=2", "SECRET", "2")])
    assert [entry.name for entry in tmp_path.iterdir()] == [".env"]
    assert path.read_text() == "OLD=1"


def test_a_link_stays_a_link(tmp_path: Path):
    kept = tmp_path / "elsewhere" / "secrets.env"
    kept.parent.mkdir()
    kept.write_text("OLD=1")
    link = tmp_path / ".env"
    link.symlink_to(kept)
    envfile.write(link, [Line("NEW=2", "NEW", "2")])
    assert link.is_symlink()
    assert kept.read_text() == "NEW=2\n"
    assert [entry.name for entry in kept.parent.iterdir()] == ["secrets.env"]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_named(tmp_path: Path, make: Callable[[Path], None]):
    path = tmp_path / ".env"
    make(path)
    with pytest.raises(EnvFileError, match="is no file"):
        envfile.read(path)


def test_secrets_differ_and_fit_their_use():
    first, second = ({name: make() for name, make in envfile.GENERATORS.items()} for _ in range(2))
    assert all(first[name] != second[name] for name in first)
    assert len(first["CREDENTIALS_ENCRYPTION_KEYS"]) == 44
    assert first["OWNER_CODE"].isalnum()
    assert len(first["OWNER_CODE"]) <= 64
