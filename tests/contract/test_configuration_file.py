"""`./manage.py export` and `import` against the real rest_service."""

import asyncio
import json
from pathlib import Path

import httpx2
import pytest
import redis.asyncio as aioredis

from ops import configuration
from ops.errors import OpsError
from ops.project import Project
from rest_service.app.seeding import DEFAULT, load_file
from rest_service.tests.integration.test_process import environment, healthy, start
from rest_service.tests.support import ADMIN_KEY, migrated_database, until
from service_kit.settings import RedisSettings
from service_kit.testing.servers import free_port

pytestmark = pytest.mark.integration


async def test_a_file_goes_out_and_in(
    database_url: str,
    redis_settings: RedisSettings,
    redis_client: aioredis.Redis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    port = free_port()
    project = Project(tmp_path, {"REST_SERVICE_PORT": str(port), "ADMIN_API_KEY": ADMIN_KEY})
    file = tmp_path / "assistants.json"

    async def bring_in(*, dry_run: bool = False) -> str:
        await asyncio.to_thread(configuration.import_from, project, str(file), dry_run=dry_run)
        return capsys.readouterr().out

    with migrated_database(database_url, "configuration") as url:
        process = await start(environment(url, redis_settings, HTTP_PORT=str(port)))
        try:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                await until(lambda: healthy(http))
            await asyncio.to_thread(configuration.export_to, project, str(file))
            default = load_file(DEFAULT)
            parts = [len(part) for part in (default.assistants, default.tools, default.links)]
            assert "{} assistants, {} tools, {} links".format(*parts) in capsys.readouterr().out
            assert "Nothing to do" in await bring_in()
            document = json.loads(file.read_text())
            document["assistants"][0]["instructions"] = "Plan."
            file.write_text(json.dumps(document))
            would = await bring_in(dry_run=True)
            assert "~ assistant Planner" in would
            assert would.endswith(
                f"Would create 0, change 1; {sum(parts) - 1} unchanged. Nothing was written.\n"
            )
            assert "In force for the next message" in await bring_in()
            assert "Nothing to do" in await bring_in()
            document["links"] += [{"assistant": "Nobody", "tool": "hammer"}]
            file.write_text(json.dumps(document))
            with pytest.raises(
                OpsError, match=rf"links\.{parts[2]}\.assistant: There is no assistant 'Nobody'"
            ):
                await bring_in()
        finally:
            process.terminate()
            await process.communicate()
