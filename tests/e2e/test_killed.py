"""The short form of `tests/load/kill.py`: processes die under load, and nobody notices."""

import asyncio

import pytest

from tests.load.kill import Plan, killed_under_load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_nothing_is_lost_doubled_or_reordered_when_processes_are_killed():
    plan = Plan(replicas=2, assistant_kills=4, bot_kills=2, rate=40.0, seconds=8.0)
    seen = asyncio.run(killed_under_load(plan))
    assert seen.asked == 320
    assert seen.answered == seen.asked
    assert seen.doubled <= plan.bot_kills
    assert seen.out_of_order == 0
