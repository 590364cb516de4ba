"""The rows of a first start: a document as an import takes it."""

from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Connection, func, select

from service_kit.contracts.transfer import Configuration

from .errors.api import ApiError
from .locks import SCHEMA
from .models import assistants
from .transfer import Stored, check, import_document

DEFAULT = Path(__file__).parent / "seed" / "default.json"


def load_file(path: Path) -> Configuration:
    """The file, checked whole.

    Raises:
        SystemExit: it cannot be read or is wrong; the text says where.
    """
    try:
        document = Configuration.model_validate_json(path.read_bytes())
        if not document.assistants:
            raise SystemExit(f"The default rows in {path} are wrong: assistants must not be empty.")
        check(document, Stored())
    except OSError as exc:
        raise SystemExit(f"The default rows in {path} cannot be read: {exc.strerror}.") from exc
    except ValidationError as exc:
        raise SystemExit(f"The default rows in {path} are wrong:\n{exc}") from exc
    except ApiError as exc:
        raise SystemExit(f"The default rows in {path} are wrong: {exc.message}") from exc
    return document


def seed(connection: Connection, path: Path | None = None) -> bool:
    """Make the default rows, where there is no assistant yet; whether there was none.

    Part of the caller's transaction; two at once make them once.
    """
    connection.execute(select(func.pg_advisory_xact_lock(SCHEMA)))
    if connection.scalar(select(func.count()).select_from(assistants)):
        return False
    path = path or DEFAULT
    try:
        import_document(connection, load_file(path))
    except ApiError as exc:
        raise SystemExit(f"The default rows in {path} are wrong: {exc.message}") from exc
    return True
