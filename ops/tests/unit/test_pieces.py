"""Small parts: ports, terminal styles, log following, progress, the environments' bookkeeping."""

import io
import json
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops import ansi, lock, ports
from ops.errors import OpsError
from ops.follow import _Tail, print_logs
from ops.progress import Progress
from ops.python_env import PythonEnvs
from ops.shell import Shell


def test_the_program_on_a_port_is_named():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        assert not ports.is_free(port)
        assert "(pid " in str(ports.owner(port))
    assert ports.is_free(port)
    assert ports.owner(port) is None


def test_the_port_of_a_server_that_was_just_stopped_is_free():
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            connection, _ = server.accept()
            connection.close()  # the side that closes first keeps the port for a while
            assert client.recv(1) == b""
    assert ports.is_free(port)


def test_entities_count_utf16_units():
    text = "😀 bold"
    assert ansi.render(text, [{"type": "bold", "offset": 3, "length": 4}]) == "😀 \x1b[1mbold\x1b[0m"


def test_a_link_shows_where_it_leads():
    entity = {"type": "text_link", "offset": 0, "length": 4, "url": "https://example.org"}
    assert ansi.render("here!", [entity]).endswith("here\x1b[0m (https://example.org)!")


ENTITIES = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["bold", "italic", "code", "unknown"]),
            "offset": st.integers(0, 40),
            "length": st.integers(1, 40),
        }
    ),
    max_size=5,
)


@given(st.text(st.characters(codec="utf-8"), max_size=40).map(ansi.safe), ENTITIES)
def test_styles_never_change_the_text(text: str, entities: list[dict[str, object]]):
    shown = ansi.render(text, entities)
    for style in [*ansi.STYLES.values(), ansi.RESET]:
        shown = shown.replace(style, "")
    split_inside_a_pair = "\ufffd" in shown and "\ufffd" not in text
    assert shown == text or split_inside_a_pair


@given(st.text(st.characters(codec="utf-8")))
def test_no_answer_can_steer_the_terminal(text: str):
    assert not set(ansi.safe(text)) & {"\x1b", "\r", "\b", "\x9b", "\x7f", "\a"}


def test_the_ends_of_the_logs_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("a", "long"):
        (tmp_path / f"{name}.log").write_text("".join(f"{name} {number}\n" for number in range(5)))
    print_logs([tmp_path / "a.log", tmp_path / "long.log"], follow=False, lines=2)
    assert capsys.readouterr().out.splitlines() == [
        "a    | a 3",
        "a    | a 4",
        "long | long 3",
        "long | long 4",
    ]


def test_following_survives_a_rotation(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "a.log"
    path.write_text("old\n")
    tail = _Tail(path, 1)
    tail.print_last(1)
    path.rename(tmp_path / "a.log.1")
    path.write_text("new\n")
    assert tail.print_new()
    assert not tail.print_new()
    tail.close()
    assert capsys.readouterr().out == "a | old\na | new\n"


def test_progress_off_a_terminal_is_a_line_at_each_end():
    stream = io.StringIO()
    with Progress("Doing", stream) as progress:
        for number in range(100):
            progress.update(str(number))
    first, last = stream.getvalue().splitlines()
    assert first == "Doing…"
    assert last.startswith("Doing: done (")


def envs(root: Path) -> PythonEnvs:
    return PythonEnvs(Shell(root), root / "venv")


def note(root: Path, folder: str, key: str) -> None:
    (root / "venv" / folder / "bin").mkdir(parents=True)
    (root / "venv" / folder / "bin" / "python").symlink_to(sys.executable)
    (root / "venv" / "run.json").write_text(json.dumps({"key": key, "folder": folder}))


def test_an_environment_is_found_only_for_todays_requirements(checkout: Path):
    note(checkout, "run-1", envs(checkout)._key("run"))
    found = envs(checkout).find("run")
    assert found is not None
    assert found.folder.name == "run-1"
    (checkout / "ops" / "requirements.txt").write_text("changed==1")
    assert envs(checkout).find("run") is None
    assert envs(checkout).current("run") == found


def test_an_interrupted_installation_is_never_used_and_tidied(checkout: Path):
    (checkout / "venv" / "run-unfinished").mkdir(parents=True)
    assert envs(checkout).find("run") is None
    note(checkout, "run-good", "key")
    envs(checkout).tidy("run")
    assert sorted(path.name for path in (checkout / "venv").iterdir()) == ["run-good", "run.json"]


def test_a_python_that_cannot_make_environments_says_what_to_install(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    maker = envs(checkout)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(OpsError, match="apt install python3"):
        maker.ensure("run")
    assert maker.find("run") is None


def test_locks_name_no_index():
    command = lock.compile_command(Path("uv"), "ops/requirements.in", "ops/requirements.txt", upgrade=True)
    assert "--no-emit-index-url" in command
    assert "--upgrade" not in command, "a service follows the versions of all"
    assert "--upgrade" in lock.compile_command(Path("uv"), "requirements-dev.in", "x", upgrade=True)
