"""A record that was to be made is there already: by our own hand, by somebody else's, or because two people are one."""

from msgspec.structs import replace

from syncagent.handoff import stages
from syncagent.handoff.commands import opening_row
from syncagent.handoff.draft import Draft
from syncagent.handoff.view import is_contact
from syncagent.model import Desired


def take_up(draft: Draft) -> None:
    """Let the row that was told to a record yet to be made go on with the one that the CRM shows."""
    if _was_there(draft):
        _begin_anew(draft)
    elif not (draft.write_pending and _may_be_ours(draft)):
        _go_on_with(draft)


def _was_there(draft: Draft) -> bool:
    """Whether the record that we wanted to make was there already: what stands in it answers nothing (law 5)."""
    entry, view = draft.write_entry, draft.view
    if entry is None or view is None or not draft.with_sales or is_contact(view.record):
        return False
    if not stages.is_untouched(draft.current.get("status"), draft.policy.crm):
        return False  # sales is at work on it
    if entry.state in ("queued", "sending"):
        return True  # it goes on, and will only find the record: what depends on it learns it from there
    receipt = entry.receipt
    return entry.state == "done" and receipt is not None and receipt.adopted and receipt.record == view.record.identity


def _may_be_ours(draft: Draft) -> bool:
    """Whether the record shows what we have told to be made: its creation is about to be confirmed."""
    return not draft.contact and all(
        draft.current.get(name) == draft.told[name] for name in ("owner", "status") if name in draft.told
    )


def _go_on_with(draft: Draft) -> None:
    """The row goes on with a record that somebody else has made: none is created. A contact has a row of its own."""
    desired, view, handoff = draft.desired, draft.view, draft.handoff
    assert desired is not None and view is not None  # noqa: S101, PT018 - see `take_up`
    if draft.contact and draft.write_pending and handoff is not None:
        draft.believe(Desired(view.record.identity, {}, desired.revision))
        draft.want = opening_row(draft, handoff, handoff.opened_at)
    else:
        draft.desired = replace(desired, record=view.record.identity)


def _begin_anew(draft: Draft) -> None:
    """Tell the record that was found what the new one would have been told, on top of what it shows now."""
    desired, entry, view = draft.desired, draft.write_entry, draft.view
    assert desired is not None and entry is not None and view is not None  # noqa: S101, PT018 - see `_was_there`
    want = dict(draft.want)
    draft.believe(Desired(view.record.identity, {}, desired.revision))
    for field in ("owner", "status"):
        if field in draft.current:
            draft.told[field] = draft.current[field]
    draft.want = {**draft.told, **want}
