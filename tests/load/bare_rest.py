"""What rest_service is measured against: Starlette and asyncpg, the same SQL, and nothing else.

No keys, no validation, no refusals, no limits. Run by `rest_bench`.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import uvicorn
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rest_service.app.repositories.tree import TREE

_COLUMNS = (
    "created_at, updated_at, id, telegram_id, username, first_name, language, timezone, role, is_active, "
    "last_seen_at"
)
_BY_ID = f"SELECT {_COLUMNS} FROM telegram_users WHERE id = $1"
_BY_ACCOUNT = f"SELECT {_COLUMNS} FROM telegram_users WHERE telegram_id = $1"
_PAGE = f"SELECT {_COLUMNS} FROM telegram_users ORDER BY id LIMIT $1 OFFSET $2"
_COUNT = "SELECT count(*) FROM telegram_users"
_ASSISTANT = "SELECT * FROM assistants WHERE id = $1"
_CREATE = f"INSERT INTO telegram_users (telegram_id, first_name) VALUES ($1, $2) RETURNING {_COLUMNS}"
_TREE = TREE.text.replace(":root", "$1")


def _answer(body: bytes | str, headers: dict[str, str] | None = None) -> Response:
    return Response(body, media_type="application/json", headers=headers)


async def _user(request: Request) -> Response:
    row = await request.app.state.pool.fetchrow(_BY_ID, int(request.path_params["user_id"]))
    return _answer(to_json(dict(row)))


async def _account(request: Request) -> Response:
    row = await request.app.state.pool.fetchrow(_BY_ACCOUNT, int(request.path_params["telegram_id"]))
    return _answer(to_json(dict(row)))


async def _users(request: Request) -> Response:
    limit, offset = int(request.query_params["limit"]), int(request.query_params["offset"])
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(_PAGE, limit, offset)
        total = await connection.fetchval(_COUNT)
    return _answer(to_json([dict(row) for row in rows]), {"X-Total-Count": str(total)})


async def _tree(request: Request) -> Response:
    return _answer(await request.app.state.pool.fetchval(_TREE, UUID(request.path_params["assistant_id"])))


async def _assistant(request: Request) -> Response:
    row = await request.app.state.pool.fetchrow(_ASSISTANT, UUID(request.path_params["assistant_id"]))
    return _answer(to_json(dict(row)))


async def _create(request: Request) -> Response:
    body = json.loads(await request.body())
    row = await request.app.state.pool.fetchrow(_CREATE, body["telegram_id"], body["first_name"])
    return Response(to_json(dict(row)), status_code=201, media_type="application/json")


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    settings = {"jit": "off"}
    url = os.environ["DATABASE_URL"]
    async with asyncpg.create_pool(url, min_size=20, max_size=30, server_settings=settings) as pool:
        app.state.pool = pool
        yield


APP = Starlette(
    routes=[
        Route("/api/users/by-telegram-id/{telegram_id}", _account),
        Route("/api/users/{user_id}", _user),
        Route("/api/users", _users, methods=["GET"]),
        Route("/api/users", _create, methods=["POST"]),
        Route("/api/assistants/{assistant_id}/tree", _tree),
        Route("/api/assistants/{assistant_id}", _assistant),
    ],
    lifespan=_lifespan,
)

if __name__ == "__main__":
    uvicorn.run(
        APP,
        port=int(os.environ["HTTP_PORT"]),
        http="httptools",
        loop="uvloop",
        access_log=False,
        log_level="warning",
        server_header=False,
    )
