"""APScheduler's pool of threads, with one difference: the job learns the time that it is run for."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job


class FiringExecutor(BaseExecutor):  # type: ignore[misc]  # APScheduler 3 has no annotations
    """Calls `job.func(*job.args, *run_times)`; `run_times` are the scheduled times, not the actual ones."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="firing")

    def shutdown(self, wait: bool = True) -> None:
        """Let the running firings end; those that wait are caught up at the next start."""
        self._pool.shutdown(wait, cancel_futures=True)

    def _do_submit_job(self, job: Job, run_times: list[datetime]) -> None:
        def done(future: Future[None]) -> None:
            exc = None if future.cancelled() else future.exception()
            if exc is None:
                self._run_job_success(job.id, [])
            else:
                self._run_job_error(job.id, exc, exc.__traceback__)

        self._pool.submit(job.func, *job.args, *run_times).add_done_callback(done)
