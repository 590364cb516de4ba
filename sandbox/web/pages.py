"""`/`: the chat page, plain files of this folder."""

from pathlib import Path

from aiohttp import web

from ..guard import KEPT_SECONDS, KEY, Guard

STATIC = Path(__file__).parent / "static"
START = "start"
"""The parameter of the link, and the cookie, that hold what `/start` is sent with."""
START_KEPT_SECONDS = 3_600
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_LOCKED = """<!doctype html><meta charset="utf-8"><title>Smart Assistant</title>
<link rel="icon" href="data:,">
<p>This chat opens with the link that <code>./manage.py start</code> prints.
<p lang="ru">Этот чат открывается по ссылке, которую печатает <code>./manage.py start</code>.
"""


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
        index = self._guard(self._index)

        async def page(request: web.Request) -> web.StreamResponse:
            if {KEY, START} & request.query.keys():
                return self._follow_link(request)
            if not self._guard.is_known(request):
                return web.Response(text=_LOCKED, content_type="text/html", status=401)
            return await index(request)

        app.router.add_get("/", page)
        app.router.add_get("/static/{name}", self._guard(self._file))

    def _follow_link(self, request: web.Request) -> web.Response:
        """To the page, without what stood in the link: neither the address bar nor the history shows it."""
        response = web.Response(status=303, headers={"Location": "/", "Referrer-Policy": "no-referrer"})
        key, start = request.query.get(KEY), request.query.get(START)
        if key is not None and self._guard.opens(key):
            response.set_cookie(KEY, key, max_age=KEPT_SECONDS, httponly=True, samesite="Lax")
        if start is not None:  # the page reads it, and drops it when it is used
            response.set_cookie(START, start, max_age=START_KEPT_SECONDS, samesite="Lax")
        return response

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
