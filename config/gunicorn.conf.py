"""How gunicorn serves the site: several processes of several threads (`make serve`)."""

import multiprocessing
import os

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
# A heist is processor time, in the worker as in the database: more of either only get in one another's way.
workers = int(os.environ.get("WEB_CONCURRENCY", max(2, multiprocessing.cpu_count())))
threads = int(os.environ.get("WEB_THREADS", 4))
# A worker that leaks is replaced before it hurts; the jitter keeps them from going all at once.
max_requests = 10_000
max_requests_jitter = 1_000
timeout = 30
graceful_timeout = 30
accesslog = "-" if os.environ.get("ACCESS_LOG") else None
# It would be a file in the home folder, which a service may not have.
control_socket_disable = True
