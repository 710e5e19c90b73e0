"""Bulk extract of activities and leads: create, enqueue, poll, fetch (whole or by ranges), cancel, list.

A job moves with the sandbox's clock, and what status.json shows of it moves only once a minute. Source:
marketing_automation.md 1.7.
"""

import csv
import hashlib
import io
import re
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from syncagent.sandbox.marketo import catalog as kinds
from syncagent.sandbox.marketo.feed import stamp
from syncagent.sandbox.marketo.gate import CENTRAL, RefusedError
from syncagent.sandbox.marketo.instance import Handler, Instance, Reply, Request, moment
from syncagent.sandbox.marketo.leads import paged
from syncagent.sandbox.vendor import Answer

ACTIVITY_COLUMNS = (
    "marketoGUID",
    "leadId",
    "activityDate",
    "activityTypeId",
    "campaignId",
    "primaryAttributeValueId",
    "primaryAttributeValue",
    "attributes",
)
MAX_RANGE = 31 * 86_400
MAX_QUEUED, MAX_PROCESSING = 10, 2
KEPT = 7 * 86_400
_DELIMITERS = {"CSV": ",", "TSV": "\t", "SSV": ";"}


@dataclass(slots=True)
class Job:
    """One export. `queued` is when it was enqueued, `starts` when one of the two workers takes it; Unix seconds."""

    id: str
    entity: str
    fields: list[str]
    headers: dict[str, str]
    filter: dict[str, Any]
    format: str
    created: int
    queued: int | None = None
    starts: int = 0
    cancelled: bool = False
    file: bytes | None = None
    rows: int = 0

    def state(self, at: int, seconds: int) -> str:
        """Where the job stands at a moment."""
        if self.cancelled:
            return "Canceled"
        if self.queued is None:
            return "Created"
        if at < self.starts:
            return "Queued"
        return "Processing" if at < self.starts + seconds else "Completed"


def _refused_job(text: str) -> Answer:
    return Answer(404, text.encode(), {"Content-Type": "text/plain;charset=UTF-8"})


def _visible(site: Instance, job: Job) -> int:
    step = max(1, site.settings.bulk_granularity)
    return site.now if job.queued is None else job.queued + (site.now - job.queued) // step * step


def _shown(site: Instance, job: Job) -> dict[str, Any]:
    seconds = site.settings.bulk_seconds
    state = job.state(_visible(site, job), seconds)
    shown: dict[str, Any] = {"exportId": job.id, "format": job.format, "status": state, "createdAt": stamp(job.created)}
    if job.cancelled:
        shown["status"] = site.settings.cancel_status
    if job.queued is not None:
        shown["queuedAt"] = stamp(job.queued)
    if state in {"Processing", "Completed"}:
        shown["startedAt"] = stamp(job.starts)
    if state == "Completed":
        content = _content(site, job)
        shown |= {"finishedAt": stamp(job.starts + seconds), "numberOfRecords": job.rows, "fileSize": len(content)}
        shown["fileChecksum"] = "sha256:" + hashlib.sha256(content).hexdigest()
    return shown


def _job(site: Instance, parts: list[str]) -> Job:
    found = site.jobs.get(parts[1])
    if found is None or found.entity != parts[0]:
        raise RefusedError("1013", f"Export job {parts[1]} not found")
    job: Job = found
    return job


def create(site: Instance, request: Request, parts: list[str]) -> Reply:
    """A new job, not yet in the queue."""
    body = request.json()
    chosen = body.get("filter") or {}
    entity = parts[0]
    ranges = [name for name in ("createdAt", "updatedAt") if name in chosen]
    if entity == "activities" and ranges != ["createdAt"]:
        raise RefusedError("1003", "Exactly one createdAt filter is needed")
    if entity == "leads" and not (ranges or "staticListId" in chosen or "staticListName" in chosen):
        raise RefusedError("1035", "Unsupported filter type for target subscription")
    for name in ranges:
        start, end = (moment(str(chosen[name].get(side, ""))) for side in ("startAt", "endAt"))
        if end < start or end - start > MAX_RANGE:
            raise RefusedError("1003", f"The {name} range must be 31 days or fewer")
    if kinds.DELETE in chosen.get("activityTypeIds", []):
        raise RefusedError("1003", "Delete Lead is not supported")
    fields = body.get("fields") or (list(ACTIVITY_COLUMNS) if entity == "activities" else [])
    known = {*ACTIVITY_COLUMNS, "actionResult"} if entity == "activities" else set(site.catalog.fields)
    if not fields or (unknown := [name for name in fields if name not in known]):
        raise RefusedError(
            "1006", f"Field '{unknown[0]}' not found" if fields else "Missing value for the required parameter 'fields'"
        )
    form = body.get("format") or "CSV"
    if form not in _DELIMITERS:
        raise RefusedError("1003", f"Invalid format '{form}'")
    job = Job(str(uuid.uuid4()), entity, fields, body.get("columnHeaderNames") or {}, chosen, form, site.now)
    site.jobs[job.id] = job
    return {"result": [_shown(site, job)]}


def enqueue(site: Instance, _: Request, parts: list[str]) -> Reply:
    """Put a job into the queue: ten may be there, two of them at work."""
    job, seconds = _job(site, parts), site.settings.bulk_seconds
    if job.queued is not None:
        raise RefusedError("1029", "Job already queued")
    if job.cancelled:
        raise RefusedError("1029", "Job is canceled")
    busy = [each for each in site.jobs.values() if each.state(site.now, seconds) in {"Queued", "Processing"}]
    if len(busy) >= MAX_QUEUED:
        raise RefusedError("1029", "Too many jobs in queue")
    limit = site.settings.bulk_daily_bytes
    if _exported_today(site) >= limit:
        raise RefusedError("1029", f"Export daily quota {limit // 1_000_000}MB exceeded")
    ends = sorted(each.starts + seconds for each in busy)
    job.queued = site.now
    job.starts = site.now if len(ends) < MAX_PROCESSING else max(site.now, ends[-MAX_PROCESSING])
    return {"result": [_shown(site, job)]}


def _exported_today(site: Instance) -> int:
    start = int(site.clock.now().astimezone(CENTRAL).replace(hour=0, minute=0, second=0).timestamp())
    return sum(len(job.file) for job in site.jobs.values() if job.file is not None and job.starts >= start)


def status(site: Instance, _: Request, parts: list[str]) -> Reply:
    """Where the job stands, as of the last full minute since it was enqueued."""
    return {"result": [_shown(site, _job(site, parts))]}


def cancel(site: Instance, _: Request, parts: list[str]) -> Reply:
    """Cancel a job that is not finished; this answer spells it "Cancelled"."""
    job = _job(site, parts)
    if job.state(site.now, site.settings.bulk_seconds) == "Completed":
        raise RefusedError("1029", "Job is already completed")
    job.cancelled = True
    return {"result": [_shown(site, job) | {"status": site.settings.cancel_answer}]}


def jobs(site: Instance, request: Request, parts: list[str]) -> Reply:
    """The jobs of the last seven days, filtered by status."""
    wanted = {name.replace("Cancelled", "Canceled") for name in request.many("status")}
    found = []
    for job in site.jobs.values():
        if job.entity == parts[0] and job.created >= site.now - KEPT:
            shown = _shown(site, job)
            if not wanted or shown["status"].replace("Cancelled", "Canceled") in wanted:
                found.append(shown)
    return paged(found, request)


def file(site: Instance, request: Request, parts: list[str]) -> Reply:
    """The file, whole or the bytes of a Range; plain 404 text while there is none. Never compressed."""
    job = site.jobs.get(parts[1])
    if job is None or job.entity != parts[0]:
        return _refused_job("No export job with that id")
    done = job.state(_visible(site, job), site.settings.bulk_seconds) == "Completed"
    if not done or site.now > job.starts + KEPT:
        return _refused_job("File not found: the job is not completed, or its file has expired")
    content = _content(site, job)
    headers = {"Content-Type": "text/csv;charset=UTF-8", "Accept-Ranges": "bytes"}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.one("\0range"))
    if asked is None or not (asked[1] or asked[2]):
        return Answer(200, content, headers)
    start = int(asked[1]) if asked[1] else max(0, len(content) - int(asked[2]))
    end = min(len(content) - 1, int(asked[2])) if asked[1] and asked[2] else len(content) - 1
    if start > end:
        return Answer(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"})
    return Answer(206, content[start : end + 1], headers | {"Content-Range": f"bytes {start}-{end}/{len(content)}"})


def _content(site: Instance, job: Job) -> bytes:
    if job.file is None:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=_DELIMITERS[job.format], lineterminator="\n")
        writer.writerow([job.headers.get(name, name) for name in job.fields])
        rows = _activity_rows(site, job) if job.entity == "activities" else _lead_rows(site, job)
        for row in rows:
            writer.writerow(["null" if row.get(name) is None else row[name] for name in job.fields])
        job.rows = len(rows)
        job.file = text.getvalue().encode()
        if site.settings.bulk_dirt:
            first, _, rest = job.file.partition(b"\n")
            job.file = first + b"\r\n\0" + rest
    return job.file


def _range(job: Job, name: str) -> tuple[int, int]:
    return moment(job.filter[name]["startAt"]), moment(job.filter[name]["endAt"])


def _activity_rows(site: Instance, job: Job) -> list[dict[str, Any]]:
    types = frozenset(job.filter.get("activityTypeIds") or site.catalog.types) - {kinds.DELETE}
    assets, names = job.filter.get("primaryAttributeValueIds"), job.filter.get("primaryAttributeValues")
    rows = []
    for at in site.feed.between(*_range(job, "createdAt"), types):
        row = site.feed.decoded(at)
        if (assets and row.get("primaryAttributeValueId") not in assets) or (
            names and row.get("primaryAttributeValue") not in names
        ):
            continue
        row["attributes"] = msgspec.json.encode({each["name"]: each["value"] for each in row["attributes"]}).decode()
        row["actionResult"] = "succeeded"
        rows.append(row)
    return rows


def _lead_rows(site: Instance, job: Job) -> list[dict[str, Any]]:
    listed: set[int] | None = None
    if "staticListId" in job.filter or "staticListName" in job.filter:
        wanted = (job.filter.get("staticListId"), job.filter.get("staticListName"))
        listed = {
            number
            for each in site.people.lists.values()
            if each.id == wanted[0] or each.name == wanted[1]
            for number in each.members
        }
    rows = []
    for number in sorted(site.people.leads):
        lead = site.people.lead(number, site.now)
        if lead is None or (listed is not None and number not in listed):
            continue
        created = (
            "createdAt" not in job.filter or _range(job, "createdAt")[0] <= lead.created <= _range(job, "createdAt")[1]
        )
        updated = (
            "updatedAt" not in job.filter or _range(job, "updatedAt")[0] <= lead.updated <= _range(job, "updatedAt")[1]
        )
        if created and updated:
            rows.append({name: _plain(lead.get(name)) for name in job.fields})
    return rows


def _plain(value: Any) -> Any:  # noqa: ANN401 - a lead field has any JSON type
    return str(value).lower() if isinstance(value, bool) else value


_ID = r"(activities|leads)/export/([0-9a-f-]{36})"

ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", r"/bulk/v1/(activities|leads)/export/create\.json", create),
    ("GET", r"/bulk/v1/(activities|leads)/export\.json", jobs),
    ("POST", rf"/bulk/v1/{_ID}/enqueue\.json", enqueue),
    ("GET", rf"/bulk/v1/{_ID}/status\.json", status),
    ("GET", rf"/bulk/v1/{_ID}/file\.json", file),
    ("POST", rf"/bulk/v1/{_ID}/cancel\.json", cancel),
]
