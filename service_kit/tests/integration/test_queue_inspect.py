import json

import pytest

from service_kit.contracts.messages import IncomingMessage, OutgoingMessage
from service_kit.queue.base import Delivery, Depth, Reject
from service_kit.queue.inspect import main
from service_kit.testing.queue import IN, OUT, RedisBackend, consuming, options, until

pytestmark = pytest.mark.integration


@pytest.fixture
def command(monkeypatch, redis_settings, redis_client, capsys):
    """The command line against the test's Redis: exit code and what it printed."""
    monkeypatch.setenv("REDIS_HOST", redis_settings.redis_host)
    monkeypatch.setenv("REDIS_PORT", str(redis_settings.redis_port))
    monkeypatch.setenv("REDIS_DB", str(redis_settings.redis_db))
    if redis_settings.redis_password:
        monkeypatch.setenv("REDIS_PASSWORD", redis_settings.redis_password.get_secret_value())

    def run(*words):
        code = main(words)
        return code, capsys.readouterr()

    return run


@pytest.fixture
async def backend(redis_settings, redis_client):
    return RedisBackend(redis_settings, redis_client)


async def add_dead_letters(backend, count):
    async def handler(delivery: Delivery):
        raise Reject(f"no {delivery.id}")

    for number in range(count):
        message = IncomingMessage(id=f"tg:{number}", user_id=1, chat_id=1, text="\x1b[31mhi")
        await backend.producer().enqueue(IN, message)
    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.dead == count)


async def dead_ids(backend):
    return [json.loads(letter.raw)["id"] for letter in await backend.dead(IN)]


async def test_depths_of_the_suites_queues_are_json_for_scripts(command):
    code, printed = command("depth", "--json")
    nothing = {"ready": 0, "lanes": 0, "processing": 0, "delayed": 0, "dead": 0}
    assert code == 0
    assert json.loads(printed.out) == {"queue:to_secretary": nothing, "queue:to_telegram": nothing}


async def test_depth_counts_each_place(command, backend, redis_settings):
    await add_dead_letters(backend, 2)
    await backend.push(IN, b"{}")
    _, printed = command("depth", "--json", IN)
    assert json.loads(printed.out)[IN] == {"ready": 1, "lanes": 0, "processing": 0, "delayed": 0, "dead": 2}
    _, printed = command("depth", IN)
    assert printed.out == f"{IN}: ready 1  lanes 0  processing 0  delayed 0  dead 2\n"


async def test_dead_letters_are_listed_without_control_characters(command, backend):
    await add_dead_letters(backend, 3)
    code, printed = command("dead", "list", IN, "--limit", "2")
    assert code == 0
    assert "no tg:1" in printed.out
    assert "no tg:2" in printed.out
    assert "no tg:0" not in printed.out
    assert "\x1b" not in printed.out
    _, printed = command("dead", "list", IN, "--json")
    assert [json.loads(line)["index"] for line in printed.out.splitlines()] == [0, 1, 2]
    _, printed = command("dead", "list")
    assert printed.out.count("no dead letters") == 2


async def test_a_requeued_letter_is_served_as_if_new(command, backend):
    await add_dead_letters(backend, 3)
    assert command("dead", "requeue", IN, "1")[0] == 0
    assert await dead_ids(backend) == ["tg:0", "tg:2"]
    attempts = []

    async def handler(delivery: Delivery):
        attempts.append(delivery.attempt)
        return [OutgoingMessage(id=f"{delivery.id}:r0", chat_id=1, text="answer")]

    async with consuming(backend.consumer(options(), handler)) as consumer:
        await until(lambda: consumer.stats.done == 1)
    assert attempts == [0]
    assert [json.loads(raw)["id"] for raw in await backend.messages(OUT)] == ["tg:1:r0"]


async def test_all_letters_go_back_in_order(command, backend):
    await add_dead_letters(backend, 3)
    assert command("dead", "requeue", IN, "--all")[1].out == "requeued: 3\n"
    assert [json.loads(raw)["id"] for raw in await backend.messages(IN)] == ["tg:0", "tg:1", "tg:2"]
    assert await backend.depth(IN) == Depth(3, 0, 0, 0, 0)
    assert command("dead", "requeue", IN, "--all")[1].out == "requeued: 0\n"


async def test_letters_are_dropped_one_or_all(command, backend):
    await add_dead_letters(backend, 3)
    assert command("dead", "drop", IN, "0")[0] == 0
    assert await dead_ids(backend) == ["tg:1", "tg:2"]
    assert command("dead", "drop", IN, "--all")[0] == 0
    assert await backend.depth(IN) == Depth(0, 0, 0, 0, 0)


async def test_poison_can_be_requeued_too(command, backend):
    await backend.push(IN, b"\xff\nnot json")
    async with consuming(backend.consumer(options(), lambda _delivery: None)):
        await until(lambda: backend.dead(IN))
    assert command("dead", "list", IN)[0] == 0
    assert command("dead", "requeue", IN, "0")[0] == 0
    assert await backend.messages(IN) == [b"\xff\nnot json"]


async def test_an_unknown_index_is_an_error_that_says_so(command):
    code, printed = command("dead", "drop", IN, "7")
    assert code == 3
    assert "no dead letter 7" in printed.err


def test_an_absent_redis_is_an_error_in_one_line(command, monkeypatch, capsys):
    monkeypatch.setenv("REDIS_PORT", "1")
    code, printed = command("depth")
    assert code == 1
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["dead", "drop", IN], ["dead", "drop", IN, "-1"], ["dead", "list", "--limit", "0"], []]
)
def test_wrong_words_are_refused(command, words):
    with pytest.raises(SystemExit) as left:
        command(*words)
    assert left.value.code == 2
