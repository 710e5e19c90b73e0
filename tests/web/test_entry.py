"""Who may see the pages: by name, address, token and proxy. No server is needed to say so."""

import pytest
from msgspec import structs

from syncagent.config import PagesTable, is_loopback
from syncagent.config.pages import ProxyTable
from syncagent.errors import ConfigError, Problem
from syncagent.web.entry import Entry, Head, Refusal, Visitor, cookie_of

TOKEN = "a-long-token"
PROXY = ProxyTable("X-Forwarded-User", ("10.0.0.5", "10.1.0.0/16"))


def head(host="127.0.0.1:8474", peer="127.0.0.1", **headers) -> Head:
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    return Head({"host": host, **given}, peer)


def entry(*, local=True, token="", **table) -> Entry:
    return Entry(PagesTable(**table), local=local, reveal=(lambda: token) if token else None)


class TestNames:
    @pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:8474", "[::1]:8474", "LOCALHOST"])
    def test_this_machine_by_any_of_its_own_names(self, host):
        assert entry().host(head(host)) is None

    @pytest.mark.parametrize(
        "host",
        ["", "evil.example", "evil.example:8474", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1@evil",
         "localhost:8474:1", "localhost/", " localhost", "192.0.2.1", "::1"],
    )  # fmt: skip
    def test_a_name_that_somebody_let_point_here_is_refused(self, host):
        refused = entry().host(head(host))
        assert refused is not None
        assert refused.status == 421

    def test_a_name_that_the_config_gives_is_served_and_no_other(self):
        named = entry(hosts=("agent.example.com",), token=TOKEN, local=False)
        assert named.host(head("Agent.example.com")) is None
        assert named.host(head("other.example.com")) is not None

    def test_elsewhere_with_a_token_any_name_does_unless_some_are_given(self):
        assert entry(token=TOKEN, local=False).host(head("agent.example.com")) is None
        assert entry(local=False).host(head("agent.example.com")) is not None
        assert entry(token=TOKEN, local=True).host(head("agent.example.com")) is not None


class TestThisMachine:
    def test_needs_no_login(self):
        assert isinstance(entry().visitor(head()), Visitor)
        assert isinstance(entry().visitor(head(peer="::1")), Visitor)

    @pytest.mark.parametrize("peer", ["192.0.2.7", "10.0.0.1", "", "127.0.0.1.example", "::ffff:192.0.2.1"])
    def test_others_do_not_come_in(self, peer):
        refused = entry().visitor(head(peer=peer))
        assert isinstance(refused, Refusal)
        assert refused.status == 403

    def test_nobody_comes_in_where_the_listener_is_open_to_others_and_there_is_no_token(self):
        refused = entry(local=False).visitor(head())
        assert isinstance(refused, Refusal)
        assert "token" in refused.why

    @pytest.mark.parametrize("name", ["x_forwarded_for", "forwarded", "via", "x_real_ip", "x_forwarded_host"])
    def test_what_a_proxy_passes_on_may_be_anybodys(self, name):
        refused = entry().visitor(head(**{name: "192.0.2.1"}))
        assert isinstance(refused, Refusal)
        assert "proxy" in refused.why

    @pytest.mark.parametrize(
        ("listen", "local"),
        [("127.0.0.1:8474", True), ("127.8.8.8:1", True), ("[::1]:8474", True), ("localhost:1", True),
         ("0.0.0.0:8474", False), ("[::]:8474", False), ("192.0.2.1:80", False), ("agent.example.com:80", False)],
    )  # fmt: skip
    def test_which_addresses_are_this_machines(self, listen, local):
        assert is_loopback(listen) is local


class TestToken:
    def test_whoever_knows_it_gets_a_session_that_opens_and_can_be_ended(self):
        door = entry(token=TOKEN)
        asked = door.visitor(head())
        assert isinstance(asked, Refusal)
        assert asked.login
        session = door.sign_in(TOKEN)
        assert isinstance(session, str)
        cookie = cookie_of(Visitor(session)).partition(";")[0]
        assert door.visitor(head(cookie=f"other=1; {cookie}; more=2")) == Visitor(session)
        door.sign_out(session)
        assert isinstance(door.visitor(head(cookie=cookie)), Refusal)

    def test_also_at_this_machine_once_there_is_one(self):
        assert isinstance(entry(token=TOKEN).visitor(head()), Refusal)

    @pytest.mark.parametrize("given", ["", "wrong", TOKEN + "x", TOKEN[:-1], TOKEN.upper(), "\udcff"])
    def test_a_wrong_one_opens_nothing(self, given):
        refused = entry(token=TOKEN).sign_in(given)
        assert isinstance(refused, Refusal)
        assert TOKEN not in refused.why

    def test_a_made_up_session_opens_nothing(self):
        door = entry(token=TOKEN)
        for cookie in ("syncagent-0=" + "a" * 32, "syncagent-0=", "syncagent", "xsyncagent-0=" + "a" * 32):
            assert isinstance(door.visitor(head(cookie=cookie)), Refusal)

    def test_a_session_counts_where_its_cookie_names_the_port(self):
        door = entry(token=TOKEN)
        session = door.sign_in(TOKEN)
        asked = structs.replace(head(cookie=f"syncagent-8474={session}; syncagent-9000={'b' * 32}"), port=8474)
        assert door.visitor(asked) == Visitor(session, port=8474)
        assert isinstance(door.visitor(structs.replace(asked, port=9000)), Refusal)

    def test_whoever_guesses_has_to_wait_and_so_does_everybody(self):
        door = entry(token=TOKEN)
        for _ in range(10):
            assert door.sign_in("guess").status == 401
        assert door.sign_in("guess").status == 429
        assert door.sign_in(TOKEN).status == 429

    def test_an_empty_token_opens_nothing(self):
        assert isinstance(Entry(PagesTable(), local=True, reveal=lambda: "").sign_in(""), Refusal)

    def test_a_token_that_cannot_be_read_opens_nothing_and_says_so(self):
        def gone() -> str:
            raise ConfigError([Problem("secret", "/run/token cannot be read")])

        refused = Entry(PagesTable(), local=True, reveal=gone).sign_in("x")
        assert refused.status == 503


class TestProxy:
    def test_whom_a_trusted_proxy_names_comes_in(self):
        door = entry(proxy=PROXY, local=False)
        found = door.visitor(head("agent.example.com", "10.0.0.5", x_forwarded_user="ana", x_forwarded_proto="https"))
        assert isinstance(found, Visitor)
        assert found.name == "ana"
        assert "; Secure" in cookie_of(found)
        assert isinstance(door.visitor(head(peer="10.1.2.3", x_forwarded_user="ana")), Visitor)

    @pytest.mark.parametrize("peer", ["10.0.0.6", "127.0.0.1", "192.0.2.1", "10.0.0.50", ""])
    def test_anybody_else_who_claims_to_be_somebody_does_not(self, peer):
        assert isinstance(entry(proxy=PROXY, local=False).visitor(head(peer=peer, x_forwarded_user="ana")), Refusal)
        assert isinstance(entry(proxy=PROXY, local=True).visitor(head(peer=peer, x_forwarded_user="ana")), Refusal)

    def test_a_proxy_that_names_nobody_lets_nobody_in(self):
        refused = entry(proxy=PROXY, local=False).visitor(head(peer="10.0.0.5"))
        assert isinstance(refused, Refusal)
        assert entry(proxy=PROXY, token=TOKEN, local=False).visitor(head(peer="10.0.0.5")).login


class TestForms:
    def test_only_a_form_of_this_session_is_ours(self):
        door = entry()
        mine = door.form_token("s1")
        assert door.form(head(), "s1", mine) is None
        assert door.form(head(), "s2", mine) is not None
        assert door.form(head(), "s1", "") is not None
        assert door.form(head(), "s1", "\udcff") is not None
        assert entry().form(head(), "s1", mine) is not None

    def test_a_form_from_another_site_is_refused_even_with_the_right_token(self):
        door = entry()
        mine = door.form_token("s1")
        assert door.form(head(origin="http://127.0.0.1:8474"), "s1", mine) is None
        for origin in ("http://evil.example", "null", "http://127.0.0.1:9999"):
            assert door.form(head(origin=origin), "s1", mine) is not None
        assert door.form(head(sec_fetch_site="cross-site"), "s1", mine) is not None
        assert door.form(head(sec_fetch_site="same-site"), "s1", mine) is not None
