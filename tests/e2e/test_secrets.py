"""What the services write while they serve people holds no key, code, token or password."""

import pytest

from tests.harness.chat import Person
from tests.harness.suite import ADMIN_KEY, BOT_TOKEN, FERNET_KEY, OWNER_CODE, SERVICE_KEY, Suite

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
WORDS = "a sentence that is nobody else's business"


def test_no_log_holds_a_secret_or_what_people_say(suite: Suite):
    stranger = Person.join(suite, "Curious")
    stranger.ask(f"/start {OWNER_CODE}x")
    member = Person.member(suite, "Discreet")
    assert member.ask(f"repeat: {WORDS}")

    settings = suite.processes["tg_bot"].environment
    secrets = [ADMIN_KEY, SERVICE_KEY, OWNER_CODE, BOT_TOKEN, BOT_TOKEN.split(":")[1], FERNET_KEY]
    secrets += [
        settings["REDIS_PASSWORD"],
        settings["GOOGLE_CLIENT_SECRET"],
        settings["OPENAI_API_KEY"],
        WORDS,
    ]
    written = {name: process.log.read_text(errors="replace") for name, process in suite.processes.items()}
    assert all(written[name] for name in ("tg_bot", *suite.assistants))
    assert [(name, secret) for name, log in written.items() for secret in secrets if secret in log] == []
