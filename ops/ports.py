"""TCP ports of 127.0.0.1: which are free, and who has those that are not."""

import socket
from contextlib import suppress
from pathlib import Path


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now; one that was just stopped does not count."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(wanted: int, taken: set[int], *, count: int = 1) -> int:
    """The first port from `wanted` on that begins `count` free ones in a row, none of them in `taken`.

    The ports chosen are added to `taken`.
    """
    for first in range(wanted, 65536 - count):
        ports = range(first, first + count)
        if taken.isdisjoint(ports) and all(is_free(port) for port in ports):
            taken.update(ports)
            return first
    msg = f"no free port from {wanted} on"
    raise OSError(msg)


def owner(port: int) -> str | None:
    """`name (pid 123)` of the program that listens on `port`, where the system tells us (Linux)."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or belongs to somebody else
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text(encoding='utf-8').strip()} (pid {process.name})"
    return None


def _listening_inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="utf-8").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
