"""What HubSpot answers when it refuses: one envelope for whole calls and for single rows of a batch (crm.md B2)."""

from typing import Any

import msgspec


class RefusedError(Exception):
    """A call, or one row of a batch, is refused.

    `errors` are the details, `context` is what a row error names (ids, objectWriteTraceId).
    """

    def __init__(
        self,
        status: int,
        category: str,
        message: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        context: dict[str, list[str]] | None = None,
        more: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.message = message
        self.errors = errors or []
        self.context = context or {}
        self.more = more or {}
        self.headers = headers or {}

    def envelope(self, correlation: str) -> dict[str, Any]:
        """The body of a refused call; every key but status and message may be missing."""
        told: dict[str, Any] = {"status": "error", "message": self.message, "correlationId": correlation}
        if self.category:
            told["category"] = self.category
        if self.errors:
            told["errors"] = self.errors
        if self.context:
            told["context"] = self.context
        return told | self.more

    def row(self, trace: str | None, *, sparse: bool) -> dict[str, Any]:
        """The error as one of the `errors` of a 207; the trace id is all that leads back to the input."""
        context = dict(self.context)
        if trace is not None:
            context["objectWriteTraceId"] = [trace]
        told: dict[str, Any] = {
            "status": "error",
            "category": self.category,
            "message": self.message,
            "context": context,
        }
        if self.errors or not sparse:
            told["errors"] = self.errors
        return told if sparse else told | {"links": {}}


def invalid(message: str, **context: str) -> RefusedError:
    """A 400 about the request itself."""
    told = {name: [value] for name, value in context.items()}
    return RefusedError(400, "VALIDATION_ERROR", message, context=told)


def invalid_values(problems: list[dict[str, Any]]) -> RefusedError:
    """A 400 about values of properties: the list stands as JSON inside the message, and again as `errors`."""
    listed = msgspec.json.encode(problems).decode()
    errors = [
        {"message": each["message"], "code": each["error"], "context": {"propertyName": [each["name"]]}}
        for each in problems
    ]
    return RefusedError(400, "VALIDATION_ERROR", f"Property values were not valid: {listed}", errors=errors)


def problem(name: str, error: str, message: str) -> dict[str, Any]:
    """One entry for `invalid_values`."""
    return {"isValid": False, "message": message, "error": error, "name": name, "localizedErrorMessage": message}


def not_found(what: str = "Object not found.  objectId are usually numeric.", *ids: str) -> RefusedError:
    """There is no such thing."""
    return RefusedError(404, "OBJECT_NOT_FOUND", what, context={"ids": list(ids)} if ids else None)


def missing_scopes(*scopes: str) -> RefusedError:
    """The app may not do this."""
    errors = [
        {
            "message": "One or more of the following scopes are required.",
            "context": {"requiredGranularScopes": list(scopes)},
        }
    ]
    told = "This app hasn't been granted all required scopes to make this call."
    return RefusedError(403, "MISSING_SCOPES", told, errors=errors)
