"""The listener over real HTTP: what it answers, when, and what stands on the disk by then."""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncagent.errors import StoreFullError, UnreadableDeliveryError, UserError
from syncagent.state import open_store
from syncagent.web import Limits
from syncagent.web.listener import _check_depth
from tests.contract.webhook import JSON
from tests.web.doors import SECRET, Client, door, listening, secret  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("secret")
BODY = {"email": "ana@example.com", "kind": "form.submitted", "at": "2026-03-02T09:00:00Z", "key": "k1"}


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def rung():
    return []


@pytest.fixture
def client(store, rung):
    with listening(store, ring=rung.append) as listener:
        client = Client(listener.port)
        yield client
        client.close()


def kept(store) -> list[bytes]:
    return [post.body for post in store.inbox("site", 10_000)]


def calling(listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), timeout=10)


class TestAnswers:
    def test_what_is_signed_is_stored_and_answered(self, client, store, rung):
        assert client.ask(body=BODY) == (204, b"")
        assert kept(store) == [json.dumps(BODY).encode()]
        assert rung == ["site"]

    def test_a_connection_takes_many_and_all_stand_in_their_order(self, client, store):
        for number in range(50):
            assert client.ask(body={**BODY, "key": str(number)})[0] == 204
        assert [json.loads(body)["key"] for body in kept(store)] == [str(number) for number in range(50)]

    @pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer wrong", f"Basic {SECRET}", f"Bearer {SECRET}x"])
    def test_forged_401_and_nothing_is_stored(self, client, store, token):
        status, body = client.ask(body=BODY, Authorization=token)
        assert status == 401
        assert SECRET not in body.decode()
        assert kept(store) == []

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[1,", b'{"a":1}x', b"[" * 5000])
    def test_signed_but_unreadable_400(self, client, store, body):
        assert client.ask(body=body)[0] == 400
        assert kept(store) == []

    @pytest.mark.parametrize("path", ["/hooks/other", "/hooks/", "/hooks/site/x", "/", "/hooks/%73ite%00", "/metrics"])
    def test_no_such_door_404(self, client, store, path):
        assert client.ask(path=path, body=BODY)[0] == 404
        assert kept(store) == []

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
    def test_another_method_405_says_which(self, client, store, method):
        assert client.ask(method, body=BODY)[0] == 405
        assert client.headers["allow"] == "POST"
        assert kept(store) == []

    def test_too_deep_400(self, client, store):
        deep = b'{"email":"a@example.com","x":' + b"[" * 70 + b"]" * 70 + b"}"
        assert client.ask(body=deep)[0] == 400
        in_text = b'{"email":"a@example.com","x":"' + b'[{\\"' * 70 + b'"}'
        assert client.ask(body=in_text)[0] == 204
        wide = b'{"email":"a@example.com","x":[' + b",".join([b"[]"] * 500) + b"]}"
        assert client.ask(body=wide)[0] == 204
        assert kept(store) == [in_text, wide]

    def test_a_text_that_never_ends_costs_little(self, client):
        began = time.monotonic()
        client.ask(body=b"[" * 100 + b'"' + b'\\"' * 500_000)
        assert time.monotonic() - began < 5


@given(JSON)
def test_brackets_are_counted_as_they_nest_and_never_inside_texts(value):
    body = json.dumps(value).encode()

    def depth(one) -> int:
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        return isinstance(one, dict | list) + max(map(depth, inner), default=0)

    for most in (depth(value), depth(value) - 1):
        if most >= depth(value):
            _check_depth(body, most)
        elif most >= 0:
            with pytest.raises(UnreadableDeliveryError):
                _check_depth(body, most)


@given(st.binary(max_size=200) | st.text('[]{}\\\\"a', max_size=60).map(str.encode))
def test_any_bytes_are_counted_or_told_to_be_too_deep(body):
    with contextlib.suppress(UnreadableDeliveryError):
        _check_depth(body, 3)


class TestBounds:
    def test_too_large_413_by_its_length_and_by_its_bytes(self, store):
        with listening(store, limits=Limits(body=1000)) as listener:
            client = Client(listener.port)
            assert client.ask(body=b"x" * 1001)[0] == 413
            client.close()
            with calling(listener) as line:  # its last bytes are never sent: the answer comes before the end of it
                head = f"POST /hooks/site HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
                line.sendall(
                    head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + (b"190\r\n" + b"x" * 400 + b"\r\n") * 3
                )
                line.settimeout(5)
                assert line.recv(100).startswith(b"HTTP/1.1 413 ")
            client = Client(listener.port)
            assert client.ask(body=b'"' + b"x" * 998 + b'"')[0] == 204
            client.close()
        assert len(kept(store)) == 1

    def test_what_says_that_it_is_too_large_is_not_waited_for(self, store):
        with listening(store) as listener, calling(listener) as line:
            line.sendall(b"POST /hooks/site HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\n")
            line.settimeout(5)
            assert line.recv(100).startswith(b"HTTP/1.1 413 ")

    def test_a_body_that_does_not_come_is_not_waited_for(self, store):
        with listening(store, limits=Limits(seconds=0.2)) as listener, calling(listener) as line:
            line.sendall(b"POST /hooks/site HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            assert line.recv(100).startswith(b"HTTP/1.1 408 ")
        assert kept(store) == []

    def test_a_connection_that_says_nothing_is_hung_up_on(self, store):
        with listening(store, limits=Limits(idle=0.5)) as listener:
            for start in (b"", b"POST /hooks/site HTTP/1.1\r\nHost:"):
                with calling(listener) as line:
                    line.sendall(start)
                    assert line.recv(100) == b""

    def test_a_head_that_does_not_end_is_hung_up_on(self, store):
        with listening(store) as listener, calling(listener) as line:
            line.sendall(b"POST /hooks/site HTTP/1.1\r\nHost: x\r\nX-Long: ")
            line.settimeout(5)
            with pytest.raises(OSError):
                for _ in range(400):
                    line.sendall(b"x" * 65536)
                    time.sleep(0.001)

    def test_a_long_body_is_no_long_head(self, store):
        with listening(store) as listener:
            client = Client(listener.port)
            for _ in range(3):
                assert client.ask(body=b'"' + b"x" * 900_000 + b'"')[0] == 204
            client.close()

    def test_whoever_hangs_up_half_way_leaves_nothing(self, store):
        with listening(store) as listener:
            with calling(listener) as line:
                line.sendall(b"POST /hooks/site HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            client = Client(listener.port)
            assert client.ask(body=BODY)[0] == 204
            client.close()
        assert len(kept(store)) == 1

    def test_too_much_that_waits_for_the_disk_is_sent_away(self, store):
        never: Future[None] = Future()
        with listening(store, receive=lambda posts: never, limits=Limits(waiting_bytes=10)) as listener:
            first, second = Client(listener.port), Client(listener.port)
            waiting = threading.Thread(target=lambda: first.ask(body=BODY))
            waiting.start()
            deadline = time.monotonic() + 10
            while not listener.hooks._mail.bytes and time.monotonic() < deadline:
                time.sleep(0.01)
            assert second.ask(body=BODY)[0] == 503
            assert second.headers["retry-after"] == "1"
            never.set_result(None)
            waiting.join()
            first.close()
            second.close()


class TestDurability:
    def test_nobody_is_answered_before_the_commit(self, store):
        """The store's own promise is held back: so is the answer."""
        held: list[Future[None]] = []

        def receive(posts):
            held.append(Future())
            return held[-1]

        answers = []
        with listening(store, receive=receive) as listener:
            client = Client(listener.port)
            asking = threading.Thread(target=lambda: answers.append(client.ask(body=BODY)))
            asking.start()
            deadline = time.monotonic() + 10
            while not held and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.2)
            assert not answers
            held[0].set_result(None)
            asking.join()
            client.close()
        assert answers == [(204, b"")]

    @pytest.mark.parametrize("error", [StoreFullError("The disk is full."), RuntimeError("a bug")])
    def test_what_could_not_be_stored_is_503_and_the_next_one_is_tried_again(self, store, error):
        broken = [True]

        def receive(posts):
            if broken:
                failed: Future[None] = Future()
                failed.set_exception(error)
                return failed
            return store.receive(posts)

        with listening(store, receive=receive) as listener:
            client = Client(listener.port)
            assert client.ask(body=BODY)[0] == 503
            assert client.headers["retry-after"]
            broken.clear()
            assert client.ask(body=BODY)[0] == 204
            client.close()
        assert len(kept(store)) == 1

    def test_a_mistake_of_ours_is_503_for_all_who_wait(self, store):
        with listening(store, receive=lambda posts: 1 / 0) as listener:
            client = Client(listener.port)
            for _ in range(2):
                assert client.ask(body=BODY)[0] == 503
            client.close()

    def test_a_closed_state_answers_503(self, tmp_path):
        store = open_store(tmp_path / "other.db")
        with listening(store) as listener:
            store.close()
            client = Client(listener.port)
            assert client.ask(body=BODY)[0] == 503
            client.close()

    def test_those_who_wait_for_one_commit_share_the_next(self, store):
        groups: list[tuple[int, Future[None]]] = []

        def receive(posts):
            groups.append((len(posts), Future()))
            return groups[-1][1]

        with listening(store, receive=receive) as listener:
            clients = [Client(listener.port) for _ in range(9)]
            asking = [threading.Thread(target=client.ask, kwargs={"body": BODY}) for client in clients]
            asking[0].start()
            while not groups:
                time.sleep(0.01)
            for one in asking[1:]:
                one.start()
            while listener.hooks._mail.bytes < 9 * len(json.dumps(BODY)):
                time.sleep(0.01)
            groups[0][1].set_result(None)
            while len(groups) < 2:
                time.sleep(0.01)
            groups[1][1].set_result(None)
            for one in asking:
                one.join()
            for client in clients:
                client.close()
        assert [size for size, _ in groups] == [1, 8]


class TestStarting:
    def test_an_address_that_is_taken_is_told_with_what_helps(self, store):
        with listening(store) as listener, pytest.raises(UserError, match=r"listen.*\[agent\]"):
            taken = type(listener)({}, store.receive, print, None, f"127.0.0.1:{listener.port}")
            taken.start()

    @pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:x", ":", "256.0.0.1:1"])
    def test_what_is_no_address_is_told(self, store, address):
        from syncagent.web import Listener

        with pytest.raises(UserError):
            Listener({"site": door()}, store.receive, print, None, address).start()

    def test_forgeries_are_logged_once_a_minute_and_counted(self, store, caplog):
        with listening(store) as listener:
            client = Client(listener.port)
            for _ in range(5):
                client.ask(body=BODY, Authorization="Bearer wrong")
            client.ask(body=BODY)
            client.close()
        assert sum("401" in line for line in caplog.text.splitlines()) == 1
        assert listener.hooks.answered == {("site", 401): 5, ("site", 204): 1}
