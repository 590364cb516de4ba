import pytest

from service_kit.backoff import Backoff
from service_kit.queue.base import ConsumerOptions
from service_kit.rest.client import BACKOFF as REST_BACKOFF


def test_delays_double_to_the_longest_and_start_again():
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next_delay() for _ in range(4)] == [0.5, 1.0, 2.0, 3.0]
    assert backoff.failures == 4
    backoff.reset()
    assert (backoff.failures, backoff.next_delay()) == (0, 0.5)


def test_any_number_of_failures_has_a_delay():
    assert Backoff(0.5, 60.0).delay_after(5_000) == 60.0


@pytest.mark.parametrize("failures", range(3))
def test_jitter_takes_a_share_off_so_that_replicas_differ(failures):
    delays = {REST_BACKOFF.delay_after(failures) for _ in range(20)}
    assert len(delays) > 1
    assert all(0.05 * 2**failures <= delay <= 0.15 * 2**failures for delay in delays)


def test_a_queue_waits_up_to_a_minute():
    backoff = ConsumerOptions(queue="q", slot="s").backoff
    assert 0.25 <= backoff(0) <= 0.5
    assert 30 <= backoff(2_000) <= 60
