"""What reps are told of a person: the brief in the task, the moments worth an eye, alerts while a deal is open."""

from msgspec import Struct

from syncagent.policy.conditions import Duration
from syncagent.policy.scoring import Globs

MOST_WORDS = 120

LISTS = {
    "moments": "up to three things they did, the newest first, with date and time in the rep's zone",
    "history": "up to two earlier handoffs: when, with whom, how it ended, after how many tries, the reason",
    "before": "who had the lead before in this handoff, what they tried, and why it was passed on",
}
"""Placeholders with several values: their line stands once for each."""

PLACEHOLDERS = {
    "name": "the person, with the company in parentheses",
    "title": "their title",
    "cause": "why the lead is handed over now",
    "score": "the score, in points",
    "grade": "the grade",
    "standing": "score and grade in words, where the cause does not say them already",
    "segment": "the segment whose line was crossed",
    "number": "which handoff it is, from the second on",
    "reasons": "the three rules that gave most, with their points",
    "known": "answers of the gate that are known",
    "question": "the best question to ask, in the words of the config",
    "unknown": "what else is unknown: questions, title, company, phone",
    "company": "the account in the CRM, else the company that they name",
    "key_account": "the list of [accounts.lists] that it is in",
    "engaged": "how many of its people have done something",
    "deals": "how many open deals it has",
    "account_owner": "who owns the account, unless it is the rep",
    "others": "further records of the person in the CRM",
    **LISTS,
}
"""What a line of the brief may ask for; and lead.NAME, account.NAME: any attribute of the person, of the account."""

LINES = (
    "Why now: {cause}.[ Now {standing}.]",
    "This is a return (handoff number {number}).",
    "Before: {history}.",
    "Before you: {before}",
    "Because: {reasons}.",
    "- {moments}",
    "Known: {known}.",
    "Ask first: {question}",
    "Unknown, please ask: {unknown}.",
    "Company: {company}[, key account ({key_account})][, people active: {engaged}][, open deals: {deals}]"
    "[, account owner: {account_owner}].",
    "Also in the CRM as: {others}.",
)
DROP = ("others", "known", "reasons", "unknown", "company", "before", "history", "moments", "question")


class BriefPolicy(Struct, frozen=True):
    """The brief in a rep's task. `lines`: see `policy/template.py`. Never more than `words` words.

    What is too long loses whole lines: those with the placeholders of `drop`, in this order, the last one first; then
    the others from the end. The first line stays.
    """

    words: int = MOST_WORDS
    lines: tuple[str, ...] = LINES
    drop: tuple[str, ...] = DROP


MOMENT_PLACEHOLDERS = {
    "asset": "which form, page, mail or file: its title if `titles` has one",
    "campaign": "the campaign it belongs to",
    "source": "the system that told it",
}
"""What the words of a moment may ask for."""


class MomentRule(Struct, frozen=True):
    """Activities worth a rep's eye, in whose words. The first rule that fits counts; without `says` they are not.

    `deal`: the owner of an open deal is told of it.
    """

    activity: Globs
    says: str = ""
    asset: Globs = ""
    deal: bool = False


MOMENTS = (
    MomentRule("form.submitted", "Filled out the form[ {asset}]"),
    MomentRule("page.visited", "Visited the page[ {asset}]"),
    MomentRule("email.clicked", "Clicked in the mail[ {asset}]"),
    MomentRule("email.replied", "Answered the mail[ {asset}]"),
    MomentRule("file.downloaded", "Downloaded[ {asset}]"),
    MomentRule(("webinar.attended", "event.attended"), "Attended[ {asset}]"),
    MomentRule(("webinar.registered", "event.registered"), "Registered[ for {asset}]"),
    MomentRule("meeting.booked", "Booked a meeting[: {asset}]"),
)
"""The words for what most people do, where the agreement has no rules of its own."""


class InsightPolicy(Struct, frozen=True):
    """What is interesting, and who hears of it when.

    `moments`: the agreement's rules; empty: `MOMENTS`, and in a brief only what gave points. `titles`: content by glob.
    `shown`: so many lines stand in the record's field. `within`: what a contact on an open deal did longer ago alarms
    nobody. `again`: the same moment on the same deal is told once in that time.
    """

    moments: tuple[MomentRule, ...] = ()
    titles: dict[str, str] = {}
    shown: int = 3
    within: Duration = Duration(days=3)
    again: Duration = Duration(days=7)
