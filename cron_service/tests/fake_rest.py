"""A small rest_service over real HTTP: what cron_service asks of it, and trouble on demand."""

import json
import re
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

NOW = "2026-11-22T12:00:00Z"


class FakeRest:
    """`jobs`, `firings` and `users` as rest_service would answer them; a context manager."""

    def __init__(self) -> None:
        self.jobs: dict[int, dict[str, Any]] = {}
        self.firings: list[dict[str, Any]] = []
        self.users: dict[int, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.refuse: dict[str, int] = {}
        """Status to answer, by a pattern of `METHOD path`."""
        self.lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                with fake.lock:
                    status, answer = fake.answer(self.command, self.path, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - names of the base class

            def log_message(self, *_args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.socket.setblocking(False)  # or a client that is gone before it was accepted blocks it
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add_job(self, job_id: int, **fields: Any) -> dict[str, Any]:
        """An active notification; `fields` as in CronJobRead."""
        job = {
            "id": job_id,
            "name": f"job {job_id}",
            "type": "notification",
            "cron_expression": None,
            "run_at": None,
            "timezone": "UTC",
            "user_id": 7,
            "chat_id": 700,
            "message": f"message {job_id}",
            "priority": "normal",
            "is_active": True,
            "status": "active",
            "next_run_at": None,
            "created_at": NOW,
            "updated_at": NOW,
        } | fields
        with self.lock:
            self.jobs[job_id] = job
        return job

    def add_firing(self, job_id: int, scheduled_for: str, **fields: Any) -> dict[str, Any]:
        """A claimed firing that nobody has reported on."""
        firing = {
            "id": len(self.firings) + 1,
            "cron_job_id": job_id,
            "scheduled_for": scheduled_for,
            "status": "running",
            "started_at": NOW,
            "created_at": NOW,
            "updated_at": NOW,
        } | fields
        self.firings.append(firing)
        return firing

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        """Status and JSON of one request."""
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.requests.append(f"{method} {parts.path}")
        for pattern, status in self.refuse.items():
            if re.search(pattern, f"{method} {parts.path}"):
                return status, {"code": "refused", "message": "as the test wants it"}
        numbers = [int(n) for n in re.findall(r"/(\d+)", parts.path)]
        match re.sub(r"/\d+", "/#", f"{method} {parts.path}"):
            case "GET /api/cron-jobs":
                rows = [j for j in self.jobs.values() if j["is_active"] and j["status"] == "active"]
                rows = [j for j in sorted(rows, key=lambda j: j["id"]) if j["id"] > int(query["after_id"])]
                return 200, rows[: int(query["limit"])]
            case "GET /api/cron-jobs/firings":
                return 200, self._page([f for f in self.firings if f["status"] == query["status"]], query)
            case "POST /api/cron-jobs/#/firings":
                return self._claim(numbers[0], body["scheduled_for"])
            case "PATCH /api/cron-jobs/#/firings/#":
                return self._report(numbers, body)
            case "GET /api/users/#" if numbers[0] in self.users:
                return 200, self.users[numbers[0]]
        return 404, {"code": "not_found", "message": "no such row"}

    @staticmethod
    def _page(rows: list[dict[str, Any]], query: dict[str, str]) -> list[dict[str, Any]]:
        offset = int(query["offset"])
        return rows[offset : offset + int(query["limit"])]

    def _claim(self, job_id: int, scheduled_for: str) -> tuple[int, Any]:
        if job_id not in self.jobs:
            return 404, {"code": "not_found", "message": "no such job"}
        when = datetime.fromisoformat(scheduled_for)
        if any(
            f["cron_job_id"] == job_id and datetime.fromisoformat(f["scheduled_for"]) == when
            for f in self.firings
        ):
            return 409, {"code": "conflict", "message": "claimed already"}
        return 201, self.add_firing(job_id, scheduled_for, started_at=datetime.now(UTC).isoformat())

    def _report(self, numbers: list[int], body: dict[str, Any]) -> tuple[int, Any]:
        firing = next((f for f in self.firings if f["id"] == numbers[1]), None)
        if firing is None:
            return 404, {"code": "not_found", "message": "no such firing"}
        firing |= body
        job = self.jobs.get(numbers[0])
        if job and job["run_at"] and body["status"] == "done":
            job["status"] = "done"
        return 200, firing
