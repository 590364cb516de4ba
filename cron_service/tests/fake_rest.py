"""A small rest_service over real HTTP: what cron_service asks of it, and trouble on demand.

`tests/contract/test_firings.py` holds it against the real one.
"""

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from service_kit.contracts.cron import FIRING_TRANSITIONS, FiringStatus
from service_kit.schedule import Schedule

NOW = "2026-11-22T12:00:00Z"
Row = dict[str, Any]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _next(job: Row, after: datetime) -> str | None:
    """When a recurring job fires after that; None for one whose times rest_service would refuse."""
    try:
        found = Schedule(job["cron_expression"] or "", ZoneInfo(job["timezone"])).after(after)
    except (ValueError, KeyError):
        return None
    return found.isoformat() if found else None


def _is_on(job: Row) -> bool:
    return bool(job["is_active"] and job["status"] == "active")


class FakeRest:
    """`jobs`, `firings` and `users` as rest_service would answer them; a context manager."""

    def __init__(self) -> None:
        self.jobs: dict[int, dict[str, Any]] = {}
        self.firings: list[dict[str, Any]] = []
        self.users: dict[int, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.refuse: dict[str, int] = {}
        """Status to answer, by a pattern of `METHOD path`."""
        self.lost: Callable[[str], bool] = lambda _request: False
        """Whether the answer to this request (`METHOD path`) gets lost, after it was carried out."""
        self.arrivals: list[str] = []
        """Requests that have come; they wait for `lock` to be answered."""
        self.lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                fake.arrivals.append(f"{self.command} {self.path}")
                with fake.lock:
                    status, answer = fake.answer(self.command, self.path, body)
                    if fake.lost(f"{self.command} {self.path}"):
                        self.close_connection = True
                        return
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

    def add_job(self, job_id: int, **fields: Any) -> Row:
        """An active notification; `fields` as in CronJobRead."""
        job: Row = {
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
            "created_at": NOW,
            "updated_at": NOW,
        } | fields
        job.setdefault("next_run_at", self._first(job))
        with self.lock:
            self.jobs[job_id] = job
        return job

    def change_job(self, job_id: int, **fields: Any) -> None:
        """As a PATCH of these fields."""
        with self.lock:
            job = self.jobs[job_id]
            job |= fields
            if fields.keys() & {"cron_expression", "run_at", "timezone", "is_active", "status"}:
                job["next_run_at"] = self._first(job)

    @staticmethod
    def _first(job: Row) -> str | None:
        if not _is_on(job):
            return None
        run_at: str | None = job["run_at"]
        return run_at or _next(job, datetime.now(UTC))

    def add_user(self, user_id: int = 7, **fields: Any) -> None:
        """A user; those of jobs get messages without one."""
        row = {"id": user_id, "telegram_id": 700, "role": "member", "is_active": True}
        with self.lock:
            self.users[user_id] = row | {"created_at": NOW, "updated_at": NOW} | fields

    def add_firing(self, job_id: int, scheduled_for: str, **fields: Any) -> Row:
        """A claimed firing that nobody has reported on."""
        firing = {
            "id": len(self.firings) + 1,
            "cron_job_id": job_id,
            "scheduled_for": scheduled_for,
            "status": "running",
            "claimed_by": None,
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
                rows = [
                    job for _, job in sorted(self.jobs.items()) if _is_on(job) and self._is_reachable(job)
                ]
                rows = [job for job in rows if job["id"] > int(query["after_id"])]
                return 200, rows[: int(query["limit"])]
            case "GET /api/cron-jobs/#" if numbers[0] in self.jobs:
                return 200, self.jobs[numbers[0]]
            case "GET /api/cron-jobs/firings":
                return 200, self._page([f for f in self.firings if self._is_listed(f, query)], query)
            case "POST /api/cron-jobs/#/firings" if numbers[0] in self.jobs:
                return self._claim(self.jobs[numbers[0]], body)
            case "PATCH /api/cron-jobs/#/firings/#":
                return self._report(numbers, body)
            case "GET /api/users/#" if numbers[0] in self.users:
                return 200, self.users[numbers[0]]
        return 404, {"code": "not_found", "message": "no such row"}

    @staticmethod
    def _page(rows: list[Row], query: dict[str, str]) -> list[Row]:
        offset = int(query["offset"])
        return rows[offset : offset + int(query["limit"])]

    def _is_reachable(self, job: Row) -> bool:
        user = self.users.get(job["user_id"])
        return user is None or (user["is_active"] and user["role"] != "blocked")

    def _is_listed(self, firing: Row, query: dict[str, str]) -> bool:
        job = self.jobs.get(firing["cron_job_id"])
        return job is not None and self._is_reachable(job) and firing["status"] == query["status"]

    def _claim(self, job: Row, body: Any) -> tuple[int, Any]:
        at, now = _moment(body["scheduled_for"]), datetime.now(UTC)
        due = job["next_run_at"] and _moment(job["next_run_at"])
        if at == due and _is_on(job) and self._is_reachable(job):
            job["next_run_at"] = _next(job, max(now, at))
            claimed = {"claimed_by": body.get("claimed_by"), "started_at": now.isoformat()}
            firing = self.add_firing(job["id"], at.isoformat(), **claimed)
            return 201, firing | {"next_run_at": job["next_run_at"]}
        for firing in self.firings:
            is_same = (firing["cron_job_id"], _moment(firing["scheduled_for"])) == (job["id"], at)
            if is_same and firing["claimed_by"] and firing["claimed_by"] == body.get("claimed_by"):
                return 200, firing | {"next_run_at": job["next_run_at"]}
        return 409, {"code": "conflict", "message": "not what it has coming", "field": "scheduled_for"}

    def _report(self, numbers: list[int], body: Any) -> tuple[int, Any]:
        firing = next((f for f in self.firings if [f["cron_job_id"], f["id"]] == numbers), None)
        if firing is None:
            return 404, {"code": "not_found", "message": "no such firing"}
        was, status = FiringStatus(firing["status"]), FiringStatus(body["status"])
        if was is status:
            return 200, firing
        if status not in FIRING_TRANSITIONS[was]:
            return 409, {"code": "conflict", "message": f"it is {was}", "field": "status"}
        firing |= body
        if FIRING_TRANSITIONS[status]:
            return 200, firing
        firing["finished_at"] = datetime.now(UTC).isoformat()
        job = self.jobs[numbers[0]]
        if job["run_at"] and _moment(job["run_at"]) <= _moment(firing["scheduled_for"]):
            job |= {"status": "failed" if status is FiringStatus.FAILED else "done", "next_run_at": None}
        return 200, firing
