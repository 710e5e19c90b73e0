"""[handoff.brief] and [insight]: slips are found when the config is read, each with its path and what was meant."""

import pytest

from syncagent.config import parse
from syncagent.errors import ConfigError
from syncagent.policy import BriefPolicy, Duration, MomentRule
from syncagent.policy.insight import DROP, LINES
from tests.story.theatre import CONFIG, T0


def problems(text: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as error:
        parse(CONFIG + text)
    return {one.path: f"{one.message} {one.help}" for one in error.value.problems}


def test_the_usual_lines_stand_without_a_table() -> None:
    policy = parse(CONFIG).policy(T0)
    assert policy.brief == BriefPolicy(120, LINES, DROP)
    assert policy.insight.moments == ()


def test_all_of_it_is_read() -> None:
    text = """
[handoff.brief]
words = 60
lines = ["{cause}[ by {lead.region}]", "- {moments}"]
drop = ["moments"]
[insight]
shown = 1
within = "12h"
again = "1d"
titles = { "*pricing*" = "prices" }
[[insight.moments]]
activity = ["page.visited", "page.seen"]
asset = "*pricing*"
says = "Looked at the {asset}"
deal = true
"""
    policy = parse(CONFIG + text).policy(T0)
    assert policy.brief == BriefPolicy(60, ("{cause}[ by {lead.region}]", "- {moments}"), ("moments",))
    rule = MomentRule(("page.visited", "page.seen"), "Looked at the {asset}", "*pricing*", deal=True)
    assert policy.insight.moments == (rule,)
    assert (policy.insight.within, policy.insight.again) == (Duration(minutes=720), Duration(days=1))
    assert (policy.insight.shown, policy.insight.titles) == (1, {"*pricing*": "prices"})


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ('[handoff.brief]\nlines = ["{cuase}"]\n', "handoff.brief.lines[1]", "Did you mean cause?"),
        ('[handoff.brief]\nlines = ["{cause}", "{lead.}"]\n', "handoff.brief.lines[2]", "is no placeholder"),
        ('[handoff.brief]\nlines = ["[{cause}"]\n', "handoff.brief.lines[1]", "never closed"),
        ('[handoff.brief]\nlines = ["{cause.__class__}"]\n', "handoff.brief.lines[1]", "is no placeholder"),
        ('[handoff.brief]\nlines = ["{moments} {history}"]\n', "handoff.brief.lines[1]", "Make a line for each."),
        ('[handoff.brief]\nlines = ["a\\nb"]\n', "handoff.brief.lines[1]", "one line"),
        (f'[handoff.brief]\nlines = ["{"word " * 121}"]\n', "handoff.brief.lines[1]", "121 words"),
        ("[handoff.brief]\nlines = []\n", "handoff.brief.lines", "without lines"),
        ("[handoff.brief]\nwords = 200\n", "handoff.brief.words", "30 to 120"),
        ('[handoff.brief]\ndrop = ["momets"]\n', "handoff.brief.drop[1]", "Did you mean moments?"),
        ('[[insight.moments]]\nactivity = "a"\nsays = "{aset}"\n', "insight.moments[1].says", "Did you mean asset?"),
        ('[[insight.moments]]\nactivity = "a"\nsays = "{"\n', "insight.moments[1].says", "stands alone"),
        ('[[insight.moments]]\nactivity = ""\n', "insight.moments[1].activity", "names no activity"),
        ('[[insight.moments]]\nactivity = "a"\ndeal = true\n', "insight.moments[1].deal", "no words"),
        ("[insight]\nshown = 0\n", "insight.shown", "1 to 10"),
        ('[insight]\nwithin = "soon"\n', "insight.within", "length of time"),
        ('[insight.titles]\n"a*" = " "\n', "insight.titles.a*", "empty"),
    ],
)
def test_what_cannot_be_meant_so_is_told_with_its_path_and_what_helps(text: str, path: str, says: str) -> None:
    found = problems(text)
    assert says in found[path]
