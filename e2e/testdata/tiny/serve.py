"""Answer the mean, with the standard library alone."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

folder = Path(os.environ["SM_MODEL_DIR"])
mean = json.loads((folder / "mean.json").read_text())["mean"]
about = json.loads((folder / "towline.json").read_text())


class Handler(BaseHTTPRequestHandler):
    """SageMaker's two routes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Answer /ping."""
        self.reply(200 if self.path == "/ping" else 404, b"")

    def do_POST(self):
        """Answer /invocations."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.reply(200, json.dumps({"mean": mean, "identity": about["identity"]}).encode())

    def reply(self, status, body):
        """Send one answer."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
