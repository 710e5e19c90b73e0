"""What every store must keep of companies: their picture over all their people, whose they may be, who is woken."""

from msgspec.structs import replace

from syncagent.model import Account, AccountView, Decision, Merged, Opportunity, Share
from syncagent.state.store import Settlement
from tests.state.story_values import act, at, lead, mk, plan, record, settle, sf, take


def company(ident: str, minute: float = 0, *, deleted: bool = False, created=None, **attributes) -> Account:
    return Account(sf(ident, "Account"), at(minute), attributes, created, deleted)


def contact(number, minute: float = 0, *, account: str = "A1", **rest):
    return record(number, minute, kind="Contact", account=account, **rest)


def deal_of(ident: str, account: str, minute: float = 1, *, people=(), made: float = 0, **rest) -> Opportunity:
    identities = tuple(sf(one, "Contact") for one in people)
    return Opportunity(sf(ident, "Opportunity"), identities, at(minute), at(made), account=account, **rest)


class Accounts:
    def test_a_dossier_knows_its_company_over_all_its_people(self, store):
        acme = {"company": "Acme", "account_owner": "ana"}
        take(store, contact(1, **acme), contact(2, **acme), contact(3, account="A2", company="Bolt"))
        take(store, lead(1, also=[sf(1, "Contact")]), act(1, "a"), act(1, "b"), record(4))
        deals = [deal_of("X", "A1", people=[1, 2]), deal_of("Y", "A1", people=[1, 2])]
        take(store, *deals)
        one, two, three, four = (store.dossier(n) for n in range(1, 5))
        assert one.account == two.account == AccountView("A1", "ana", "Acme", open_deals=2, engaged=1)
        assert (three.account.name, three.account.engaged, four.account) == ("Bolt", 0, None)
        take(store, *(replace(deal, closed=bool(n), deleted=not n, modified_at=at(2)) for n, deal in enumerate(deals)))
        assert store.dossier(2).account.open_deals == 0
        take(store, contact(2, 3, account="A2", company="Bolt", account_owner="ben"))
        assert store.dossier(2).account == AccountView("A2", "ben", "Bolt")
        assert store.dossier(1).account == AccountView("A1", "ana", "Acme", engaged=1)

    def test_a_bots_clicks_engage_nobody(self, store):
        take(store, contact(1), lead(1, also=[sf(1, "Contact")]))
        take(store, replace(act(1, "a"), attributes={"Is Bot Activity": True}))
        assert store.dossier(1).account.engaged == 0
        take(store, replace(act(1, "b"), attributes={"Is Bot Activity": False}))
        assert store.dossier(1).account.engaged == 1

    def test_two_of_one_company_who_turn_out_to_be_one_are_counted_once(self, store):
        take(store, contact(1), contact(2))
        take(store, lead(1, also=[sf(1, "Contact")]), act(1, "a"), lead(2, also=[sf(2, "Contact")]), act(2, "b"))
        assert store.dossier(1).account.engaged == 2
        take(store, Merged(mk(1), (mk(2),), at(3)))
        assert store.dossier(1).account.engaged == 1

    def test_what_the_crm_says_of_an_account_itself(self, store):
        take(store, contact(1, company="Acme", account_owner="ana"))
        told = {"name": "Acme GmbH", "owner": "ben", "industry": "Steel", "website": "acme.example"}
        assert take(store, company("A1", 2, **told)).new == 1
        assert take(store, company("A1", 2, **told), company("A1", 1, name="Old")).new == 0
        view = store.dossier(1).account
        assert view == AccountView(
            "A1", "ben", "Acme GmbH", attributes={"industry": "Steel", "website": "acme.example"}
        )

    def test_titles_of_those_who_have_done_something(self, store):
        take(store, contact(1, title="CFO"), contact(2, title="Chief  of Staff"), contact(3, title="CFO"))
        for n in (1, 2, 3):
            take(store, lead(n, also=[sf(n, "Contact")]))
        take(store, act(1, "a"), act(2, "sent", kind="email.delivered"))
        assert store.dossier(3).account.titles == ("CFO",), "who was sent a mail has done nothing"
        assert store.dossier(3).account.engaged == 1
        take(store, act(2, "b"), act(3, "c"))
        assert store.dossier(1).account.titles == ("CFO", "Chief of Staff")
        take(store, contact(2, 5, title="CTO"))
        assert (store.dossier(1).account.titles, store.dossier(1).account.engaged) == (("CFO", "CTO"), 3)

    def test_the_owner_of_the_newest_open_deal_also_of_one_that_names_nobody(self, store):
        take(store, contact(1))
        take(store, deal_of("X", "A1", owner="ana", made=1), deal_of("Y", "A1", owner="ben", made=2))
        view = store.dossier(1).account
        assert (view.open_deals, view.deal_owner) == (2, "ben")
        take(store, deal_of("Y", "A1", 3, owner="ben", made=2, closed=True))
        take(store, deal_of("Y", "A1", 2, owner="ben", made=2))
        view = store.dossier(1).account
        assert (view.open_deals, view.deal_owner) == (1, "ana"), "an older read opens no closed deal"
        take(store, deal_of("X", "A2", 5, owner="ana", made=1))
        assert store.dossier(1).account.open_deals == 0


def of(store, name: str):
    found = [store.dossier(person) for person in store.find(name)]
    return next(one for one in found if any(identity.id == name for identity in one.identities))


class Candidates:
    def test_who_is_of_none_is_shown_those_that_share_something(self, store):
        take(store, company("A1", name="Nordvind AB", website="nordvind.example", phone="+46 8 987 650", owner="ana"))
        take(store, company("A2", name="Zerkovia", created=at(0)))
        take(store, contact("C8", account="A2", emails=("bo@zerkovia.example",)), contact("C9", account="A2"))
        take(
            store,
            lead("L1", emails=["eva@nordvind.example"], company="Nordvind", phone="0046 8 987650"),
            lead("L2", emails=["eva@zerkovia.example"]),
            lead("L3", emails=["eva@web.de"], company="Tamboril", website="www.linkedin.com/in/eva"),
        )
        one, two, three = (of(store, name) for name in ("L1", "L2", "L3"))
        [found] = one.candidates
        assert (found.view.id, found.view.owner) == ("A1", "ana")
        assert found.shares == tuple(map(Share, ("d:nordvind.example", "n:nrdvnd", "p:+468987650")))
        [found] = two.candidates
        assert found.shares == (Share("d:zerkovia.example", told=False, people=1),)
        assert (found.people, found.created_at) == (2, at(0))
        assert three.candidates == ()
        assert of(store, "C8").candidates == (), "the CRM says where they are"

    def test_a_key_goes_with_what_told_it(self, store):
        def shared(name="L1"):
            return [one.view.id for one in of(store, name).candidates]

        take(store, lead("L1", emails=["eva@nordvind.example"]), company("A1", 1, website="nordvind.example"))
        assert shared() == ["A1"]
        take(store, company("A1", 2, website="other.example"))
        assert shared() == []
        take(store, contact("C5", 1, emails=("bo@nordvind.example",)))
        assert shared() == ["A1"]
        take(store, contact("C5", 2, account="A2", emails=("bo@nordvind.example",)))
        assert shared() == ["A2"]
        take(store, contact("C5", 3, account="A2", emails=("bo@nordvind.example",), deleted=True))
        assert shared() == []
        take(store, company("A3", 1, name="Nordvind Kern"), lead("L2", company="Nordvind Kern"))
        assert shared("L2") == ["A3"]
        take(store, company("A3", 2, name="Nordvind Kern", deleted=True))
        assert shared("L2") == []

    def test_what_very_many_share_tells_nobody_apart(self, store):
        take(
            store, *(company(f"A{n}", website="host.example") for n in range(21)), lead("L1", emails=["e@host.example"])
        )
        assert of(store, "L1").candidates == ()

    def test_who_was_matched_counts_among_its_people_and_proves_nothing(self, store):
        take(store, company("A1", name="Nordvind"), contact("C5"), lead("L1", emails=["e@new.example"], title="CFO"))
        take(store, act("L1", "a"))
        settle(store, decision=Decision(account="A1"))
        found = of(store, "C5")
        assert (found.account.engaged, found.account.titles) == (1, ("CFO",))
        take(store, lead("L2", emails=["f@new.example"]))
        assert of(store, "L2").candidates == ()
        take(store, lead("L1", 3, title="CEO"))
        assert store.dossier(found.person).account.titles == ("CEO",)
        settle(store, minute=4)
        assert store.dossier(found.person).account.engaged == 0


def waiting(store, *numbers, account="A1", minute=1):
    """Contacts of an account who wait on it, all settled."""
    take(store, *(contact(n, account=account) for n in numbers))
    settle(store, minute=minute, waits_on=(f"account:{account}",))


def woken(store, minute=50) -> set[str]:
    return {r.identity.id for d in store.unsettled(at(minute), 1000).dossiers for r in d.records}


class Waking:
    def test_who_waits_for_an_account_is_planned_when_its_picture_changes(self, store):
        waiting(store, 1, 2)
        take(store, contact(3, 2))
        assert woken(store) == {"3"}, "a colleague who does nothing changes nothing"
        settle(store, minute=3)
        take(store, lead(3, also=[sf(3, "Contact")]), act(3, "a"), lane=1)
        assert woken(store) == {"1", "2", "3"}
        settle(store, minute=4, waits_on=("account:A1",))
        take(store, act(3, "b"))
        assert woken(store) == {"3"}, "who is engaged already changes nothing"
        settle(store, minute=5, waits_on=("account:A1",))
        take(store, deal_of("D", "A1", owner="ana"))
        assert woken(store) == {"1", "2", "3"}
        settle(store, minute=6, waits_on=("account:A1",))
        take(store, company("A1", 7, industry="Steel"))
        assert woken(store) == {"1", "2", "3"}

    def test_a_deal_that_moves_wakes_both(self, store):
        waiting(store, 1)
        waiting(store, 2, account="A2")
        take(store, deal_of("D", "A1", 2))
        assert woken(store) == {"1"}
        found = store.unsettled(at(3), 9)
        plans = [Settlement(d.person, d.revision, plan(waits_on=("account:A1",))) for d in found.dossiers]
        store.settle(plans, found.roster, now=at(3), config="c")
        take(store, deal_of("D", "A2", 4))
        assert woken(store) == {"1", "2"}

    def test_colleagues_are_woken_in_the_cold_lane_and_who_is_dirty_keeps_theirs(self, store):
        waiting(store, 1, 2)
        take(store, lead(2, also=[sf(2, "Contact")]), act(2, "a"))
        lanes = {d.records[0].identity.id: int(d.lane) for d in store.unsettled(at(9), 9).dossiers}
        assert lanes == {"1": 1, "2": 0}

    def test_who_is_matched_wakes_those_of_the_account(self, store):
        waiting(store, 1)
        take(store, lead(7, emails=["x@example.com"]), act(7, "a"))
        found = store.unsettled(at(3), 9)
        plans = [Settlement(d.person, d.revision, plan(decision=Decision(account="A1"))) for d in found.dossiers]
        store.settle(plans, found.roster, now=at(3), config="c")
        assert woken(store) == {"1"}

    def test_a_large_company_is_woken_bit_by_bit_and_then_rests(self, store):
        waiting(store, *range(450))
        take(store, lead(0, also=[sf(0, "Contact")]), act(0, "a"))
        rounds = []
        for minute in range(10, 20):
            found = store.unsettled(at(minute), 1000).dossiers
            rounds.append(len(found))
            settle(store, minute=minute, waits_on=("account:A1",))
        assert max(rounds) <= 200
        assert 450 <= sum(rounds) <= 452
        take(store, lead(1, also=[sf(1, "Contact")]), act(1, "b"), minute=21)
        assert len(woken(store)) == 1, "the next change waits for an hour"
        settle(store, minute=22, waits_on=("account:A1",))
        take(store, act(2, "c"), minute=90)
        settle(store, minute=90, waits_on=("account:A1",))
        assert len(woken(store, 91)) == 200, "but is not forgotten"

    def test_a_change_on_the_way_wakes_those_once_more_who_were_woken_before(self, store):
        waiting(store, *range(250))
        take(store, lead(0, also=[sf(0, "Contact")]), act(0, "a"))
        settle(store, minute=10, waits_on=("account:A1",))
        take(store, lead(1, also=[sf(1, "Contact")]), act(1, "b"), minute=11)
        total = 0
        for minute in (12, 13, 14, 90, 91, 92, 93):
            total += len(store.unsettled(at(minute), 1000).dossiers)
            settle(store, minute=minute, waits_on=("account:A1",))
            take(store, act("9", f"n{minute}"), minute=minute)
        assert 250 + 50 <= total <= 250 + 50 + 10
