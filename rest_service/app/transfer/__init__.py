"""The configuration as one document: read from the rows, checked whole, brought into the rows.

Everything here is plain `Connection`, so that the API (through `run_sync`) and the default rows of a
first start run the same code.
"""

from .apply import import_document
from .checks import check, find_schema_problems
from .stored import Stored, read, read_snapshot

__all__ = ["Stored", "check", "find_schema_problems", "import_document", "read", "read_snapshot"]
