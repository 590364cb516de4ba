from hypothesis import given
from hypothesis import strategies as st

from assistant.src.utils.ttl_cache import TTLCache


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3))))
def test_the_newest_values_are_kept_for_their_time(steps):
    """Against a plain list: the last value of each key, no older than 5, of the newest 3 keys."""
    now = 0
    cache: TTLCache[int, int] = TTLCache(seconds=5, limit=3, now=lambda: now)
    written: list[tuple[int, int]] = []
    for key, passed in steps:
        now += passed
        cache.put(key, now)
        written = [*[(at, other) for at, other in written if other != key][-2:], (now, key)]
        for other in range(10):
            expected = next((at for at, name in written if name == other and at + 5 > now), None)
            assert cache.get(other) == expected
