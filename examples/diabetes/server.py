"""SageMaker's serving contract over HTTP, for a function that answers rows.

GET /ping says that the model is loaded; POST /invocations answers predictions
for application/json or text/csv.
"""

import contextlib
import csv
import io
import json
import logging
import math
import signal
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGEST_BODY = 6 * 1024 * 1024  # bytes: what a real-time endpoint takes
PATIENCE = 25  # seconds for open requests after SIGTERM; SageMaker kills after 30

Rows = list[list[float]]

log = logging.getLogger("serve")


class BadRequest(Exception):
    """A request that cannot be answered, and the status that says why."""

    def __init__(self, reason: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST):
        super().__init__(reason)
        self.status = status


def read_rows(content_type: str, body: bytes, columns: list[str]) -> Rows:
    """Read the body of a request: at least one row, each of finite numbers."""
    kind = content_type.partition(";")[0].strip().lower()
    readers = {"application/json": rows_of_json, "text/csv": rows_of_csv}
    if kind not in readers:
        reason = f"content type {kind!r}, expected one of: {', '.join(readers)}"
        raise BadRequest(reason, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    rows = readers[kind](body, columns)
    if not rows:
        raise BadRequest("no rows")
    return [numbers(row, at, columns) for at, row in enumerate(rows, start=1)]


def rows_of_json(body: bytes, columns: list[str]) -> list[list]:
    """Read {"instances": [...]}, each a list of values or an object of named values."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"not JSON: {error}") from error
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list):
        raise BadRequest('expected {"instances": [...]}')
    rows = []
    for at, instance in enumerate(instances, start=1):
        if isinstance(instance, dict):
            missing = [name for name in columns if name not in instance]
            if missing:
                raise BadRequest(f"instance {at}: no {', '.join(missing)}")
            instance = [instance[name] for name in columns]
        if not isinstance(instance, list):
            raise BadRequest(f"instance {at}: expected a list or an object")
        rows.append(instance)
    return rows


def rows_of_csv(body: bytes, columns: list[str]) -> list[list]:
    """Read lines of values in the order of the training columns; a header is allowed."""
    try:
        lines = [line for line in csv.reader(io.StringIO(body.decode())) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(f"not CSV: {error}") from error
    return lines[1:] if lines and lines[0] == columns else lines


def numbers(row: list, at: int, columns: list[str]) -> list[float]:
    """Make sure that a row holds the right number of finite numbers."""
    if len(row) != len(columns):
        raise BadRequest(f"instance {at}: {len(row)} values, expected {len(columns)}")
    values = []
    for name, value in zip(columns, row):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadRequest(f"instance {at}: {name} is not a number") from error
        if not math.isfinite(number):
            raise BadRequest(f"instance {at}: {name} is not finite")
        values.append(number)
    return values


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"  # keeps connections open
    wbufsize = -1  # head and body leave together
    path = ""
    server: "Server"

    def do_GET(self):  # pylint: disable=invalid-name
        """Answer the health check."""
        if self.path == "/ping":
            self.reply(HTTPStatus.OK, b"")
        else:
            self.reply_error(f"no {self.path}", HTTPStatus.NOT_FOUND)

    def do_POST(self):  # pylint: disable=invalid-name
        """Answer a prediction."""
        with self.server.open_request():
            try:
                body = self.read_body()
                if self.path != "/invocations":
                    raise BadRequest(f"no {self.path}", HTTPStatus.NOT_FOUND)
                content_type = self.headers.get("Content-Type", "application/json")
                rows = read_rows(content_type, body, self.server.columns)
                self.reply(HTTPStatus.OK, json.dumps(self.server.answer(rows)).encode())
            except BadRequest as error:
                self.reply_error(str(error), error.status)
            except OSError:
                self.close_connection = True  # the client has gone
            except Exception:  # pylint: disable=broad-exception-caught
                log.exception("prediction")
                self.reply_error("the model failed", HTTPStatus.INTERNAL_SERVER_ERROR)

    def read_body(self) -> bytes:
        """Read the body. A body that stays unread ends the connection."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            self.close_connection = True
            raise BadRequest("no Content-Length", HTTPStatus.LENGTH_REQUIRED)
        if int(length) > LARGEST_BODY:
            self.close_connection = True
            reason = f"{length} bytes, at most {LARGEST_BODY}"
            raise BadRequest(reason, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self.rfile.read(int(length))

    def reply_error(self, reason: str, status: HTTPStatus):
        """Answer an error as JSON."""
        self.reply(status, json.dumps({"error": reason}).encode())

    def reply(self, status: HTTPStatus, body: bytes):
        """Answer a status and a body."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection or self.server.stopping:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    # The name of the argument is that of the base class.
    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        """Log requests, but no health checks."""
        if self.path != "/ping":
            log.info("%s %s", self.address_string(), format % args)


class Server(ThreadingHTTPServer):
    """A thread for each connection; open requests are answered before it ends."""

    daemon_threads = True  # an idle connection does not keep the process alive
    request_queue_size = 128

    def __init__(self, host: str, port: int, columns: list[str], answer: Callable[[Rows], dict]):
        super().__init__((host, port), Handler)
        self.columns = columns
        self.answer = answer
        self.stopping = False
        self._open = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def open_request(self):
        """Count a request as open."""
        with self._changed:
            self._open += 1
        try:
            yield
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def stop(self, *_):
        """Take no more connections; may be called from a signal handler."""
        self.stopping = True
        threading.Thread(target=self.shutdown).start()

    def run(self):
        """Serve until SIGTERM or Ctrl-C, then finish what is open."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        log.info("serving on port %d", self.server_address[1])
        self.serve_forever(poll_interval=0.1)
        self.server_close()
        with self._changed:
            self._changed.wait_for(lambda: self._open == 0, timeout=PATIENCE)
        log.info("stopped")
