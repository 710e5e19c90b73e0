"""HubSpot as a source of marketing's facts: contacts, what they did (forms, emails, pages), merges and deletions.

`feed` and `activity` read, `walk` knows how a round goes, `hubspot_webhooks` what is posted. Recycled leads go back as
members of a static list, which may be told any number of times.

The same portal may be the CRM, too. Then `crm_ids = { hs_object_id = "hubspot/contact" }` says that both speak of the
same people, and what our own app has written is neither an activity nor news. Source: marketing_automation.md 4.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property

from syncagent.clock import Clock
from syncagent.config import Secret
from syncagent.connectors import hubspot_webhooks
from syncagent.connectors.base import Delivered, Delivery, Reply
from syncagent.connectors.http import Reply as Answer
from syncagent.connectors.http import Sleep
from syncagent.connectors.hubspot.activity import EVENT, FORM, KNOWN, PROPERTY
from syncagent.connectors.hubspot.feed import Feed
from syncagent.connectors.hubspot.options import Options
from syncagent.connectors.hubspot.portal import BATCH, DeniedError, Portal, chunks
from syncagent.connectors.hubspot.shapes import error_of, json_of
from syncagent.errors import ConfigError, ConnectorDownError, Problem, RetryableError
from syncagent.model import (
    AnyCommand,
    Cursor,
    Done,
    Identity,
    Key,
    Nurture,
    Outcome,
    Page,
    Receipt,
    Refused,
    Retry,
    Value,
)

_NOT_THERE = 404
_KEPT = ("x-hubspot-request-timestamp",)


class HubSpotMarketing:
    """One portal as a marketing system. Any thread may call it. Close it."""

    batch_size = BATCH

    def __init__(self, name: str, options: Options, *, clock: Clock | None = None, sleep: Sleep | None = None) -> None:
        self.name = name
        self.options = options
        self._door = Door(options)
        self.methods = self._door.methods
        self.portal = Portal(name, options, clock=clock, sleep=sleep)
        self._feed = Feed(self.portal, options)

    def close(self) -> None:
        """Wake up whoever waits, and close the connections."""
        self.portal.close()

    def renew(self) -> None:
        """Read the signing secrets anew."""
        self._door.renew()

    def calls(self) -> Mapping[str, int]:
        """API calls made, and the portal's day."""
        return self.portal.budget.calls()

    # -- Source

    def begin(self, since: datetime, until: datetime | None = None) -> Cursor:
        """Where to start. No I/O."""
        return self._feed.begin(since, until)

    def pull(self, cursor: Cursor) -> Iterator[Page]:
        """One round."""
        try:
            self.portal.app()  # by the next delivery it is known whose writes are ours
            yield from self._feed.walk.pull(cursor)
        except DeniedError as error:
            raise _down(error) from None

    def look(self, identities: Sequence[Identity]) -> Page:
        """These contacts as they are now, and what merged ones became."""
        try:
            return self._feed.look(identities)
        except DeniedError as error:
            raise _down(error) from None

    # -- Webhook

    def verify(self, delivery: Delivery, now: datetime) -> Reply:
        """Whether HubSpot signed it. Raises `ForgedDeliveryError`, `UnreadableDeliveryError`."""
        return self._door.verify(delivery, now)

    def read(self, delivery: Delivery, arrived: datetime) -> Delivered:
        """Who is to be looked up, who was merged, who is gone."""
        own = self.portal.known_app()
        return hubspot_webhooks.read(delivery.body, self.name, {"contact": "contact"}, arrived, own_source=own)

    # -- Target

    def me(self) -> str:
        """Empty: what is told of this part names no user."""
        return ""

    def apply(self, batch: Sequence[AnyCommand]) -> Iterator[tuple[Key, Outcome]]:
        """Only `Nurture` by a static list; everything else is refused."""
        wanted: dict[tuple[int, str], list[Nurture]] = {}
        keys = {command.key for command in batch}
        for command in batch:
            if keys.intersection(command.depends_on):
                yield command.key, Retry(60.0, "It waits for another command of the same batch.")
            elif isinstance(command, Nurture) and command.list_id is not None:
                verb = "remove" if command.remove else "add"
                wanted.setdefault((command.list_id, verb), []).append(command)
            else:
                why = "HubSpot takes leads back by a static list only: set recycle.nurture.list."
                yield command.key, Refused(why, code="NOT_SUPPORTED")
        for (number, verb), commands in wanted.items():
            for some in chunks([one.lead.id for one in commands]):
                # Members are a set: telling it twice does no harm.
                path = f"/crm/v3/lists/{number}/memberships/{verb}"
                try:
                    reply = self.portal.call("PUT", path, json=some, safe=True)
                except DeniedError as error:
                    raise _down(error) from None
                here = set(some)
                yield from ((one.key, self._added(one, reply)) for one in commands if one.lead.id in here)

    def _added(self, command: Nurture, reply: Answer) -> Outcome:
        values: dict[str, Value] = {"list": command.list_id}
        if not reply.ok:
            if command.remove and reply.status == _NOT_THERE:
                note = f"There is no list {command.list_id} any more."
                return Done(Receipt(command.key, command.lead, self.portal.now(), values, adopted=True, note=note))
            error = error_of(json_of(reply), reply.status)
            helps = "Only a static list takes members; its number stands in its address. Then run: syncagent check"
            return Refused(f"HubSpot refused the list {command.list_id}: {error.text} {helps}", code=error.category)
        body = json_of(reply)
        missing = body.get("recordIdsMissing") or body.get("recordsIdsMissing") if isinstance(body, Mapping) else None
        if missing and not command.remove and command.lead.id in {str(one) for one in missing}:
            return Refused("The contact is not there any more.", "conflict", "OBJECT_NOT_FOUND")
        return Done(Receipt(command.key, command.lead, reply.date or self.portal.now(), values))

    # -- check

    def check(self) -> Sequence[Problem]:
        """The token, the mapped events and properties, forms and lists."""
        path = f"sources.{self.name}"
        problems: list[Problem] = []
        steps: tuple[Callable[[str], Iterator[Problem]], ...] = (
            self._check_properties,
            self._check_activities,
            self._check_lists,
        )
        for step in steps:
            try:
                problems += step(path)
            except DeniedError as error:
                helps = (
                    "Give the app the scopes crm.objects.contacts.read, crm.schemas.contacts.read, forms and content."
                )
                problems.append(Problem(path, str(error), helps))
            except (RetryableError, ConnectorDownError) as error:
                return [Problem(path, str(error), "Until this is mended, HubSpot cannot be read.")]
            except ConfigError as error:
                return list(error.problems)
        return problems

    def _check_properties(self, path: str) -> Iterator[Problem]:
        self.portal.forget("properties/contacts")
        known = self.portal.properties("contacts")
        wanted = {f"{path}.fields.{ours}": theirs for ours, theirs in self.options.fields.items()}
        wanted |= {f"{path}.crm_ids.{theirs}": theirs for theirs in self.options.crm_ids}
        for event in self.options.activities:
            if event.startswith(PROPERTY):
                wanted[f'{path}.activities."{event}"'] = event.removeprefix(PROPERTY)
        for where, theirs in wanted.items():
            if theirs not in known and theirs != "hs_object_id":
                helps = "Its internal name stands under Settings > Properties."
                yield Problem(where, f"HubSpot has no contact property {theirs}, or the app may not see it.", helps)

    def _check_activities(self, path: str) -> Iterator[Problem]:
        given = self.options.activities
        for event in given:
            if event not in KNOWN and not event.startswith((PROPERTY, EVENT)):
                helps = f'There are {", ".join(KNOWN)}, "property:NAME" and "event:TYPE".'
                yield Problem(f'{path}.activities."{event}"', "HubSpot has no such event.", helps)
        if not given:
            helps = 'Name at least one, for example activities = { form_submission = "form.submitted" }.'
            yield Problem(f"{path}.activities", "Nothing that people do is read, so nobody will be scored.", helps)
        if FORM in given:
            have = self._feed.doings.forms()
            for guid in self.options.forms:
                reply = self.portal.call("GET", f"/marketing/v3/forms/{guid}")
                if not reply.ok:
                    helps = "Its id stands in the address of the form in HubSpot."
                    yield Problem(f"{path}.forms.{guid}", "HubSpot has no such form.", helps)
            if len(have) > BATCH:
                helps = "Name those that count under forms: each is a call now and then."
                yield Problem(f"{path}.forms", f"All {len(have)} forms are read.", helps, fatal=False)
        if self._feed.doings.may_have_events() is False:
            helps = "Leave page_view out, or ask HubSpot for a plan with the event analytics API (Enterprise)."
            yield Problem(f"{path}.activities", "This portal has no page events.", helps, fatal=False)

    def _check_lists(self, path: str) -> Iterator[Problem]:
        for number in self.options.lists:
            reply = self.portal.call("GET", f"/crm/v3/lists/{number}")
            if not reply.ok:
                helps = "Take its number from the address of the list in HubSpot."
                yield Problem(f"{path}.lists", f"HubSpot has no list {number}.", helps)


class Door:
    """What HubSpot posts, for either part: signed with one of the secrets, which are read once. Thread safe."""

    def __init__(self, options: Options) -> None:
        one = (options.signing_secret,) if options.signing_secret is not None else ()
        self._places: tuple[Secret, ...] = (*one, *options.signing_secrets)
        self._public_url = options.public_url
        self.methods = frozenset({"POST"} if self._places else ())

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        return tuple(place.reveal() for place in self._places)

    def renew(self) -> None:
        """What was read of the secrets is forgotten."""
        self.__dict__.pop("_secrets", None)

    def verify(self, delivery: Delivery, now: datetime) -> Reply:
        """Whether HubSpot signed it. The moment of its signing is all that is kept."""
        hubspot_webhooks.verify(delivery, self._secrets, now, public_url=self._public_url)
        return Reply(keep={name: value for name in _KEPT if (value := delivery.headers.get(name))})


def _down(error: DeniedError) -> ConnectorDownError:
    return ConnectorDownError(
        f"{error} Give the app the scope crm.objects.contacts.read (Settings > Integrations > Private Apps > Scopes);"
        " then run: syncagent check"
    )
