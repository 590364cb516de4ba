"""Rate limits, by a clock that sleeping moves."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from service_kit.lifecycle import end_tasks
from tg_bot.src.services.rate_limiter import Gate, RateLimiter, Window


class Hands:
    """Time that only sleeping moves; one sleeper at a time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def message(limiter: RateLimiter, chat: int) -> None:
    async with limiter.slot(chat):
        pass


@given(
    st.lists(st.floats(0, 2), min_size=1, max_size=80),
    st.sampled_from([0.5, 1.0, 3.0, 30.0]),
)
def test_no_window_holds_more_than_its_rate(gaps, rate):
    window, now, places = Window(rate), 0.0, []
    for gap in gaps:
        now += gap
        places.append(window.reserve(now))
    size = max(1, int(rate))
    assert places == sorted(places)
    for first, later in zip(places, places[size:], strict=False):
        assert later - first > size / rate


def test_zero_means_no_limit():
    window = Window(0)
    assert [window.reserve(5.0) for _ in range(1000)] == [5.0] * 1000


async def test_one_chat_waits_and_takes_nothing_from_another():
    hands = Hands()
    limiter = RateLimiter(30, 1, now=hands, sleep=hands.sleep)
    await message(limiter, 1)
    assert hands.now == 1000.0
    await message(limiter, 2)
    assert hands.now == 1000.0
    await message(limiter, 1)
    assert hands.now >= 1001.0


async def test_thirty_go_at_once_and_the_next_waits():
    hands = Hands()
    limiter = RateLimiter(30, 1, now=hands, sleep=hands.sleep)
    for chat in range(30):
        await message(limiter, chat)
    assert hands.now == 1000.0
    await message(limiter, 99)
    assert 1001.0 < hands.now < 1001.2


async def test_a_chats_distance_counts_from_the_sending_that_the_overall_limit_delayed():
    hands = Hands()
    limiter = RateLimiter(2, 1, now=hands, sleep=hands.sleep)
    for chat in (1, 2, 3):  # the third waits for the overall limit
        await message(limiter, chat)
    sent_at = hands.now
    assert sent_at > 1001.0
    await message(limiter, 3)
    assert hands.now - sent_at >= 1.0


async def test_a_pause_that_is_lengthened_while_one_waits_holds():
    hands = Hands()
    limiter = RateLimiter(0, 0, now=hands, sleep=hands.sleep)
    limiter.pause(1, 7)
    slept = []

    async def sleep_and_be_told_again(seconds: float) -> None:
        hands.now += seconds
        slept.append(seconds)
        if len(slept) == 1:
            limiter.pause(1, 5)

    limiter._sleep = sleep_and_be_told_again
    await message(limiter, 1)
    assert (slept, hands.now) == ([7.0, 5.0], 1012.0)


async def test_a_pause_holds_its_chat_only():
    hands = Hands()
    limiter = RateLimiter(0, 0, now=hands, sleep=hands.sleep)
    limiter.pause(1, 7)
    await message(limiter, 2)
    assert hands.now == 1000.0
    await message(limiter, 1)
    assert hands.now == 1007.0


async def test_pauses_of_several_chats_hold_all():
    hands = Hands()
    limiter = RateLimiter(0, 0, now=hands, sleep=hands.sleep)
    for chat, seconds in ((1, 5), (2, 4), (3, 100)):
        limiter.pause(chat, seconds)
    await message(limiter, 77)
    assert hands.now == 1004.0


async def test_a_cancelled_wait_leaves_the_others_alone():
    limiter = RateLimiter(0, 0)
    limiter.pause(1, 1000)
    waiting = asyncio.ensure_future(message(limiter, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    await message(limiter, 2)


async def test_few_are_under_way_at_once_first_come_first_served():
    gate, begun, may_end = Gate(places=2, held_for=60), [], asyncio.Event()

    async def send(number: int) -> None:
        async with gate.place():
            begun.append(number)
            await may_end.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(send(number))
        await asyncio.sleep(0)
        assert begun == [0, 1]
        may_end.set()
    assert begun == [0, 1, 2, 3, 4]
    assert gate._free == 2


async def test_a_slow_answer_holds_nobody_up():
    gate, begun = Gate(places=1, held_for=0.001), asyncio.Semaphore(0)

    async def never_answered() -> None:
        async with gate.place():
            begun.release()
            await asyncio.Event().wait()

    tasks = [asyncio.ensure_future(never_answered()) for _ in range(3)]
    async with asyncio.timeout(5):
        for _ in tasks:
            await begun.acquire()
    await end_tasks(tasks)
    assert gate._free == 1


async def test_a_cancelled_sender_gives_its_place_on():
    gate = Gate(places=1, held_for=60)
    async with gate.place():
        waiting = [asyncio.ensure_future(gate._acquire()) for _ in range(2)]
        await asyncio.sleep(0)
    waiting[0].cancel()  # it has just been given the place
    await waiting[1]
    assert gate._free == 0
