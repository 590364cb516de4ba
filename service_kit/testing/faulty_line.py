"""A TCP line to a server that a test can cut, or make lose the server's answers."""

import asyncio
from types import TracebackType
from typing import Self


class FaultyLine:
    """Forwards a local port to a server. A context manager; `port` is valid inside, and stays the same."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers_lost = False
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Accept connections."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections; those that stand are cut."""
        if self._server:
            self._server.close()
        while self._tasks:  # one that was just being connected is cut in the next turn
            self.cut()
            await asyncio.wait(self._tasks, timeout=0.05)

    def cut(self) -> None:
        """Close every connection; new ones are accepted."""
        for writer in self._writers:
            writer.transport.abort()
        self._answers_lost = False

    def lose_answers(self) -> None:
        """From now on requests still arrive, answers do not; until the next `cut`."""
        self._answers_lost = True

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, there_writer}
        self._writers |= pair
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, there_writer, pair, answers=False))
                both.create_task(self._pump(there_reader, writer, pair, answers=True))
        finally:
            self._writers -= pair

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: set[asyncio.StreamWriter],
        *,
        answers: bool,
    ) -> None:
        try:
            while data := await reader.read(65_536):
                if not (answers and self._answers_lost):
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass  # one end is gone: so is the other, below
        finally:
            for one in pair:
                one.transport.abort()
