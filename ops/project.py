"""One checkout and its settings: the process environment over `.env` over `.env.example`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.errors import OpsError


@dataclass(frozen=True)
class Project:
    """A checkout with what is set for it. `values` holds every variable of `.env.example`; empty: not set."""

    root: Path
    values: Mapping[str, str]

    @property
    def name(self) -> str:
        """Unlike that of any other checkout on this machine; the compose project's name too."""
        return self.values["COMPOSE_PROJECT_NAME"]

    @property
    def local(self) -> Path:
        """Folder of the local runtime: environments, data, logs."""
        return self.root / (self.values.get("LOCAL_DATA_DIR") or ".local")

    def port(self, variable: str) -> int:
        """The port that `variable` sets; OpsError where it is none."""
        text = self.values.get(variable, "")
        if not text.isdecimal() or not 0 < int(text) < 65536:
            msg = f"{variable}={text!r} is not a port: set it in .env to a number from 1 to 65535"
            raise OpsError(msg)
        return int(text)

    def url(self, variable: str) -> str:
        """Where the port that `variable` sets is reached from this machine."""
        return f"http://127.0.0.1:{self.port(variable)}"
