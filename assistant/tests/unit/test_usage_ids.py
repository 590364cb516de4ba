from hypothesis import given
from hypothesis import strategies as st

from assistant.src.core.run_context import ModelUse
from assistant.src.services.usage import _record_id
from service_kit.contracts.usage import UsageKind

NAMED = st.tuples(
    st.text("ab:", min_size=1, max_size=200),
    st.text("ab/", min_size=1, max_size=128),
    st.sampled_from(UsageKind),
    st.text("0123456789abcdef", max_size=8),
)


def id_of(message_id: str, model: str, kind: UsageKind, run: str) -> str:
    use = ModelUse("3fa85f64-5717-4562-b3fc-2c963f66afa6", "Secretary", model)
    return _record_id(message_id, use, kind, run)


@given(NAMED)
def test_an_id_is_the_same_for_the_same_use_and_fits_the_contract(named):
    assert id_of(*named) == id_of(*named)
    assert 1 <= len(id_of(*named)) <= 400


@given(st.integers(1, 128), st.sampled_from(["", "1", "deadbeef"]))
def test_long_ids_that_differ_at_their_end_stay_different(size, run):
    ids = {id_of("m" * 330, model, UsageKind.ANSWER, run) for model in ("x" * size, "x" * (size - 1) + "y")}
    assert len(ids) == 2
    assert all(len(some) <= 400 for some in ids)


def test_an_id_says_what_it_names():
    assert id_of("tg:1", "openai/demo", UsageKind.SUMMARY, "") == (
        "tg:1:3fa85f64-5717-4562-b3fc-2c963f66afa6:openai/demo:summary"
    )
