"""Marketo's side of the story: its sandbox over real HTTP, the control API, and connectors that look at it."""

import itertools
import json
from contextlib import contextmanager
from datetime import timedelta

from syncagent.config import Secret
from syncagent.connectors import marketo
from syncagent.model import Activity, Identity, Nurture
from syncagent.sandbox import Control, Sandbox

FEED = r"/activities\.json"
LISTS = r"/lists/"


class MarketoWorld:
    can = frozenset(
        {"empty", "loop", "dead", "throttled", "quota", "broken", "cut", "credentials", "late", "merge", "delete"}
        | {"lost", "unsent", "refused"}
    )
    idle_calls = 1
    sweep = 86_400
    deletions = 3_600
    list_id, campaign_id = 501, 601

    def __init__(self, box, monkeypatch):
        found = box.credentials("marketo")
        self.secrets = (found["client_secret"], found["client_id"])
        monkeypatch.setenv("TEST_MARKETO_ID", found["client_id"])
        monkeypatch.setenv("TEST_MARKETO_SECRET", found["client_secret"])
        self.box, self.url = box, found["base_url"]
        self.control = Control(self.url)
        self.control.act("set_limits", clock="off")
        self.control.seed(
            lists=[{"id": self.list_id, "name": "Nurture"}], campaigns=[{"id": self.campaign_id, "name": "Recycled"}]
        )
        self._opened = []
        self._numbers = itertools.count(1)
        self._leads = {}
        self.source = self.target = self.fresh()
        self.one = self.record()

    def close(self):
        for connector in self._opened:
            connector.close()
        self.control.close()

    def fresh(self, **options):
        settings = {
            "base_url": self.url,
            "client_id": Secret(env="TEST_MARKETO_ID"),
            "client_secret": Secret(env="TEST_MARKETO_SECRET"),
            "activities": {"Visit Webpage": "page.visited", "Fill Out Form": "form.submitted"},
            "page_size": 50,
            "pace": 0,
            **options,
        }
        self._opened.append(marketo.open("marketo", marketo.Options(**settings)))
        return self._opened[-1]

    def now(self):
        return self.box.clock.now()

    def advance(self, seconds):
        if seconds:
            self.control.clock_advance(seconds)

    def happen(self, count, at=None):
        rows = [{"leadId": int(self.one.id), "type": "Visit Webpage", "asset": "/pricing"} for _ in range(count)]
        if at:
            late = {"late": "lost"} if at < self.now() - timedelta(seconds=5) else {}
            rows = [{**row, "at": at.isoformat(), **late} for row in rows]
        return set(self.control.seed(activities=rows)["activities"])

    def told(self, facts):
        return [fact.key for fact in facts if isinstance(fact, Activity)]

    def fault(self, path, **fault):
        self.control.plant(match={"path": path, **fault.pop("match", {})}, **fault)

    def plant(self, fault):
        path = f"{FEED}|{LISTS}"
        if fault == "dead":
            self.control.act("expire_tokens")
        elif fault == "credentials":
            self.control.act("configure", client_secret="another")
            self.control.act("expire_access_token")
        elif fault == "loop":
            page = {"requestId": "1#19", "success": True, "nextPageToken": "SAME", "moreResult": True}
            self.fault(FEED, status=200, body=json.dumps(page), times=None)
        elif fault == "refused":
            self.control.act("delete_lead", leadId=int(next(iter(self._leads.values())).id))
        else:
            planted = {
                "empty": {"empty_page": True},
                "throttled": {"code": "606"},
                "quota": {"code": "607"},
                "broken": {"html": 503},
                "cut": {"cut": True},
                "lost": {"drop": "after"},
                "unsent": {"drop": "before"},
            }[fault]
            self.fault(path, **planted)

    def writes(self):
        return sum(
            call["method"] != "GET" and "identity" not in call["path"] and "_method=GET" not in call["query"]
            for call in self.control.calls()
        )

    def record(self):
        email = f"person{next(self._numbers)}@example.com"
        return Identity("marketo", "lead", str(self.control.seed(leads=[{"email": email}])["leads"][0]))

    def delete(self, identity):
        self.control.act("delete_lead", leadId=int(identity.id))

    def merge(self, winner, loser):
        self.control.act("merge_leads", winner=int(winner.id), losers=[int(loser.id)])

    def command(self, key, attempt=0, **where):
        self._leads[key] = self.record()
        where = where or {"list_id": self.list_id}
        return Nurture(
            key=key, target="marketo", person=1, lead=self._leads[key], reason="Not now", attempt=attempt, **where
        )

    def effects(self, key):
        kinds = {24, 47}
        rows = self.control.dump()["activities"]["newest"]
        return sum(row["leadId"] == int(self._leads[key].id) and row["activityTypeId"] in kinds for row in rows)

    def start(self, ago=3600):
        return self.source.begin(self.now() - timedelta(seconds=ago))


@contextmanager
def marketo_world(monkeypatch):
    """One instance for one test."""
    with Sandbox(["marketo"]) as box:
        world = MarketoWorld(box, monkeypatch)
        try:
            yield world
        finally:
            world.close()
