"""What the server answers."""

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import serve
import server

ROOT = Path(__file__).parent.parent
SAMPLE = (ROOT / "sample.json").read_bytes()
ABOUT = {"project": "breast-cancer", "model": "diagnosis"}


@pytest.fixture(scope="module", name="port")
def fixture_port(trained):
    """Serve the trained model on loopback."""
    (trained / "model" / "towline.json").write_text(json.dumps(ABOUT))
    predictor = serve.Predictor(trained / "model")
    running = server.Server("127.0.0.1", 0, predictor.columns, predictor.answer)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running.server_address[1]
    running.shutdown()
    running.server_close()
    thread.join()


def ask(port, method, path, body=None, content_type="application/json"):
    """Ask once; answers status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_ping(port):
    """A loaded model is healthy."""
    assert ask(port, "GET", "/ping") == (200, b"")


def test_a_prediction_names_its_model(port):
    """Label and probability for every row, and what the model knows of itself."""
    status, body = ask(port, "POST", "/invocations", SAMPLE)
    answer = json.loads(body)
    assert status == 200
    assert answer["model"] == ABOUT
    assert len(answer["predictions"]) == 2
    for prediction in answer["predictions"]:
        assert prediction["label"] in ("benign", "malignant")
        assert 0.5 <= prediction["probability"] <= 1


def test_csv_and_json_agree(port):
    """The test file's header may stay; lists and objects mean the same."""
    rows = [list(instance.values()) for instance in json.loads(SAMPLE)["instances"]]
    lines = "\n".join(",".join(map(str, row)) for row in rows)
    header = ",".join(json.loads(SAMPLE)["instances"][0])
    want = ask(port, "POST", "/invocations", SAMPLE)
    assert ask(port, "POST", "/invocations", json.dumps({"instances": rows})) == want
    assert ask(port, "POST", "/invocations", lines, "text/csv; charset=utf-8") == want
    assert ask(port, "POST", "/invocations", f"{header}\n{lines}\n", "text/csv") == want


@pytest.mark.parametrize(
    ("body", "content_type", "status", "problem"),
    [
        ("{", "application/json", 400, "not JSON"),
        ("[" * 100_000, "application/json", 400, "not JSON"),
        ("[]", "application/json", 400, "expected {"),
        ('{"instances": []}', "application/json", 400, "no rows"),
        ('{"instances": [7]}', "application/json", 400, "expected a list or an object"),
        ('{"instances": [[1, 2]]}', "application/json", 400, "2 values, expected 30"),
        ('{"instances": [{"mean_radius": 1}]}', "application/json", 400, "no mean_texture"),
        (json.dumps({"instances": [["x"] * 30]}), "application/json", 400, "not a number"),
        (json.dumps({"instances": [[None] * 30]}), "application/json", 400, "not a number"),
        (json.dumps({"instances": [[1e999] * 30]}), "application/json", 400, "not finite"),
        (b"\xff\xfe", "text/csv", 400, "not CSV"),
        ("1,2", "text/csv", 400, "2 values, expected 30"),
        ("", "text/csv", 400, "no rows"),
        ("x", "image/png", 415, "image/png"),
    ],
)
def test_a_bad_request_is_told_why(port, body, content_type, status, problem):
    """The client's mistakes are 4xx, with a reason."""
    got, answer = ask(port, "POST", "/invocations", body, content_type)
    assert got == status
    assert problem in json.loads(answer)["error"]


def test_other_paths(port):
    """There are two addresses."""
    assert ask(port, "GET", "/")[0] == 404
    assert ask(port, "POST", "/predict", SAMPLE)[0] == 404


def test_a_body_that_is_too_large_ends_the_connection(port):
    """Nobody reads six megabytes to refuse them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Length", str(server.LARGEST_BODY + 1))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert response.getheader("Connection") == "close"
    connection.close()


def test_many_at_once(port):
    """Requests side by side, each connection used many times."""

    def client(_):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            statuses = set()
            for _ in range(10):
                connection.request("POST", "/invocations", SAMPLE)
                response = connection.getresponse()
                response.read()
                statuses.add(response.status)
            return statuses
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert set().union(*pool.map(client, range(8))) == {200}
