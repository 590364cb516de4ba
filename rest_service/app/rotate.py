"""`python -m rest_service.app.rotate`: encrypt all stored tokens with the first key.

Run it after a new first key is in force; then the old keys may go. Safe to run again at any time, and
while the service runs. `--forget` removes the credentials that no key opens.
"""

import sys

from sqlalchemy import create_engine

from service_kit.logging import configure_logging, get_logger
from service_kit.settings import load

from .config import CredentialSettings
from .credentials import Rotation, forget, rotate
from .crypto import TokenBox

log = get_logger(__name__)


def run(settings: CredentialSettings, *, forgetting: bool = False) -> Rotation:
    """All rows in one transaction."""
    engine = create_engine(settings.sync_database_url, hide_parameters=True)
    try:
        with engine.begin() as connection:
            done = rotate(connection, TokenBox(settings.credentials_encryption_keys))
            if forgetting:
                forget(connection, done.unknown_key + done.misplaced)
    finally:
        engine.dispose()
    log.info(
        "credentials_rotated",
        renewed=done.renewed,
        current=done.current,
        unknown_key=done.unknown_key,
        misplaced=done.misplaced,
        forgotten=forgetting,
    )
    return done


def main() -> None:
    """The process; exit code 1 where tokens are left that cannot be read."""
    settings = load(CredentialSettings)
    configure_logging("rotate", settings)
    forgetting = "--forget" in sys.argv[1:]
    done = run(settings, forgetting=forgetting)
    if (done.unknown_key or done.misplaced) and not forgetting:
        users = ", ".join(map(str, done.unknown_key + done.misplaced))
        raise SystemExit(
            f"The tokens of these users cannot be read and were left alone: {users}. Bring back the key they "
            "were encrypted with, or remove them: ./manage.py rotate-keys --forget."
        )


if __name__ == "__main__":
    main()
