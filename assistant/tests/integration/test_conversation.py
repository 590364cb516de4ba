import asyncio
from typing import Any

import pytest
import redis.asyncio as aioredis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio.connection import Connection

from assistant.src.core.model import AssistantMessage, ToolCall, UserMessage
from assistant.src.core.run_context import RunTotals
from assistant.src.storage.conversation import Conversation, ConversationStore, OldestTurns
from assistant.src.storage.summary import SUMMARY_KEY, Summary
from assistant.src.storage.turns import Turn, dump_turn, turn_of
from assistant.src.storage.window import HARD_LIMIT, SHARE_AFTER_COMPACTION

pytestmark = pytest.mark.integration

BUDGET = 1000


@pytest.fixture
def store(redis_client: aioredis.Redis) -> ConversationStore:
    return ConversationStore(redis_client, retention_s=3600)


def turn(number: int, *, size: int = 100) -> Turn:
    """A turn of about `size` tokens."""
    text = f"{number}".ljust(4 * (size - 12), ".")
    return turn_of(f"tg:{number}", f"q{number}", [UserMessage(text), AssistantMessage("ok")])


async def load(store: ConversationStore, user: int = 1, assistant: str = "a") -> Conversation:
    return await store.load(user, assistant, message_id="tg:new", key="tg:new", asked="new")


async def add(store: ConversationStore, *turns: Turn, user: int = 1, assistant: str = "a") -> None:
    for one in turns:
        await store.append(user, assistant, one, before=await load(store, user, assistant), budget=BUDGET)


async def keys(store: ConversationStore, user: int = 1, assistant: str = "a") -> list[str]:
    return [one.key for one in (await load(store, user, assistant)).turns]


async def test_turns_come_back_in_order(store):
    await add(store, turn(1), turn(2))
    past = await load(store)
    assert past.turns == (turn(1), turn(2))
    assert past.find("tg:2", "q2") == turn(2)
    assert past.find("tg:2", "another text") is None
    assert past.find("tg:3", "q3") is None


async def compact(store: ConversationStore, text: str = "notes", keep: int | None = None) -> bool:
    oldest = await store.load_oldest(1, "a", budget=BUDGET, keep=keep)
    assert oldest is not None
    return await store.compact(oldest, Summary(text, len(oldest.turns)))


async def test_what_fell_out_is_replaced_by_its_summary(store):
    turns = [turn(number) for number in range(12)]
    await add(store, *turns)
    oldest = await store.load_oldest(1, "a", budget=BUDGET)
    assert oldest is not None
    assert (oldest.turns, oldest.summary) == (tuple(turns[:6]), None)
    assert await store.compact(oldest, Summary("notes", 6))
    past = await load(store)
    assert (past.turns, past.summary) == (tuple(turns[6:]), Summary("notes", 6))
    assert sum(one.tokens for one in past.turns) <= BUDGET * SHARE_AFTER_COMPACTION
    assert await store.load_oldest(1, "a", budget=BUDGET) is None


async def test_the_next_fold_continues_the_summary(store):
    await add(store, *(turn(number) for number in range(12)))
    assert await compact(store)
    await add(store, *(turn(number) for number in range(12, 18)))
    oldest = await store.load_oldest(1, "a", budget=BUDGET)
    assert oldest is not None
    assert oldest.summary == Summary("notes", 6)
    assert await store.compact(oldest, Summary("more notes", 12))
    assert (await load(store)).summary == Summary("more notes", 12)


async def test_two_replicas_fold_once(store):
    await add(store, *(turn(number) for number in range(12)))
    one = await store.load_oldest(1, "a", budget=BUDGET)
    two = await store.load_oldest(1, "a", budget=BUDGET)
    assert one is not None
    assert two is not None
    outcomes = await asyncio.gather(
        store.compact(one, Summary("one", 6)), store.compact(two, Summary("two", 6))
    )
    assert sorted(outcomes) == [False, True]
    past = await load(store)
    assert len(past.turns) == 6
    assert past.summary == Summary("one" if outcomes[0] else "two", 6)


async def test_turns_that_come_during_a_fold_stay(store):
    await add(store, *(turn(number) for number in range(12)))
    oldest = await store.load_oldest(1, "a", budget=BUDGET)
    await add(store, turn(12))
    assert oldest is not None
    assert await store.compact(oldest, Summary("notes", 6))
    assert await keys(store) == [f"tg:{number}" for number in range(6, 13)]


@pytest.mark.parametrize("after", [0, 1, 12])
async def test_a_fold_brings_nothing_forgotten_back(store, redis_client, after):
    """/new in the middle of a compaction; perhaps the user has written again since."""
    await add(store, *(turn(number) for number in range(12)))
    oldest = await store.load_oldest(1, "a", budget=BUDGET)
    assert oldest is not None
    await store.forget(1)
    await add(store, *(turn(100 + number) for number in range(after)))
    assert not await store.compact(oldest, Summary("notes", 6))
    past = await load(store)
    assert (len(past.turns), past.summary) == (after, None)
    assert not await redis_client.exists("summary:1:a")


async def test_a_fold_does_not_touch_what_was_cut_since(store, redis_client):
    await add(store, *(turn(number) for number in range(12)))
    oldest = await store.load_oldest(1, "a", budget=BUDGET)
    assert oldest is not None
    await redis_client.ltrim("conversation:1:a", 1, -1)
    assert not await store.compact(oldest, Summary("notes", 6))
    assert len(await keys(store)) == 11


async def test_what_a_model_could_not_take_falls_too(store):
    await add(store, turn(1), turn(2), turn(3))
    assert await store.load_oldest(1, "a", budget=BUDGET) is None
    assert await compact(store, keep=1)
    assert await keys(store) == ["tg:3"]
    assert await store.load_oldest(1, "a", budget=BUDGET, keep=1) is None


async def test_without_folds_the_oldest_go_at_the_hard_limit_alone(store):
    lengths: list[int] = []
    for number in range(40):
        await add(store, turn(number))
        lengths.append(len(await keys(store)))
    assert max(lengths) == 10 * HARD_LIMIT
    assert min(lengths[20:]) == 10
    assert (await keys(store))[-1] == "tg:39"


async def test_the_summary_is_shown_first_as_far_as_there_is_room(store):
    await add(store, *(turn(number) for number in range(12)))
    await compact(store)
    past = await load(store)
    assert past.summary is not None
    summary = past.summary.as_turn()
    assert past.window(BUDGET) == (summary, *past.turns)
    assert past.window(summary.tokens + 250) == (summary, *past.turns[-2:])
    assert past.window(summary.tokens - 1) == ()
    assert past.find(SUMMARY_KEY, "") is None


async def test_broken_turns_fall_out_without_a_trace(store, redis_client):
    await redis_client.rpush("conversation:1:a", b"{not json", *(dump_turn(turn(n)) for n in range(12)))
    oldest = await store.load_oldest(1, "a", budget=BUDGET)
    assert oldest is not None
    assert [one.key for one in oldest.turns] == [f"tg:{number}" for number in range(6)]
    assert await store.compact(oldest, Summary("notes", 6))
    assert await keys(store) == [f"tg:{number}" for number in range(6, 12)]


async def test_a_broken_summary_is_none(store, redis_client):
    await add(store, turn(1), turn(2))
    await redis_client.set("summary:1:a", b"{not json")
    assert (await load(store)).summary is None
    assert await compact(store, keep=1)
    assert (await load(store)).summary == Summary("notes", 1)


async def test_a_turn_above_the_budget_is_not_sent_but_known(store):
    await add(store, turn(1), turn(2, size=3 * BUDGET))
    past = await load(store)
    assert past.window(BUDGET) == ()
    assert past.find("tg:2", "q2") is not None


async def test_a_smaller_budget_sees_the_newest(store):
    await add(store, turn(1), turn(2), turn(3))
    assert [one.key for one in (await load(store)).window(220)] == ["tg:2", "tg:3"]


async def test_two_runs_at_once_both_stay(store):
    """One message asks the same sub-assistant twice, side by side; neither has seen the other's turn."""
    await asyncio.gather(
        store.append(1, "a", turn(1), before=Conversation(), budget=BUDGET),
        store.append(1, "a", turn(2), before=Conversation(), budget=BUDGET),
    )
    assert sorted(await keys(store)) == ["tg:1", "tg:2"]


async def test_what_is_broken_is_skipped(store, redis_client):
    await add(store, turn(1))
    await redis_client.rpush("conversation:1:a", b"{not json", b'{"v": 9}')
    await add(store, turn(2))
    assert await keys(store) == ["tg:1", "tg:2"]


async def test_a_run_is_found_again_by_its_message(store):
    begun = (UserMessage("now: 12:00\n\nHi"), AssistantMessage("", (ToolCall("c", "t", "{}"),)))
    journal = store.journal(1, "a", key="tg:7", asked="Hi", begun=(), totals=RunTotals())
    await journal.note(begun)

    async def found(key: str = "tg:7", asked: str = "Hi", user: int = 1, assistant: str = "a") -> int:
        return len((await store.load(user, assistant, message_id="tg:7", key=key, asked=asked)).begun)

    assert await found() == 2
    assert await found(key="tg:7:1") == await found(asked="Ho") == await found(user=2) == 0
    assert await found(assistant="b") == 0
    done = turn_of("tg:7", "Hi", [UserMessage("Hi"), AssistantMessage("done")])
    await store.append(1, "a", done, before=Conversation(), budget=BUDGET)
    assert await found() == 0


async def test_forgetting_takes_all_of_a_user_and_nothing_of_others(store, redis_client):
    await add(store, *(turn(number) for number in range(12)))
    await compact(store)
    await add(store, turn(2), assistant="b")
    await add(store, turn(3), user=11)
    assert await store.forget(1) == 2
    assert sorted(await redis_client.keys("*")) == [b"conversation:11:a", b"conversations:11"]
    assert await keys(store, user=11) == ["tg:3"]
    assert await store.forget(1) == 0


async def test_all_that_is_kept_ends_with_the_retention_time(redis_client):
    """Turns, summary, index, and the journal of a run that never ended."""
    store = ConversationStore(redis_client, retention_s=60)
    await add(store, *(turn(number) for number in range(12)))
    await compact(store)
    await store.journal(1, "a", key="tg:7", asked="Hi", begun=(), totals=RunTotals()).note(
        [UserMessage("Hi")]
    )
    names = {name.split(b":")[0] for name in await redis_client.keys("*")}
    assert names == {b"conversation", b"summary", b"conversations", b"run"}
    for name in await redis_client.keys("*"):
        assert 0 < await redis_client.pttl(name) <= 60_000, name


async def test_use_prolongs_all_of_a_conversation(redis_client):
    store = ConversationStore(redis_client, retention_s=60)
    await add(store, *(turn(number) for number in range(12)))
    await compact(store)
    for name in await redis_client.keys("*"):
        await redis_client.pexpire(name, 5000)
    await add(store, turn(12))
    for name in await redis_client.keys("*"):
        assert await redis_client.pttl(name) > 50_000, name


async def test_a_journal_ends_within_the_hour(redis_client):
    store = ConversationStore(redis_client, retention_s=30 * 86_400)
    await store.journal(1, "a", key="tg:7", asked="Hi", begun=(), totals=RunTotals()).note(
        [UserMessage("Hi")]
    )
    assert 0 < await redis_client.pttl("run:1:a") <= 3_600_000


async def test_loading_and_appending_are_one_round_trip_each(store, redis_client, monkeypatch):
    sent = 0
    real = Connection.send_packed_command

    async def counted(self: Connection, *args: Any, **options: Any) -> None:
        nonlocal sent
        sent += 1
        await real(self, *args, **options)

    await add(store, turn(0))  # the server knows the script from now on
    monkeypatch.setattr(Connection, "send_packed_command", counted)
    past = await load(store)
    assert sent == 1
    await store.append(1, "a", turn(1), before=past, budget=BUDGET)
    assert sent == 2


async def test_a_turn_that_is_sent_twice_because_the_reply_was_lost_stands_once(store, redis_client):
    past = await load(store)
    await store.append(1, "a", turn(1), before=past, budget=BUDGET)
    await store.append(1, "a", turn(1), before=past, budget=BUDGET)
    assert await keys(store) == ["tg:1"]


async def test_a_server_that_was_restarted_is_given_the_scripts_again(store, redis_client):
    await add(store, turn(1))
    await redis_client.script_flush()
    await add(store, turn(2))
    assert await keys(store) == ["tg:1", "tg:2"]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.sampled_from(["turn", "turn", "turn", "read", "compact", "forget"]), max_size=40))
async def test_however_compactions_and_turns_mix_each_turn_is_in_one_place(redis_client, steps):
    """Replicas read at any time and compact later; the notes here are the keys of their turns."""
    await redis_client.flushdb()
    store, budget = ConversationStore(redis_client, retention_s=3600), 250
    said: list[str] = []
    waiting: list[OldestTurns] = []
    for number, step in enumerate(steps):
        match step:
            case "turn":
                # as if nothing were there: the forced cut is another test's
                await store.append(1, "a", turn(number), before=Conversation(), budget=budget)
                said.append(f"tg:{number}")
            case "read" if (oldest := await store.load_oldest(1, "a", budget=budget)) is not None:
                waiting.append(oldest)
            case "compact" if waiting:
                oldest = waiting.pop()
                before_it = oldest.summary.text.split() if oldest.summary else []
                notes = [*before_it, *(one.key for one in oldest.turns)]
                await store.compact(oldest, Summary(" ".join(notes), len(notes)))
            case "forget":
                await store.forget(1)
                said.clear()
    past = await load(store)
    noted = past.summary.text.split() if past.summary else []
    assert [*noted, *(one.key for one in past.turns)] == said


async def test_the_run_of_a_message_is_not_that_of_one_whose_id_begins_alike(redis_client):
    """Numbers may begin anew: tg:12 comes before tg:1 then."""
    store = ConversationStore(redis_client, retention_s=3600)
    noted = (UserMessage("q"), AssistantMessage("", (ToolCall("c", "t", "{}"),)))
    for key in ("tg:12", "tg:12:1"):
        await store.journal(1, "a", key=key, asked="q", begun=(), totals=RunTotals()).note(noted)
    await store.load(1, "a", message_id="tg:1", key="tg:1", asked="q")
    past = await store.load(1, "a", message_id="tg:1", key="tg:1", asked="q")
    assert [turn.key for turn in past.turns] == ["unfinished:tg:12", "unfinished:tg:12:1"]
