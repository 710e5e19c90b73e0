"""What stands before every page, over real HTTP."""

import re

import pytest

from syncagent.config import PagesTable
from syncagent.config.pages import ProxyTable
from tests.web.desk import browsing, serving, story, theatre

PATHS = ("/", "/board", "/people", "/people/1", "/outbox", "/reports", "/process", "/process.svg", "/config", "/none")
TOKEN = "a-long-token"


@pytest.fixture
def play(tmp_path):
    with theatre(tmp_path) as made:
        story(made)
        yield made


@pytest.mark.parametrize("path", [*PATHS, "/login", "/static/pages.css", "/favicon.ico", "/people/x", "/%00"])
def test_every_answer_has_the_strict_heads(play, path):
    with browsing(play) as browser:
        browser.get(path)
        heads = browser.headers
        policy = heads["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert heads["x-content-type-options"] == "nosniff"
        assert heads["referrer-policy"] == "same-origin"
        if "css" not in path and "ico" not in path:
            assert heads["cache-control"] == "no-store"


def test_the_sign_in_the_browsers_tab_is_there_for_everybody(play):
    with browsing(play, PagesTable(), local=False) as browser:
        assert browser.get("/favicon.ico")[0] == 200
        assert browser.headers["content-type"] == "image/svg+xml"
        assert browser.get("/")[0] == 403


@pytest.mark.parametrize("path", PATHS)
def test_no_page_has_a_style_or_a_script_of_its_own(play, path):
    with browsing(play) as browser:
        _, text = browser.get(path)
        if path.endswith(".svg"):
            return
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", text), path
        assert "http://" not in text.replace("http://www.w3.org/", "")
        assert "https://" not in text


def test_the_cookie_is_kept_from_scripts_and_other_sites(play):
    with browsing(play) as browser:
        browser.get("/")
        cookie = browser.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        browser.get("/")
        assert browser.headers["set-cookie"] is None


@pytest.mark.parametrize("path", PATHS)
def test_under_a_foreign_name_nothing_is_shown(play, path):
    with browsing(play, host="rebound.example:8474") as browser:
        status, text = browser.get(path)
        assert status == 421
        assert "Mia" not in text
        assert "set-cookie" not in browser.headers


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/login"])
def test_with_a_token_nothing_is_shown_before_the_login(play, path):
    with browsing(play, reveal=lambda: TOKEN) as browser:
        status, text = browser.get(path)
        assert status == 303
        assert browser.headers["location"] == "/login"
        assert text == ""
        status, text = browser.post("/outbox", {"do": "drop", "key": "x"})
        assert status == 401
        assert "Mia" not in text


def test_login_and_logout(play):
    with browsing(play, reveal=lambda: TOKEN) as browser:
        status, text = browser.get("/login")
        assert status == 200
        assert "Health" not in text  # no way in from here
        stranger = browser.cookie
        assert browser.post("/login", {"token": "wrong"})[0] == 401
        assert browser.get("/")[0] == 303
        assert browser.post("/login", {"token": TOKEN}, csrf="forged")[0] == 403
        assert browser.post("/login", {"token": TOKEN})[0] == 303
        assert browser.cookie != stranger, "a session that was known before the login must not be the one after it"
        status, text = browser.get("/")
        assert status == 200
        assert "Sign out" in text
        assert browser.post("/logout")[0] == 303
        assert browser.get("/")[0] == 303


def test_two_agents_on_one_host_sign_nobody_out_of_the_other(play):
    with browsing(play, reveal=lambda: TOKEN) as one, browsing(play, reveal=lambda: TOKEN) as other:
        for browser in (one, other):
            browser.get("/login")
            assert browser.post("/login", {"token": TOKEN})[0] == 303
        both = {pair.partition("=")[0]: pair for pair in (one.cookie, other.cookie)}  # a browser's one jar for the host
        one.cookie = other.cookie = "; ".join(both.values())
        assert (one.get("/")[0], other.get("/")[0]) == (200, 200)


def test_a_request_through_an_unnamed_proxy_is_nobodys(play):
    with browsing(play, headers={"X_Forwarded_For": "192.0.2.1"}) as browser:
        status, text = browser.get("/people/1")
        assert status == 403
        assert "Mia" not in text


def test_whom_a_named_proxy_signs_in_is_shown_by_name(play):
    table = PagesTable(proxy=ProxyTable("X-User", ("127.0.0.1",)))
    with browsing(play, table, headers={"X_User": "<b>ana</b>"}) as browser:
        status, text = browser.get("/")
        assert status == 200
        assert "&lt;b&gt;ana&lt;/b&gt;" in text
    with browsing(play, table) as browser:
        assert browser.get("/")[0] == 403


class TestForms:
    def test_a_post_needs_the_token_of_its_page(self, play):
        with browsing(play) as browser:
            browser.get("/people")
            assert browser.post("/people", {"who": "mia@example.com"})[0] == 303
            for forged in ("", "0" * 64, "x"):
                assert browser.post("/people", {"who": "mia@example.com"}, csrf=forged)[0] == 403
            mine, browser.cookie = browser.csrf, ""
            assert browser.post("/people", {"who": "mia@example.com"}, csrf=mine)[0] == 403

    def test_a_post_from_another_site_is_refused(self, play):
        with browsing(play) as browser:
            browser.get("/people")
            ok = {"who": "mia@example.com"}
            assert browser.post("/people", ok, Origin=f"http://127.0.0.1:{browser.http.port}")[0] == 303
            assert browser.post("/people", ok, Origin="http://evil.example")[0] == 403
            assert browser.post("/people", ok, Origin="null")[0] == 403
            assert browser.post("/people", ok, Sec_Fetch_Site="cross-site")[0] == 403

    def test_what_is_no_form_and_what_is_too_long_is_refused(self, play):
        with browsing(play) as browser:
            browser.get("/people")
            assert browser.post("/people", {}, Content_Type="application/json")[0] == 415
            assert browser.post("/people", {}, Content_Type="multipart/form-data; boundary=x")[0] == 415
            assert browser.post("/people", {"who": "x" * 70_000})[0] == 413
            browser.http.close()
            assert browser.post("/people", {str(n): "1" for n in range(2500)})[0] == 400

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
    def test_other_methods_do_nothing(self, play, method):
        with browsing(play) as browser:
            assert browser._ask(method, "/outbox", None, {})[0] == 405

    def test_pages_that_only_show_take_no_form(self, play):
        with browsing(play) as browser:
            browser.get("/")
            for path in ("/", "/board", "/config", "/process", "/people/1"):
                assert browser.post(path)[0] == 405


def test_no_address_and_no_log_line_names_anybody(play, caplog):
    with caplog.at_level("DEBUG"), browsing(play) as browser:
        browser.get("/people")
        status, _ = browser.post("/people", {"who": "mia@example.com"})
        assert status == 303
        assert re.fullmatch(r"/people/\d+", browser.headers["location"])
        browser.post("/people", {"who": "nobody@example.com"})
        for path in PATHS:
            _, text = browser.get(path)
            for link in re.findall(r'(?:href|src|action)="([^"]*)"', text):
                assert "@" not in link
                assert "mia" not in link.lower()
    assert "mia@" not in caplog.text
    assert "nobody@" not in caplog.text


def test_the_listener_says_what_it_serves_and_hooks_are_as_before(play):
    with serving(play) as listener:
        assert listener.port
        assert not listener.needed
