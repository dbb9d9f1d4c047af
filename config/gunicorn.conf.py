"""How gunicorn serves the site: several processes of several threads (`make serve`)."""

import multiprocessing
import os
from typing import Any

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
# A heist takes processor time, in the worker and in the database: more processes than processors do not help.
workers = int(os.environ.get("WEB_CONCURRENCY", max(2, multiprocessing.cpu_count())))
threads = int(os.environ.get("WEB_THREADS", 4))
# A worker that leaks memory is replaced in time; the jitter prevents that all are replaced at once.
max_requests = 10_000
max_requests_jitter = 1_000
timeout = 30
graceful_timeout = 30
accesslog = "-" if os.environ.get("ACCESS_LOG") else None
# gunicorn's own format, with the id of the request.
access_log_format = '%(h)s %(l)s %(u)s %(t)s [%({x-request-id}o)s] "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
# The control socket would be a file in the home folder, which a service may not have.
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    """Warn once where each process counts requests for itself."""
    # In a worker, because the settings must not be loaded in the parent: a reload would keep the old ones.
    from django.conf import settings

    if worker.age == 1 and settings.CACHES["default"]["BACKEND"].endswith(".LocMemCache"):
        worker.log.warning(
            "No CACHE_URL: request limits, those of signing in included, are counted per process (%d of them).", workers
        )
