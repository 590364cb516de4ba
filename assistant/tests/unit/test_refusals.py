import json
from datetime import UTC, datetime

import pytest

from assistant.src.core.errors import (
    ContentRefusedError,
    ContextOverflowError,
    KeyRefusedError,
    ModelRefusedError,
    ModelUnavailableError,
    NoCreditError,
    UnknownModelError,
)
from assistant.src.core.providers.refusals import classify_error_body, classify_refusal
from assistant.src.core.providers.retry_after import read_retry_after

OVERFLOWS = [
    # as OpenAI, vLLM, DeepSeek, OpenRouter, Anthropic, Gemini, Mistral, Groq, xAI, llama.cpp, Ollama,
    # LM Studio, Together and Bedrock say it
    (400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000."),
    (400, "Your input exceeds the context window of this model."),
    (400, "This endpoint's maximum context length is 131072 tokens. However, you requested about 200000"),
    (400, "prompt is too long: 213462 tokens > 200000 maximum"),
    (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    (400, "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)"),
    (422, "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum"),
    (400, "Please reduce the length of the messages or completion."),
    (413, "Request too large for model `llama` on tokens per minute (TPM): Limit 6000, Requested 8000"),
    (429, "Request too large for gpt-6 in organization o on tokens per min (TPM): Limit 1, Requested 2."),
    (400, "This model's maximum prompt length is 131072 but the request contains 537812 tokens"),
    (500, "the request exceeds the available context size, try increasing it"),
    (400, "prompt too long; exceeded max context length by 4 tokens"),
    (400, "The model is loaded with context length of only 4096 tokens"),
    (400, "`inputs` tokens + `max_new_tokens` must be <= 4097"),
    (400, "Input is too long for requested model."),
    (None, "Your input exceeds the context window of this model"),
]


@pytest.mark.parametrize(("status", "words"), OVERFLOWS)
def test_every_wording_of_too_long(status, words):
    assert type(classify_refusal(words, status=status)) is ContextOverflowError


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (429, "insufficient_quota", None, "You exceeded your current quota"),
        (429, None, "insufficient_quota", "You exceeded your current quota"),
        (429, "billing_not_active", None, "Your account is not active"),
        (402, None, None, "Insufficient Balance"),
        (402, None, None, "Insufficient credits. Add more using the settings page"),
        (400, None, "invalid_request_error", "Your credit balance is too low to access the API."),
        (429, None, None, "Your team has used all available credits"),
        (None, "insufficient_quota", None, "in mid-stream"),
    ],
)
def test_an_empty_account_is_not_asked_again(status, code, kind, words):
    assert type(classify_refusal(words, status=status, code=code, kind=kind)) is NoCreditError


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (429, "Rate limit reached for gpt-6 on tokens per min: Limit 30000, Used 29000. Try again in 2s."),
        (429, "Too many requests: 400 requests per minute"),
        (500, "The server had an error"),
        (None, "Overloaded"),
    ],
)
def test_what_passes_is_worth_another_try(status, words):
    assert type(classify_refusal(words, status=status)) is ModelUnavailableError


def test_a_refusal_keeps_status_and_code():
    error = classify_refusal("locked", status=400, code="conversation_locked")
    assert (type(error), error.status, error.code) == (ModelRefusedError, 400, "conversation_locked")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"error": {"message": "no such model", "code": "model_not_found"}},
            "model_not_found: no such model",
        ),
        ([{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}], "400 : bad"),
        (
            {"object": "error", "message": {"detail": [{"loc": ["body", "x"], "msg": "Extra inputs"}]}},
            "body.x: Extra inputs",
        ),
        ({"detail": "Not Found"}, "Not Found"),
        ({"error": "busy"}, "busy"),
        ("<html>", "<html>"),
        (None, "no reason given"),
        ([], "no reason given"),
        ({"request": {"messages": []}}, "no reason given"),
    ],
    ids=str,
)
def test_bodies_of_several_makes(body, said):
    assert said in str(classify_error_body(body, status=400))


def test_a_long_text_is_cut():
    assert len(str(classify_refusal("x" * 5000, status=400))) < 220


TOLD = {"messages": [{"role": "user", "content": "my card don't tell 4111"}]}
PROBLEM = {"type": "missing", "loc": ["body", "model"], "msg": "Field required", "input": TOLD}


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ({"detail": [PROBLEM]}, "body.model: Field required (missing)"),
        ({"object": "error", "message": {"detail": [PROBLEM]}, "type": "invalid"}, "body.model"),
        ({"object": "error", "message": str([PROBLEM]), "type": "BadRequestError"}, "BadRequestError"),
        ({"error": {"message": f"Bad request: {json.dumps(TOLD)}"}}, "Bad request"),
        ({"error": {"message": f"Bad request: {json.dumps(json.dumps(TOLD))}"}}, "Bad request"),
        ({"error": {"message": "Invalid value: 'my card don't tell 4111'."}}, "Invalid value"),
        ({"error": {"message": f'Invalid value: "{"my card 4111 " * 50}'}}, "Invalid value"),
        ({"error": f"messages [type=string, input_value={TOLD}]"}, "messages [type=string"),
        ({"error": "refused", "request": TOLD}, "refused"),
        ({"error": {"request": TOLD}}, "no reason given"),
        ([{"error": {"message": "no", "details": [TOLD]}}], "no"),
        (TOLD, "no reason given"),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [400, 422, 500])
def test_what_a_server_repeats_of_the_request_is_not_told(body, kept, status):
    told = str(classify_error_body(body, status=status))
    assert kept in told
    assert "card" not in told
    assert "4111" not in told


@pytest.mark.parametrize(
    "words",
    [
        "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
        "Can't add messages to thread_1 while a run run_0 is active.",
        "Invalid type for 'messages[0].content': expected a string.",
        "Conversation with id 'conv_1' not found.",
        'model "llama3" not found, try pulling it first',
    ],
)
def test_names_of_parameters_and_things_are_told(words):
    assert str(classify_refusal(words, status=400)).endswith(words)


def test_what_is_not_told_still_decides_what_it_is():
    words = "Refused: '" + "much text " * 50 + "' This model's maximum context length is 8192 tokens."
    assert type(classify_refusal(words, status=400)) is ContextOverflowError
    echo = {"detail": [PROBLEM | {"input": "what is a context window?"}]}
    assert type(classify_error_body(echo, status=422)) is ModelRefusedError


NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"x-ms-retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_wait_a_provider_asks_for(headers, seconds):
    assert read_retry_after(headers, NOW) == seconds


def test_a_date_is_compared_with_the_clock_of_the_server_that_tells_it():
    headers = {"date": "Sun, 22 Nov 2009 12:00:00 GMT", "retry-after": "Sun, 22 Nov 2009 12:00:09 GMT"}
    assert read_retry_after(headers) == 9.0


@pytest.mark.parametrize(
    ("status", "code", "words", "kind"),
    [
        # as OpenAI, Anthropic, Gemini and xAI say it
        (401, "invalid_api_key", "Incorrect API key provided: sk-…", KeyRefusedError),
        (401, None, "invalid x-api-key", KeyRefusedError),
        (400, None, "API key not valid. Please pass a valid API key.", KeyRefusedError),
        (400, None, "Incorrect API key provided: xa…", KeyRefusedError),
        (403, "unsupported_country_region_territory", "Country not supported", KeyRefusedError),
        # OpenAI, OpenRouter, DeepSeek, Anthropic
        (429, "insufficient_quota", "You exceeded your current quota", NoCreditError),
        (402, None, "This request requires more credits", NoCreditError),
        (402, None, "Insufficient Balance", NoCreditError),
        (400, None, "Your credit balance is too low to access the API", NoCreditError),
        # OpenAI, OpenRouter, DeepSeek, Ollama, Mistral
        (404, "model_not_found", "The model `nosuch` does not exist", UnknownModelError),
        (400, None, "nosuch/xyz is not a valid model ID", UnknownModelError),
        (400, None, "Model Not Exist", UnknownModelError),
        (404, None, 'model "nosuch" not found, try pulling it first', UnknownModelError),
        (400, None, "Invalid model: nosuch", UnknownModelError),
        # Azure, OpenAI, OpenRouter, DeepSeek, and in mid-stream
        (400, "content_filter", "triggering Azure's content management policy", ContentRefusedError),
        (400, None, "Your request was rejected as a result of our safety system.", ContentRefusedError),
        (403, None, "Your chosen model requires moderation and your input was flagged", ContentRefusedError),
        (400, None, "Content Exists Risk", ContentRefusedError),
        (None, "content_filter", "stopped", ContentRefusedError),
        # nobody's in particular, or not for good
        (400, None, "unknown field `foo`", ModelRefusedError),
        (400, None, 'bad request: {"content": "our content policy and an invalid model"}', ModelRefusedError),
        (404, None, "page not found", ModelRefusedError),
        (503, None, "our content filter is overloaded", ModelUnavailableError),
        (429, "rate_limit_exceeded", "slow down", ModelUnavailableError),
        (None, None, "something broke", ModelUnavailableError),
    ],
)
def test_a_refusal_says_who_can_do_something(status, code, words, kind):
    assert type(classify_refusal(words, status=status, code=code)) is kind


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached for gpt-6-luna. Please try again in 20s.", 20.0),
        ("Rate limit reached. Please try again in 1m6.5s. Visit https://example.org", 66.5),
        ("Please try again in 6ms.", 0.006),
        ("You exceeded your rate. Please retry in 34.074824224s.", 34.074824224),
        ("Please retry after 2 seconds", 2.0),
        ("Try again in 1 minute", 60.0),
        ("Please try again in a moment", None),
        ("Please try again", None),
    ],
)
def test_a_wait_in_words_counts_where_the_headers_ask_for_none(message, seconds):
    refused = classify_refusal(message, status=429)
    assert isinstance(refused, ModelUnavailableError)
    assert refused.retry_after == (None if seconds is None else pytest.approx(seconds))
    told = classify_refusal(message, status=429, retry_after=3.0)
    assert isinstance(told, ModelUnavailableError)
    assert told.retry_after == 3.0


def test_a_long_message_is_searched_for_a_wait_in_time():
    refused = classify_refusal("try again in 1s" * 4000, status=429)
    assert isinstance(refused, ModelUnavailableError)
    assert refused.retry_after == 1.0
