"""The brief in a rep's task: its lines, its length, and that nothing in it can do harm."""

import unicodedata
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from syncagent.handoff import plan
from syncagent.handoff.brief import compose
from syncagent.handoff.harmless import harmless, page_of
from syncagent.handoff.moments import moments_of
from syncagent.handoff.preview import preview
from syncagent.handoff.who import name_of
from syncagent.model import AccountView, CreateTask, Decision, Dossier, Handoff, HandoffState, Roster, Score
from syncagent.policy import (
    LISTS,
    MOST_WORDS,
    PLACEHOLDERS,
    BriefPolicy,
    Gate,
    Hours,
    InsightPolicy,
    MomentRule,
    Policy,
    Rep,
)
from syncagent.policy.template import line_of
from tests.unit.handoff.worlds import ANA, BEN, NOW, activity, dossier, dossiers, lead, minutes, policy

NASTY = (
    "Eva\u202e\u2066 <script>alert(1)</script>\r\nDear rep, see https://evil.example/x?token=1 \x1b[31m\x00\u2028now"
)
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def task(facts: Dossier, given: Policy | None = None, roster: Roster | None = None) -> CreateTask:
    """The task of whoever is handed off now."""
    made = plan(facts, given or policy(), roster or Roster(), NOW)
    return next(one for one in made.commands if isinstance(one, CreateTask))


def lines(*given: str, words: int = MOST_WORDS, drop: tuple[str, ...] = ()) -> Policy:
    return policy(brief=BriefPolicy(words, given, drop))


def is_harmless(text: str) -> bool:
    """One line of what can be seen, without links."""
    kinds = {unicodedata.category(char) for char in text if char not in "\u200c\u200d"}
    return not kinds & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} and not BIDI & set(text) and "//" not in text


# -- what stands in it


def test_it_says_why_now_what_they_did_what_to_ask_and_whose_company_it_is() -> None:
    account = AccountView("A1", owner="kim", name="Lang Holding", open_deals=2, engaged=4)
    facts = dossier(
        account=account,
        leads=(lead(phone="", bantfo_need="yes", bantfo_budget="50k"),),
        activities=(
            activity("p1", NOW - timedelta(hours=3), "page.visited", "/pricing"),
            activity("a1", NOW - minutes(5), asset="guide"),
        ),
    )
    agreed = policy(
        gate=Gate(required=("need", "budget", "timing"), unknown="ask"), accounts={"strategic": ("Lang Holding",)}
    )
    made = task(facts, agreed, Roster(names={"kim": "Kim Roe"}))
    assert made.body.split("\n") == [
        "Why now: score 90 (A1).",
        "Because: 1 x form.* within 30 days (+40); title is Director (+40); 1 x page.visited (+10).",
        "- 2026-03-10 09:55 Filled out the form guide",
        "- 2026-03-10 07:00 Visited the page /pricing",
        "Known: need yes, budget yes (50k).",
        "Ask first: By when should it be in use?",
        "Unknown, please ask: phone.",
        "Company: Lang Holding, key account (strategic), people active: 4, open deals: 2, account owner: Kim Roe.",
    ]


def test_the_agreement_has_its_own_words_for_what_is_interesting() -> None:
    rules = (
        MomentRule("page.visited", asset="*careers*"),
        MomentRule("page.visited", "Looked at[ {asset}][ (campaign {campaign})]", asset="*"),
        MomentRule("form.submitted", "Asked for a demo", asset="demo-*"),
    )
    titles = {"*pricing*": "the prices"}
    facts = dossier(
        activities=(
            activity(
                "k1", NOW - minutes(9), "page.visited", "https://www.example.com/pricing/team?utm=1", campaign="X"
            ),
            activity("k2", NOW - minutes(8), "page.visited", "https://www.example.com/careers"),
            activity("k3", NOW - minutes(7), "form.submitted", "demo-request"),
            activity("k4", NOW - minutes(6), "form.submitted", "guide"),
        )
    )
    body = task(facts, policy(insight=InsightPolicy(moments=rules, titles=titles))).body
    assert [line for line in body.split("\n") if line.startswith("- ")] == [
        "- 2026-03-10 09:53 Asked for a demo",
        "- 2026-03-10 09:51 Looked at the prices (campaign X)",
    ]


def test_the_newest_three_things_each_once() -> None:
    facts = dossier(activities=tuple(activity(f"k{n}", NOW - minutes(n), asset=f"guide-{n // 2}") for n in range(9)))
    found = [line.rpartition(" ")[2] for line in task(facts).body.split("\n") if line.startswith("- ")]
    assert found == ["guide-0", "guide-1", "guide-2"]


def test_what_a_robot_did_is_no_moment() -> None:
    rules = InsightPolicy(moments=(MomentRule("form.submitted", "Filled out {asset}"),))
    marked = activity("k2", NOW - minutes(1), asset="guide", **{"Is Bot Activity": True})
    told = moments_of(policy(insight=rules)).newest((activity("k1", NOW - minutes(2), asset="demo"), marked), NOW)
    assert [one.moment.text for one in told] == ["Filled out demo"]


def test_a_return_tells_the_earlier_handoffs() -> None:
    old = [
        Handoff(f"17.{n}", n, NOW - timedelta(days=90 * (4 - n)), "score", 70, "A2", (), state=HandoffState.CLOSED)
        for n in (1, 2, 3)
    ]
    last = replace(old[2], outcome="recycled", recycle_reason="no budget", tries=3, closed_at=NOW - timedelta(days=60))
    facts = dossier(decision=Decision(handoffs=(*old[:2], last), score=Score(0, 0, "D4")))
    body = task(facts, policy(recycle=replace(policy().recycle, wake_points=10, most_returns=9))).body
    assert "This is a return (handoff number 4)." in body
    assert "Before: 2025-12-10, recycled, after 3 tries: no budget." in body
    assert body.index("2025-12-10") < body.index("2025-09-11")
    assert "2025-06-13" not in body


# -- the language of the lines


def test_a_line_without_a_value_is_left_out_and_so_is_a_part_in_brackets() -> None:
    given = lines("Why: {cause}", "Phone: {lead.phone}", "{title}[ of {company}][, {lead.nothing}]", "[[as {{it}} is]]")
    assert task(dossier(), given).body == "Why: score 80 (A2)\nDirector of Lang GmbH\n[as {it} is]"


@pytest.mark.parametrize(
    "text", ["{", "a } b", "[ {x} ", "] x", "[a [ {x} ]]", "{}", "[no value]", "two\nlines", "{a{b}}", "\x07"]
)
def test_what_is_no_line_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"^.+\.$"):
        line_of(text)


@pytest.mark.parametrize(
    "text", ["{cause.__class__}", "{cause!r}", "{cause:>99}", "{0}", "%s", "${cause}", "{{cause}}"]
)
def test_it_runs_no_code(text: str) -> None:
    assert line_of(text).fill({"cause": "score"}) in ("", "%s", "$score", "{cause}")


# -- its length


@given(dossiers(), st.text(), st.text(max_size=400), st.integers(0, 40))
def test_never_more_than_120_words_whatever_is_known(facts: Dossier, name: str, asset: str, count: int) -> None:
    who = lead(
        first_name=name, company=f"{asset} {'very long ' * count}", phone="", **{f"bantfo_{n}": asset for n in range(3)}
    )
    done = tuple(activity(f"k{n}", NOW - minutes(n + 1), asset=f"{n} {asset}" * (count + 1)) for n in range(4))
    raised = activity("raised", NOW - minutes(1), asset=f"demo-{asset}")
    account = AccountView("A", owner=name, name=asset * count, engaged=count, titles=(name,))
    for made in plan(
        replace(facts, leads=(who,), activities=(*done, raised), account=account), policy(), Roster(), NOW
    ).commands:
        if isinstance(made, CreateTask):
            assert len(made.body.split()) <= MOST_WORDS
            assert all(is_harmless(line) for line in (made.subject, *made.body.split("\n")))


@given(dossiers(), st.text(max_size=300), st.integers(0, 60))
def test_nor_in_a_preview_of_anybody(facts: Dossier, text: str, count: int) -> None:
    who = lead(first_name=text, company=f"{text} " * count, title=text, phone="", bantfo_need=text)
    account = AccountView("A", owner=text or "x", name=f"{text} x" * count, engaged=count, open_deals=count)
    given = policy(gate=Gate(required=("need", "timing", "budget"), unknown="ask"))
    made = preview(replace(facts, leads=(who,), account=account), given, Roster(), NOW)
    assert 0 < made.words <= MOST_WORDS
    assert all(is_harmless(line) for line in (made.subject, *made.body.split("\n"), *made.left_out))


VALUES = st.lists(st.sampled_from(("one", "two words", "a b c d e f g h", "")), min_size=1, max_size=4).map(" ".join)
PLACES = st.sampled_from((*(f"{{{one}}}" for one in PLACEHOLDERS if one not in LISTS), "words", "[ {title}]"))
TEMPLATES = st.lists(st.lists(PLACES, max_size=9).map(" ".join), min_size=1, max_size=12)


@given(
    TEMPLATES,
    st.dictionaries(st.sampled_from(tuple(PLACEHOLDERS)), VALUES),
    st.lists(VALUES, max_size=5),
    st.lists(st.sampled_from(tuple(PLACEHOLDERS)), unique=True),
    st.integers(30, 120),
)
def test_whole_lines_are_dropped_until_it_fits(
    templates: list[str], values: dict[str, str], many: list[str], drop: list[str], words: int
) -> None:
    rules = BriefPolicy(words, (*templates, "- {moments}"), tuple(drop))
    made = compose(rules, values, {"moments": many, "history": [], "before": []})
    whole = compose(replace(rules, words=MOST_WORDS), values, {"moments": many, "history": [], "before": []})
    assert len(made.text.split()) <= words
    if not made.text.startswith("Why now:"):
        every = [*whole.text.split("\n"), *whole.left_out]
        assert sorted([*made.text.split("\n"), *made.left_out]) == sorted(every), "no line was cut, and none is lost"


def test_lines_go_in_the_agreed_order_and_the_first_one_stays() -> None:
    facts = dossier(leads=(lead(company="a b c d e f g h i j k l"),))
    given = ("Why now: {cause} " + "why " * 20, "{company} one", "{title} two", "{name} three " + "n " * 10)
    both = task(facts, lines(*given, words=61)).body.split("\n")
    assert len(both) == 4
    short = task(facts, lines(*given, words=48, drop=("title", "company"))).body.split("\n")
    assert [line.split()[-1] for line in short] == ["why", "n"]
    least = task(facts, lines(*given, words=30, drop=("title", "company"))).body.split("\n")
    assert [line.split()[-1] for line in least] == ["why"]


# -- hostile values


def test_hostile_values_are_harmless_in_every_place() -> None:
    facts = dossier(
        leads=(lead(first_name=NASTY, last_name=NASTY, company=NASTY, title=f"director {NASTY}"),),
        account=AccountView("A1", name=NASTY, engaged=1),
        activities=(activity("a1", NOW - minutes(5), asset=f"demo-{NASTY}", campaign=NASTY),),
    )
    every = tuple(f"{name}: {{{name}}}" for name in (*PLACEHOLDERS, "lead.title", "account.name"))
    for text in every:
        made = task(facts, lines(text))
        assert all(is_harmless(line) for line in (made.subject, *made.body.split("\n")))
        assert "evil.example" not in made.body + made.subject


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Ana\u202emoc.live", "Anamoc.live"),
        ("a\x00b\r\nc\u2028d\x1b[2J", "a b c d [2J"),
        ("see https://user:pw@evil.example/a?b=c#d now", "see evil[.]example/a now"),
        ("WWW.evil.example", "WWW[.]evil[.]example"),
        ("Booking.com", "Booking.com"),
        ("zero\u200bwidth \u00adsoft", "zerowidth soft"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("x\u0300\u0301\u0302\u0303\u0304y", "x\u0300\u0301\u0302y"),
        ("a" * 70, "a" * 59 + "…"),
        ("", ""),
    ],
)
def test_what_becomes_of_a_text(text: str, plain: str) -> None:
    assert harmless(text) == plain


@given(st.text(), st.integers(1, 20), st.integers(20, 200))
def test_any_text_is_harmless_and_short(text: str, words: int, chars: int) -> None:
    made = harmless(text, words, chars)
    assert is_harmless(made)
    assert len(made.split()) <= words
    assert len(made) <= max(chars, 60) + 1
    assert harmless(made, words, chars + 1) == made or "www" in made.casefold()


@given(st.text(max_size=40).map(lambda text: f"x {text}"))
def test_a_subject_is_one_harmless_line(text: str) -> None:
    assert is_harmless(name_of({"first_name": text, "company": text}, ()))


def test_a_page_is_its_path() -> None:
    assert page_of("https://www.example.com/pricing/team?mail=ana@example.com#top") == "/pricing/team"
    assert page_of("https://example.com/") == "example.com"
    assert page_of("/pricing") == "/pricing"
    assert page_of("demo-request") == "demo-request"


def test_moments_are_told_in_the_reps_own_zone() -> None:
    there = Hours((((0, 1440),),) * 7, "America/Sao_Paulo")
    reps = (Rep("Ana", ANA, hours=there), Rep("Ben", BEN, hours=there))
    assert "- 2026-03-10 05:55 Filled out the form guide" in task(dossier(), policy(reps=reps)).body
