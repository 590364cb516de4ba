import asyncio
from itertools import pairwise

import pytest
import redis.asyncio as aioredis

from assistant.src.core.model import AssistantMessage, UserMessage
from assistant.src.storage.conversation import Conversation, ConversationStore
from assistant.src.storage.turns import Turn, dump_turn, turn_of
from assistant.src.storage.window import KEPT_AFTER_CUT, MAX_TURNS

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
    return await store.load(user, assistant, key="tg:new", asked="new")


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


async def test_the_window_grows_at_its_end_and_is_cut_seldom(store):
    firsts: list[str] = []
    for number in range(40):
        await add(store, turn(number))
        firsts.append((await keys(store))[0])
    window = (await load(store)).turns
    assert sum(one.tokens for one in window) <= BUDGET
    assert window[-1].key == "tg:39"
    moves = sum(before != after for before, after in pairwise(firsts))
    assert moves <= 40 / (10 * (1 - KEPT_AFTER_CUT)) + 1


async def test_a_turn_above_the_budget_is_kept_alone_and_not_sent_again(store):
    await add(store, turn(1), turn(2, size=2 * BUDGET))
    assert await keys(store) == ["tg:2"]
    assert (await load(store)).window(BUDGET) == ()


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


async def test_many_short_turns_are_bounded(store, redis_client):
    turns = tuple(turn(number, size=12) for number in range(MAX_TURNS))
    await redis_client.rpush("conversation:1:a", *map(dump_turn, turns))
    await store.append(1, "a", turn(1), before=Conversation(turns), budget=10**6)
    assert await redis_client.llen("conversation:1:a") == MAX_TURNS


async def test_what_is_broken_is_skipped(store, redis_client):
    await add(store, turn(1))
    await redis_client.rpush("conversation:1:a", b"{not json", b'{"v": 9}')
    await add(store, turn(2))
    assert await keys(store) == ["tg:1", "tg:2"]


async def test_forgetting_takes_all_of_a_user_and_nothing_of_others(store):
    await add(store, turn(1))
    await add(store, turn(2), assistant="b")
    await add(store, turn(3), user=11)
    assert await store.forget(1) == 2
    assert (await keys(store), await keys(store, assistant="b")) == ([], [])
    assert await keys(store, user=11) == ["tg:3"]
    assert await store.forget(1) == 0


async def test_an_unused_conversation_ends(store, redis_client):
    await add(store, turn(1))
    for key in await redis_client.keys("conversation*"):
        assert 0 < await redis_client.pttl(key) <= 3_600_000
