"""The short form of `tests/load/full_redis.py`: Redis has no memory left for a while, and nobody notices."""

import asyncio

import pytest

from tests.load.full_redis import Plan, filled_under_load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def test_redis_at_its_memory_limit_loses_nothing_and_costs_no_second_answer():
    outcome = asyncio.run(filled_under_load(Plan(times=2, rate=20.0, seconds=8.0)))
    assert outcome.answered_while_full > 0
    assert outcome.kept, outcome
