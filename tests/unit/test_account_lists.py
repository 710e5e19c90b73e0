"""Lists of key accounts: what may stand in them, and whose they are."""

import pytest

from syncagent.config import parse
from syncagent.errors import ConfigError
from syncagent.handoff.key_accounts import KeyAccounts
from syncagent.handoff.planner import plan
from syncagent.handoff.scoring import judge_account, score
from syncagent.model import AccountView, Roster
from syncagent.policy import Condition, FitChoice, FitRule, NamedModel, Route, RouteTarget, ScoreModel
from tests.unit.handoff.worlds import ANA, BEN, NOW, QUEUE, dossier, lead, policy
from tests.unit.test_scoring_config import WHOLE

LISTS = {"strategic": ("001A", "Tamboril Holding", "nordvind.example"), "named": ("Zerkovia AG", "tamboril.example")}


def account(ident="A1", name="", **attributes):
    return AccountView(ident, name=name, attributes=attributes)


@pytest.mark.parametrize(
    ("view", "found"),
    [
        (account("001A"), "strategic"),
        (account(name="Tamboril Ltda."), "strategic"),
        (account(website="https://eu.nordvind.example/x"), "strategic"),
        (account(domain="other.example, nordvind.example"), "strategic"),
        (account(name="ZERKOVIA"), "named"),
        (account(name="Tamboril", website="tamboril.example"), "named"),  # its domain goes before its name
        (account(name="Zerkovia Nord"), ""),
        (account("001a"), ""),
        (account(website="gmail.com"), ""),
    ],
)
def test_an_account_is_on_a_list_by_id_domain_or_name(view, found):
    assert KeyAccounts(LISTS, ()).of_account(view) == found


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"emails": ("eva@nordvind.example",)}, "strategic"),
        ({"emails": ("eva@web.de",)}, "named"),  # they say that they are of Zerkovia
        ({"emails": ("eva@adviser.example",)}, ""),
        ({"emails": ("eva@web.de",), "account": account()}, ""),
    ],
)
def test_somebody_without_an_account_is_of_a_list_by_their_mail_or_company(facts, found):
    assert KeyAccounts(LISTS, ()).of_person(dossier(**facts), {"company": "Zerkovia"}) == found


def test_free_mail_of_the_admin_s_makes_nobody_a_key_account():
    asked = dossier(emails=("eva@nordvind.example",))
    assert KeyAccounts(LISTS, ("nordvind.example",)).of_person(asked, {}) == ""


def test_rules_models_and_routes_know_the_lists():
    def worth(attribute, condition, weight):
        return FitRule(attribute, attribute, weight, (FitChoice(10, condition),))

    companies = NamedModel(
        "c", ScoreModel(fit=(worth("account.list", Condition(values=("named",)), 100),)), of="accounts"
    )
    rules = (worth("account.key", Condition(values=(True,)), 10), worth("account.score", Condition(minimum=100), 20))
    to_ben = Route("key", RouteTarget(pool=(BEN,)), {"account.key": Condition(present=True)})
    rest = Route("rest", RouteTarget(pool=(ANA,), fallback_queue=QUEUE))
    terms = policy(scoring=ScoreModel(fit=rules), models=(companies,), accounts=LISTS, routes=(to_ben, rest))
    zerkovia, other = account(name="Zerkovia"), account(name="Other")
    asked = {"leads": (lead(company="-"),), "emails": ("eva@web.de",)}
    assert score(dossier(account=zerkovia, **asked), terms, NOW).total == 30
    assert score(dossier(account=other, **asked), terms, NOW).total == 0
    assert score(dossier(emails=("eva@nordvind.example",)), terms, NOW).total == 10
    judged = judge_account(zerkovia, terms, NOW)
    assert judged is not None
    assert (judged.score.total, judged.score.grade[0]) == (100, "A")
    assert judge_account(zerkovia, policy(), NOW) is None
    hand = policy(accounts=LISTS, routes=(to_ben, rest))
    for view, owner in ((zerkovia, BEN), (other, ANA)):
        opened = plan(dossier(account=view, **asked), hand, Roster(), NOW).decision.handoff
        assert opened is not None
        assert opened.assignments[0].owner == owner


def problems_of(text):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return {problem.path: str(problem) for problem in caught.value.problems}


def test_the_lists_of_a_config():
    text = WHOLE + '[accounts.lists]\nkey = ["Nordvind", "zerkovia.example"]\n'
    assert parse(text).policy(NOW).accounts == {"key": ("Nordvind", "zerkovia.example")}


@pytest.mark.parametrize(
    ("lists", "path", "says"),
    [
        ("key = []", "accounts.lists.key", "is empty"),
        ('key = [" "]', "accounts.lists.key[1]", "names no account"),
        ('key = ["A"]\nmore = ["B", "a"]', "accounts.lists.more[2]", "in the list 'key' already"),
        ('key = ["Nord*"]', "accounts.lists.key[1]", "neither a name nor a domain"),
    ],
)
def test_what_cannot_be_meant_is_told(lists, path, says):
    assert says in problems_of(WHOLE + f"[accounts.lists]\n{lists}\n")[path]


def test_who_asks_for_a_list_that_does_not_exist_is_told():
    when = WHOLE.replace(
        "[[routes]]",
        '[[routes]]\nname = "k"\nwhen = { "account.list" = "LIST" }\nto = { queue = "Inbound" }\n[[routes]]',
        1,
    )
    told = problems_of(when.replace("LIST", "key"))
    assert "There are no lists of accounts" in told["routes[1].when.account.list"]
    told = problems_of(when.replace("LIST", "kye") + '[accounts.lists]\nkey = ["A"]\n')
    assert "Did you mean" in told["routes[1].when.account.list"]
    rule = WHOLE.replace('attribute = "title"', 'attribute = "account.key"')
    assert "score.fit[1]" in problems_of(rule)
