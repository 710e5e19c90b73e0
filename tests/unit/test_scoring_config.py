"""Score models in the config: what they become, and a sentence for each way to be wrong."""

from datetime import UTC, datetime

import pytest

from syncagent.config import parse
from syncagent.errors import ConfigError
from syncagent.policy import Condition, Decay, Duration, GroupCap, Policy, Question, Threshold

T0 = datetime(2026, 1, 1, tzinfo=UTC)
REST = """
[crm]
type = "memory"
[crm.status]
mql = "Sales Ready"
[crm.queues]
Inbound = "q1"
[[routes]]
name = "all"
to = { queue = "Inbound" }
"""
HANDOFF = "[handoff]\nmql = { any = { score = 65 } }\n"
FIT = '[[score.fit]]\nattribute = "title"\nweight = 40\nchoices = [{ matches = "chief", priority = 10 }]\n'
VISITS = '[[score.interest]]\nactivity = "page.visited"\nweight = 60\nchoices = [{ priority = 10 }]\n'
WHOLE = FIT + VISITS + HANDOFF + REST


def policy_of(text: str) -> Policy:
    return parse(text).policy(T0)


def problems_of(text: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return {problem.path: str(problem) for problem in caught.value.problems}


RICH = """
[score.lists]
rivals = ["rival.example", "*.edu"]
key = ["Acme*"]
[score.caps.web]
most = 30
per_day = 10
[score.bots]
after_delivery = "500ms"
links = 3
admit = "receipt-*"
[[score.fit]]
attribute = "email.domain"
weight = 20
choices = [{ list = "rivals", priority = -10 }, { list = "disposable", priority = -10 }]
[[score.fit]]
attribute = "account.name"
weight = 15
choices = [{ list = "key", priority = 10 }]
[[score.fit]]
attribute = "created"
weight = 15
choices = [{ newer = "30d", priority = 10 }, { older = "1d", min = 1, max = 2, priority = 1 }]
[[score.interest]]
name = "visits"
activity = ["page.*", "form.*"]
asset = "*pricing*"
not_asset = ["*careers*"]
source = "marketo"
campaign = "spring*"
where = { size = ">= 3" }
weight = 30
cap = 20
cap_per_day = 5
group = "web"
decay = { steps = { 90d = 0, 30d = 0.5 } }
choices = [{ each = true, priority = 1, within = "365d" }]
[[score.interest]]
activity = "*"
weight = 20
decay = { half_life = "14d" }
choices = [{ idle = "60d", priority = -10 }, { exactly = 2, priority = 5 }]
[models.accounts]
of = "accounts"
[[models.accounts.fit]]
attribute = "account.engaged"
weight = 100
choices = [{ min = 3, priority = 10 }]
[models.enterprise]
[[models.enterprise.fit]]
attribute = "title"
weight = 30
choices = [{ present = true, priority = 10 }]
[[models.enterprise.interest]]
activity = "form.*"
weight = 70
choices = [{ priority = 10 }]
[models.risk]
of = "customers"
alert = { below = 30, says = "May leave" }
[[models.risk.interest]]
activity = "product.used"
weight = 100
choices = [{ priority = 10 }]
[handoff]
mql = { all = { score = 65, grades = ["A1"] } }
[[handoff.segments]]
name = "large"
when = { employees = ">= 1000" }
mql = { any = { grades = ["A1", "B1"] } }
model = "enterprise"
[handoff.gate.bantfo]
required = ["need", "size"]
unknown = "wait"
no = "pass"
[handoff.gate.questions.size]
ask = "How many?"
attribute = "seats"
yes = ">= 50"
no = ["0"]
keeps = "180d"
unknown = "ask"
"""


def test_everything_that_a_model_can_hold() -> None:
    policy = policy_of(RICH + REST)
    domain, name, created = policy.scoring.fit
    assert domain.choices[0].condition.globs == ("rival.example", "*.rival.example", "*.edu")
    assert "mailinator.*" in domain.choices[1].condition.globs
    assert name.choices[0].condition.globs == ("Acme*",)
    assert created.choices[0].condition == Condition(newer=Duration(days=30))
    assert created.choices[1].condition == Condition(minimum=1, maximum=2, older=Duration(days=1))
    visits, idle = policy.scoring.interest
    assert (visits.activity, visits.not_asset, visits.group) == (("page.*", "form.*"), ("*careers*",), "web")
    assert (visits.cap, visits.cap_per_day, visits.source, visits.campaign) == (20, 5, "marketo", "spring*")
    assert visits.where == {"size": Condition(minimum=3)}
    assert visits.decay == Decay(steps=((30, 0.5), (90, 0)))
    assert visits.choices[0].each and visits.choices[0].within == Duration(days=365)
    assert idle.decay == Decay(half_life=14)
    assert idle.choices[0].idle == Duration(days=60)
    assert policy.scoring.caps == (GroupCap("web", 30, 10),)
    assert (policy.scoring.robots.after_delivery, policy.scoring.robots.links) == (0.5, 3)
    assert [(one.name, one.of, one.shadow) for one in policy.models] == [
        ("accounts", "accounts", False),
        ("enterprise", "leads", False),
        ("risk", "customers", False),
    ]
    assert policy.models[1].model.robots.links == 3, "those of [score.bots], unless a model has its own"
    assert policy.models[2].alert is not None and policy.models[2].alert.below == 30
    (segment,) = policy.segments
    assert (segment.model, segment.mql) == ("enterprise", Threshold("any", None, ("A1", "B1")))
    assert (policy.gate.required, policy.gate.unknown, policy.gate.no) == (("need", "size"), "wait", "pass")
    need, size = policy.gate.questions
    assert need.ask
    assert size == Question(
        "size", "How many?", "seats", Condition(minimum=50), Condition(values=("0",)), Duration(days=180), "ask"
    )


def model(name: str = "trial", head: str = "shadow = true", fit: int = 40, interest: int = 60) -> str:
    return (
        f"[models.{name}]\n{head}\n"
        f'[[models.{name}.fit]]\nattribute = "title"\nweight = {fit}\nchoices = [{{ present = true, priority = 1 }}]\n'
        f'[[models.{name}.interest]]\nactivity = "x"\nweight = {interest}\nchoices = [{{ priority = 1 }}]\n'
    )


def visits(extra: str = "", choices: str = "{ priority = 10 }", weight: int = 60) -> str:
    rule = f'[[score.interest]]\nactivity = "page.visited"\nweight = {weight}\nchoices = [{choices}]\n{extra}\n'
    return FIT + rule + HANDOFF + REST


def fits(choice: str, attribute: str = "title") -> str:
    return f'[[score.fit]]\nattribute = "{attribute}"\nweight = 40\nchoices = [{choice}]\n' + VISITS + HANDOFF + REST


def handoff(text: str) -> str:
    return FIT + VISITS + HANDOFF + text + REST


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        (WHOLE.replace("weight = 40", "weight = 60"), "score.fit", "10 above the 50"),
        (WHOLE.replace("weight = 40", "weight = 60"), "score", "20 too many"),
        (WHOLE.replace("weight = 60", "weight = 50"), "score", "10 too few"),
        (WHOLE + model(fit=40, interest=70), "models.trial", "10 too many"),
        (WHOLE + model(fit=55, interest=45), "models.trial.fit", "5 above the 50"),
        (WHOLE + "[models.trial]\nshadow = true\n", "models.trial", "needs rules"),
        (visits(weight=-60), "score.interest[1].weight", "above 0"),
        (fits(""), "score.fit[1].choices", "at least one choice"),
        (visits(choices=""), "score.interest[1].choices", "at least one choice"),
        (visits(choices="{ priority = 11 }"), "score.interest[1].choices[1]", "between -10 and 10"),
        (visits(choices="{ priority = 1, at_least = -1 }"), "score.interest[1].choices[1]", "less than 0"),
        (visits(choices="{ priority = 1, at_least = 2, exactly = 2 }"), "score.interest[1].choices[1]", "either"),
        (visits(choices="{ priority = 1, each = true, at_least = 2 }"), "score.interest[1].choices[1]", "Leave them"),
        (visits(choices='{ priority = -1, idle = "9d", within = "9d" }'), "score.interest[1].choices[1]", "no window"),
        (visits(choices='{ priority = -1, idle = "long" }'), "score.interest[1].choices[1].idle", "length of time"),
        (visits("decay = {}"), "score.interest[1].decay", "give one of the two"),
        (visits('decay = { half_life = "9d", steps = { 9d = 0 } }'), "score.interest[1].decay", "one of the two"),
        (visits('decay = { half_life = "9h" }'), "score.interest[1].decay.half_life", "whole days"),
        (visits("decay = { steps = { 9d = 2 } }"), "score.interest[1].decay.steps", "share from 0 to 1"),
        (visits("decay = { steps = { 9d = 0.1, 20d = 0.2 } }"), "score.interest[1].decay.steps", "only fade"),
        (visits("cap = 0"), "score.interest[1].cap", "above 0"),
        (visits("cap = 70"), "score.interest[1].cap", "holds nothing down"),
        (visits("cap_per_day = 7"), "score.interest[1].cap_per_day", "counts each activity"),
        (visits('group = "web"'), "score.interest[1].group", "has no caps"),
        (WHOLE + "[score.caps.web]\nmost = 5\n", "score.caps.web", "No rule is in the group"),
        (visits('group = "web"') + "[score.caps.web]\n", "score.caps.web", "Give most or per_day"),
        (visits('group = "web"') + "[score.caps.web]\nmost = -1\n", "score.caps.web.most", "above 0"),
        (WHOLE + "[score.grade]\nletters = [0.5, 0.75, 0.25]\n", "score.grade.letters", "fall"),
        (WHOLE + '[score.bots]\nafter_delivery = "soon"\n', "score.bots.after_delivery", "500ms"),
        (WHOLE + "[score.bots]\nlinks = 1\n", "score.bots.links", "a person's click"),
        (WHOLE.replace("weight = 40", "weight = nan"), "score.fit[1].weight", "counted with, not nan"),
        (WHOLE.replace("weight = 60", "weight = inf"), "score.interest[1].weight", "counted with, not inf"),
        (fits("{ min = -inf, priority = 1 }"), "score.fit[1].choices[1].min", "counted with"),
        (fits("{ present = true, priority = nan }"), "score.fit[1].choices[1].priority", "counted with"),
        (WHOLE + "[score.grade]\nletters = [nan, 0.5, 0.25]\n", "score.grade.letters", "counted with"),
        (WHOLE.replace("score = 65", "score = nan"), "handoff.mql.any.score", "counted with"),
        (fits("{ priority = 1 }"), "score.fit[1].choices[1]", "no test"),
        (fits('{ matches = "(", priority = 1 }'), "score.fit[1].choices[1].matches", "regular expression"),
        (fits("{ min = 5, max = 1, priority = 1 }"), "score.fit[1].choices[1]", "at least 5 and at most 1"),
        (fits('{ list = "academics", priority = 1 }'), "score.fit[1].choices[1].list", "Did you mean academic?"),
        (fits('{ list = "x", priority = 1 }') + "[score.lists]\nx = []\n", "score.fit[1].choices[1].list", "empty"),
        (fits('{ newer = "soon", priority = 1 }'), "score.fit[1].choices[1].newer", "length of time"),
        (fits("{ present = true, priority = 1 }", "email.domian"), "score.fit[1].attribute", "email.domain?"),
        (fits("{ min = 1, priority = 1 }", "account.score"), "score.fit[1].attribute", "no model that scores"),
        (WHOLE + model(head=""), "models.trial", "No segment uses this model."),
        (WHOLE + model(head="shadow = true\nalert = { above = 1 }"), "models.trial.alert", "no alert"),
        (WHOLE + model(head='of = "customers"\nshadow = true'), "models.trial.shadow", "Only models of leads"),
        (WHOLE + model(head='of = "deals"\nalert = {}'), "models.trial.alert", "where the line is"),
        (WHOLE + model(head='of = "accounts"'), "models.trial.interest", "fit rules only"),
        (WHOLE + model(head='of = "accounts"'), "models.trial.fit", "60 too few"),
        (WHOLE + model(head='of = "accounts"'), "models.trial.fit[1].attribute", "of a person"),
        (WHOLE + model(head='of = "everybody"'), "models.trial.of", "leads, customers, deals, accounts"),
        (WHOLE.replace("score = 65", "score = 101"), "handoff.mql", "at most 100"),
        (WHOLE.replace("score = 65", 'grades = ["E1"]'), "handoff.mql", "not a grade"),
        (handoff('[[handoff.segments]]\nname = "x"\nmql = {}\n'), "handoff.segments[1].mql", "when a person is ready"),
        (
            handoff(2 * '[[handoff.segments]]\nname = "x"\nmql = { any = { score = 5 } }\n'),
            "handoff.segments[2].name",
            "a segment above",
        ),
        (
            handoff(2 * '[[handoff.segments]]\nname = "x"\nmql = { any = { score = 5 } }\n'),
            "handoff.segments[1]",
            "Put it last.",
        ),
        (
            handoff('[[handoff.segments]]\nname = "x"\nmodel = "trail"\nmql = { any = { score = 5 } }\n') + model(),
            "handoff.segments[1].model",
            "Did you mean trial?",
        ),
        (
            handoff('[[handoff.segments]]\nname = "x"\nmodel = "m"\nmql = { any = { score = 5 } }\n')
            + model("m", 'of = "deals"'),
            "handoff.segments[1].model",
            "scores deals",
        ),
        (
            handoff('[handoff.gate.bantfo]\nrequired = ["timming"]\n'),
            "handoff.gate.bantfo.required",
            "Did you mean timing?",
        ),
        (
            handoff('[handoff.gate.questions.need]\nyes = "~("\n'),
            "handoff.gate.questions.need.yes",
            "regular expression",
        ),
        (
            handoff('[handoff.gate.questions.need]\nkeeps = "long"\n'),
            "handoff.gate.questions.need.keeps",
            "length of time",
        ),
    ],
)
def test_each_way_to_be_wrong_has_its_sentence(text: str, path: str, says: str) -> None:
    found = problems_of(text)
    assert says in found.get(path, ""), found


def test_two_models_of_accounts_and_one_that_rests_on_itself() -> None:
    rule = '[[models.{}.fit]]\nattribute = "account.score"\nweight = 100\nchoices = [{{ min = 1, priority = 1 }}]\n'
    both = "".join(f'[models.{name}]\nof = "accounts"\n' + rule.format(name) for name in ("one", "two"))
    found = problems_of(WHOLE + both)
    assert "'one' is one already" in found["models.two.of"]
    assert "cannot rest on itself" in found["models.one.fit[1].attribute"]


def test_a_whole_one_has_no_problem() -> None:
    for text in (WHOLE, visits(), fits("{ present = true, priority = 1 }"), handoff(""), WHOLE + model()):
        assert policy_of(text).mql.score == 65


def test_rules_of_one_name_are_told_apart() -> None:
    twice = WHOLE.replace("weight = 40", "weight = 20") + FIT.replace("weight = 40", "weight = 20")
    assert [one.name for one in policy_of(twice).scoring.fit] == ["title", "title (2)"]
