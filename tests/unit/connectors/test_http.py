"""The one way to call a vendor: what is tried again, what is told, and what is never said."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from syncagent.clock import ManualClock
from syncagent.connectors.http import Budget, Http, Reply, masked
from syncagent.errors import ConfigError, ConnectorDownError, RetryableError


class Vendor:
    """A real server on loopback that answers from a script: (status, headers, body), "close" or "cut"."""

    def __init__(self) -> None:
        self.script: list = []
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                outer.seen.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
                step = outer.script.pop(0) if outer.script else (200, {}, b"{}")
                if step == "close":
                    self.close_connection = True
                    return
                if step == "cut":
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b'9\r\n{"a": [1,\r\n')
                    self.close_connection = True
                    return
                status, headers, body = step
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = answer  # noqa: N815 - the names of http.server

            def log_message(self, *args: object) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.server.shutdown()
    vendor.server.server_close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def http(vendor: Vendor, waits: list[float]) -> Iterator[Http]:
    with Http(vendor.url, name="acme", sleep=lambda seconds: bool(waits.append(seconds))) as http:
        yield http


TROUBLES = {
    "500 with an empty body": (500, {}, b""),
    "503 with HTML": (503, {"Content-Type": "text/html"}, b"<html>down</html>"),
    "429": (429, {}, b"{}"),
    "a web page with 200": (200, {"Content-Type": "text/html"}, b"<html>log in</html>"),
    "closed": "close",
    "cut body": "cut",
}


BRIEF = {name: trouble for name, trouble in TROUBLES.items() if "page" not in name}  # the others ask for a long pause


@pytest.mark.parametrize("trouble", BRIEF.values(), ids=BRIEF.keys())
def test_a_read_is_tried_again(vendor: Vendor, http: Http, waits: list[float], trouble) -> None:
    vendor.script = [trouble, (200, {}, b'{"a": 1}')]
    assert http.call("GET", "/x").decode(dict[str, int]) == {"a": 1}
    assert len(vendor.seen) == 2
    assert len(waits) == 1
    assert http.budget.calls()["made"] == 2


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_a_write_is_sent_once_and_its_message_holds_no_secret(vendor: Vendor, http: Http, trouble) -> None:
    vendor.script = [trouble]
    with pytest.raises(RetryableError) as caught:
        http.call(
            "POST",
            "/rows",
            params={"access_token": "s3cret"},
            json={"email": "ann@example.com"},
            headers={"Authorization": "Bearer s3cret"},
        )
    assert len(vendor.seen) == 1
    assert "POST /rows" in str(caught.value)
    assert "s3cret" not in repr(caught.value)
    assert "ann@" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_write_marked_safe_is_tried_again(vendor: Vendor, http: Http) -> None:
    vendor.script = ["close"]
    assert http.call("POST", "/query", json={}, safe=True).ok
    assert len(vendor.seen) == 2


def test_tries_are_bounded(vendor: Vendor, http: Http, waits: list[float]) -> None:
    vendor.script = [(503, {}, b"")] * 9
    with pytest.raises(RetryableError, match="HTTP 503 with an empty body"):
        http.call("GET", "/x")
    assert len(vendor.seen) == 4
    assert waits == sorted(waits)


def test_a_busy_vendor_is_asked_again_when_it_said(vendor: Vendor, http: Http, waits: list[float]) -> None:
    vendor.script = [(429, {"Retry-After": "7"}, b"{}")]
    assert http.call("GET", "/x").ok
    assert waits == [7.0]


def test_a_long_pause_is_left_to_the_agent(vendor: Vendor, http: Http, waits: list[float]) -> None:
    vendor.script = [(429, {"Retry-After": "120"}, b"{}")]
    with pytest.raises(RetryableError) as caught:
        http.call("GET", "/x")
    assert caught.value.after == 120
    assert waits == []


def test_a_stop_ends_the_waiting(vendor: Vendor) -> None:
    vendor.script = [(503, {}, b"")] * 4
    with (
        Http(vendor.url, name="acme", sleep=lambda seconds: True) as http,
        pytest.raises(RetryableError, match="stopping"),
    ):
        http.call("GET", "/x")
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("status", [200, 201, 204, 300, 304, 400, 401, 403, 404, 412])
def test_what_a_connector_can_read_is_returned(vendor: Vendor, http: Http, status: int) -> None:
    vendor.script = [(status, {"Sforce-Limit-Info": "api-usage=1/5"}, b"" if status in (204, 304) else b"[]")]
    reply = http.call("PATCH", "/x", json={})
    assert reply.status == status
    assert reply.headers["sforce-limit-info"] == "api-usage=1/5"
    assert reply.date is not None
    assert abs(reply.date - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_redirect_is_not_followed(vendor: Vendor, http: Http) -> None:
    vendor.script = [(302, {"Location": "http://127.0.0.1:1/elsewhere"}, b"")]
    with pytest.raises(RetryableError, match="points to another address"):
        http.call("POST", "/x", json={})


def test_netrc_and_cookies_stay_out(vendor: Vendor, http: Http, tmp_path, monkeypatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    vendor.script = [(200, {"Set-Cookie": "sid=1; Path=/"}, b"{}")]
    http.call("GET", "/x", headers={"Authorization": "Bearer ours"})
    http.call("GET", "/x", headers={"Authorization": "Bearer ours"})
    assert [headers["Authorization"] for _, _, headers, _ in vendor.seen] == ["Bearer ours"] * 2
    assert all("Cookie" not in headers for _, _, headers, _ in vendor.seen)


def test_a_body_of_another_shape_is_retryable_and_not_shown() -> None:
    with pytest.raises(RetryableError) as caught:
        Reply(200, {}, b'{"email": "ann@example.com"}', "acme (GET /x)").decode(list[int])
    assert "ann@" not in str(caught.value)


def test_nobody_listens() -> None:
    with Http("http://127.0.0.1:9", name="acme", tries=1) as http, pytest.raises(RetryableError, match="refused"):
        http.call("GET", "/x")


@pytest.mark.parametrize(
    "url", ["acme.example.com", "ftp://x.example", "http://acme.example.com", "https://u:p4ss@x.example"]
)
def test_addresses_that_would_leak_are_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Http(url, name="crm.login_url")
    assert "p4ss" not in str(caught.value)


def test_the_budget_knows_how_far_the_vendors_clock_is_ahead() -> None:
    now = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
    budget = Budget("acme", clock=ManualClock(now))
    assert "skew" not in budget.calls()
    budget.saw_time(now + timedelta(seconds=90))
    assert budget.calls()["skew"] == 90_500
    budget.saw_time(now - timedelta(seconds=1))
    assert budget.calls()["skew"] == -500


def test_the_budget_is_a_sliding_day() -> None:
    clock = ManualClock(datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
    budget = Budget("acme", calls_per_day=3, clock=clock)
    budget.spend()
    clock.advance(timedelta(hours=20))
    budget.spend()
    budget.spend()
    with pytest.raises(ConnectorDownError) as caught:
        budget.spend()
    assert caught.value.until is not None
    assert timedelta(hours=4) <= caught.value.until - clock.now() <= timedelta(hours=4.5)
    clock.move_to(caught.value.until)
    budget.spend()
    with pytest.raises(ConnectorDownError):
        budget.spend()


def test_the_vendors_count_may_fall_back() -> None:
    budget = Budget("acme")
    for used in (4147, 4141, 4144, 4143):
        budget.saw(used, 5000)
    assert budget.calls() == {"made": 0, "used": 4147, "limit": 5000}
    assert budget.share() == pytest.approx(0.8294)
    for _ in range(8):
        budget.saw(10, 5000)
    assert budget.calls()["used"] == 10


def test_calls_from_many_threads_share_the_session(vendor: Vendor, http: Http) -> None:
    threads = [threading.Thread(target=http.call, args=("GET", f"/{n}")) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert http.budget.calls()["made"] == 20
    assert len({path for _, path, _, _ in vendor.seen}) == 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Email: invalid email address: ann.lee@example.com", "Email: invalid email address: a***@example.com"),
        ("<a+b@mail.example.co.uk>, c@example.org", "<a***@mail.example.co.uk>, c***@example.org"),
        ("nothing @ all, and user@localhost", "nothing @ all, and user@localhost"),
    ],
)
def test_addresses_in_a_vendors_text_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
