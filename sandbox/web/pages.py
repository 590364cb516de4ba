"""`/`: the chat page, plain files of this folder."""

from pathlib import Path

from aiohttp import web

from ..guard import Guard

STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Pages:
    """Serves the page and its parts; they are read once."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._files = {
            path.name: (path.read_bytes(), _TYPES[path.suffix])
            for path in STATIC.iterdir()
            if path.suffix in _TYPES
        }

    def add_routes(self, app: web.Application) -> None:
        """The page itself and `/static/<name>`."""
        app.router.add_get("/", self._guard(self._index))
        app.router.add_get("/static/{name}", self._guard(self._file))

    async def _index(self, _request: web.Request) -> web.Response:
        return self._answer("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound
        return self._answer(name)

    def _answer(self, name: str) -> web.Response:
        body, kind = self._files[name]
        return web.Response(body=body, content_type=kind, charset="utf-8")
