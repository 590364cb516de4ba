"""Each service's user of Redis does its service's work and nothing else; held to a real server."""

import asyncio
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio as aioredis
from pydantic import SecretStr
from redis.exceptions import NoPermissionError, RedisError

from assistant.src.core.providers import cooldown
from assistant.src.core.threads import remote_assistants
from assistant.src.services import usage
from assistant.src.storage import conversation, provider_threads
from google_calendar_service.src.schemas.auth import PendingConsent
from google_calendar_service.src.services.redis_service import RedisService
from ops.embedded import find_binaries, valkey_command, write_valkey_config
from ops.redis_users import SERVICES, password_of, rules
from rest_service.app.announcements import Announcer
from service_kit.changes import ChangeCounters, Topic
from service_kit.contracts.messages import (
    QUEUE_TO_SECRETARY,
    QUEUE_TO_TELEGRAM,
    STREAM_TO_TELEGRAM,
    IncomingMessage,
    OutgoingMessage,
)
from service_kit.contracts.providers import MODEL_PROVIDERS_KEY
from service_kit.contracts.tools import TOOL_TYPES_KEY
from service_kit.queue.base import ConsumerOptions, Delivery, Offset
from service_kit.queue.consumer import RedisConsumer
from service_kit.queue.producer import RedisProducer
from service_kit.redis import connect_blocking
from service_kit.settings import RedisSettings
from service_kit.testing.queue import consuming, until
from service_kit.testing.servers import free_port
from tg_bot.src.services import progress, throttle, user_changes

pytestmark = pytest.mark.integration
VALUES = {"REDIS_PASSWORD": "the operator's", "INPUT_QUEUE": "", "ASSISTANT_OUTPUT_QUEUE": ""}
IN, OUT = QUEUE_TO_SECRETARY, QUEUE_TO_TELEGRAM


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """A server with the rules of the local runtime."""
    port, config = free_port(), tmp_path / "valkey.conf"
    write_valkey_config(config, tmp_path / "data", port, VALUES["REDIS_PASSWORD"], rules(VALUES))
    server = find_binaries(Path(sysconfig.get_paths()["purelib"])).valkey_server
    process = await asyncio.create_subprocess_exec(
        *valkey_command(server, config), stdout=asyncio.subprocess.DEVNULL
    )
    operator = connect_blocking(settings_of(None, port), block=0)
    await until(lambda: answers(operator))
    yield port
    await operator.aclose()
    process.kill()
    await process.wait()


async def answers(client: aioredis.Redis) -> bool:
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False


def settings_of(service: str | None, port: int) -> RedisSettings:
    password = password_of(service, VALUES) if service else VALUES["REDIS_PASSWORD"]
    return RedisSettings(
        redis_host="127.0.0.1", redis_port=port, redis_user=service, redis_password=SecretStr(password)
    )


@asynccontextmanager
async def user(service: str | None, port: int) -> AsyncIterator[aioredis.Redis]:
    client = connect_blocking(settings_of(service, port), block=0)
    try:
        yield client
    finally:
        await client.aclose()


def consumer_options(queue: str, out: str | None, field: str) -> ConsumerOptions:
    return ConsumerOptions(queue=queue, out_queue=out, group_fields=(field,), slot="slot")


async def test_a_message_and_its_reply_pass_through_the_users_of_bot_assistant_and_cron_service(port):
    sent: list[str] = []

    async def reply(delivery: Delivery) -> list[OutgoingMessage]:
        return [OutgoingMessage(id=f"{delivery.id}:r0", chat_id=1, text="answer")]

    async def send(delivery: Delivery) -> list[OutgoingMessage]:
        sent.append(delivery.id)
        return []

    assistant = RedisConsumer(settings_of("assistant", port), consumer_options(IN, OUT, "user_id"), reply)
    bot = RedisConsumer(settings_of("tg_bot", port), consumer_options(OUT, None, "chat_id"), send)
    async with (
        user("tg_bot", port) as tg_bot,
        user("cron_service", port) as cron_service,
        consuming(assistant, bot),
    ):
        message = IncomingMessage(id="tg:1", user_id=1, chat_id=1, text="hello")
        producer = RedisProducer(tg_bot)
        assert await producer.enqueue(IN, message, offset=Offset("tg:offset:1", 2))
        assert await producer.load_offset("tg:offset:1") == 2
        reminder = OutgoingMessage(id="job:1:1", chat_id=2, text="reminder")
        assert await RedisProducer(cron_service).enqueue(OUT, reminder)
        await until(lambda: len(sent) == 2)
    assert set(sent) == {"tg:1:r0", "job:1:1"}


async def test_a_change_is_announced_by_rest_service_and_seen_by_its_readers(port):
    async with user("rest_service", port) as rest, Announcer(rest) as announcer:
        for service in ("assistant", "tg_bot", "cron_service"):
            async with user(service, port) as reader:
                counters = ChangeCounters(reader, *Topic)
                before = await counters.read()
                await announcer.announce([Topic.USERS])
                assert (await counters.read())[Topic.USERS] > before[Topic.USERS]
                with pytest.raises(NoPermissionError):
                    await reader.incr(Topic.USERS)


async def test_a_consent_is_kept_by_the_calendar_service(port):
    async with user("google_calendar_service", port) as redis:
        service, pending = RedisService(redis), PendingConsent(user_id=7, code_verifier="v" * 43)
        await service.ping()
        await service.save_consent("state", pending)
        assert await service.take_consent("state") == pending


CONVERSATION = conversation._Keys.of(1, "a")
KEYS_OF = {
    "assistant": {
        TOOL_TYPES_KEY: "sadd",
        MODEL_PROVIDERS_KEY: "set",
        remote_assistants.KEY: "hset",
        f"{cooldown.PREFIX}key": "set",
        usage.PENDING: "rpush",
        usage.POSTER: "set",
        provider_threads.FORGET: "sadd",
        provider_threads._key(1): "hset",
        CONVERSATION.turns: "rpush",
        CONVERSATION.summary: "set",
        CONVERSATION.runs: "hset",
        CONVERSATION.assistants: "sadd",
    },
    "tg_bot": {
        f"{progress.PREFIX}1": "set",
        f"{throttle.PREFIX}1": "sadd",
        f"{user_changes.PREFIX}1": "hset",
        "tg:poller:1": "set",
    },
}
"""What each keeps besides the queues, by the names in its code."""


@pytest.mark.parametrize("service", KEYS_OF)
async def test_a_service_writes_its_own_keys_and_nobody_elses(port, service):
    async with user(service, port) as redis:
        for key, command in KEYS_OF[service].items():
            values = ("field", "value") if command == "hset" else ("value",)
            await redis.execute_command(command, key, *values)
            await redis.pexpire(key, 1000)
        others = [key for other, keys in KEYS_OF.items() if other != service for key in keys]
        for key in [*others, "google:consent:state", "anything"]:
            with pytest.raises(NoPermissionError):
                await redis.get(key)
            with pytest.raises(NoPermissionError):
                await redis.set(key, "x")


async def test_partial_replies_are_published_by_the_assistant_alone(port):
    for service in SERVICES:
        async with user(service, port) as redis:
            if service == "assistant":
                await redis.publish(STREAM_TO_TELEGRAM, "…")
            with pytest.raises(NoPermissionError):
                await redis.publish("another", "…")


FORBIDDEN = (
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("CONFIG", "GET", "requirepass"),
    ("CONFIG", "SET", "appendonly", "no"),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "default", "nopass"),
    ("CLIENT", "LIST"),
    ("MONITOR",),
    ("SHUTDOWN",),
    ("FUNCTION", "LIST"),
    ("EVAL", "return redis.call('KEYS', '*')", "0"),
    ("EVAL", "return redis.call('GET', 'a key of nobody')", "0"),
)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("command", FORBIDDEN, ids=lambda command: " ".join(command)[:30])
async def test_no_service_may_empty_reconfigure_or_look_around(port, service, command):
    async with user(service, port) as redis:
        with pytest.raises(RedisError, match=r"(?i)no permissions|ACL failure"):
            await redis.execute_command(*command)


@pytest.mark.parametrize("command", [("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("ACL", "LIST")])
async def test_the_operator_sees_everything_and_changes_no_rule(port, command):
    async with user(None, port) as redis:
        await redis.set("anything", 1)
        assert await redis.keys("*") == [b"anything"]
        with pytest.raises(NoPermissionError):
            await redis.execute_command(*command)


async def test_no_services_password_opens_another_user(port):
    for service in SERVICES:
        for other in (None, *SERVICES):
            if other == service:
                continue
            login = settings_of(service, port).model_copy(update={"redis_user": other})
            client = connect_blocking(login, block=0)
            with pytest.raises(RedisError, match=r"WRONGPASS|invalid"):
                await client.ping()
            await client.aclose()


def test_queues_of_other_names_are_reached_too():
    lines = rules({**VALUES, "INPUT_QUEUE": "mine:in", "ASSISTANT_OUTPUT_QUEUE": "mine:out"})
    (assistant,) = [line for line in lines if line.startswith("user assistant ")]
    assert {"~mine:in", "~mine:in:*", "~mine:out", "~mine:out:*"} <= set(assistant.split())
    assert "queue:" not in assistant


def test_the_configuration_holds_no_password_of_a_service_and_binds_this_machine_alone(tmp_path: Path):
    config = tmp_path / "valkey.conf"
    write_valkey_config(config, tmp_path / "data", 1, VALUES["REDIS_PASSWORD"], rules(VALUES))
    text = config.read_text()
    assert "bind 127.0.0.1\n" in text
    assert VALUES["REDIS_PASSWORD"] not in text
    assert not any(password_of(service, VALUES) in text for service in SERVICES)
