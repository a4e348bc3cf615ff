"""What AWS makes of policies: a request is allowed where a statement allows it and none denies it.

The part of IAM's evaluation that one account with identity, bucket, key and trust policies needs; a condition
or a principal of another kind is an error, so that none is passed over in silence.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
Statement = dict[str, Any]
VARIABLE = re.compile(r"\$\{([^}]+)\}")
NEGATED = {"StringNotEquals": "StringEquals"}


@dataclass(frozen=True)
class Request:
    """One thing that somebody asks of AWS.

    Args:
        action: As in `s3:GetObject`.
        resource: Its ARN.
        principal: The ARN of who asks; a service's name where that asks.
        context: What conditions look at.
    """

    action: str
    resource: str
    principal: str = ""
    context: Mapping[str, str] = field(default_factory=dict)


def is_allowed(
    request: Request, own: Iterable[Document], of_resource: Document | None = None, *, resource_decides: bool = False
) -> bool:
    """Return whether a request is allowed.

    Args:
        request: What is asked.
        own: The policies of who asks.
        of_resource: The policy of what is asked for.
        resource_decides: Whether the resource's policy has to allow it as well, to the caller or to the whole account,
            as it is with keys and roles.
    """
    mine = [statement for document in own for statement in find_statements(document) if concerns(statement, request)]
    theirs = [
        statement
        for statement in find_statements(of_resource or {})
        if concerns(statement, request) and meets(statement, request)
    ]
    if any(statement["Effect"] == "Deny" for statement in (*mine, *theirs)):
        return False
    to_me, to_account = (
        any(is_named(statement, request, whole_account=whole) for statement in theirs) for whole in (False, True)
    )
    return to_me or (bool(mine) and (to_account or not resource_decides))


def find_statements(document: Document) -> list[Statement]:
    """Return a document's statements."""
    found = document.get("Statement", [])
    return found if isinstance(found, list) else [found]


def concerns(statement: Statement, request: Request) -> bool:
    """Return whether a statement is about a request, its conditions included."""
    unknown = set(statement) - {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    if unknown:
        raise ValueError(f"found {unknown} in a statement, expected what is evaluated here; teach is_allowed about it")
    on_resource = "Resource" not in statement or any(
        matches(fill(pattern, request), request.resource) for pattern in listed(statement["Resource"])
    )
    of_action = any(matches(pattern.lower(), request.action.lower()) for pattern in listed(statement["Action"]))
    return (
        of_action
        and on_resource
        and all(holds(operator, keys, request) for operator, keys in statement.get("Condition", {}).items())
    )


def meets(statement: Statement, request: Request) -> bool:
    """Return whether a resource's statement is about who asks, alone or as one of the account."""
    return is_named(statement, request, whole_account=False) or is_named(statement, request, whole_account=True)


def is_named(statement: Statement, request: Request, *, whole_account: bool) -> bool:
    """Return whether a resource's statement names who asks, or the account that they belong to."""
    principal = statement["Principal"]
    if principal == "*":
        return not whole_account
    unknown = set(principal) - {"AWS", "Service"}
    if unknown:
        raise ValueError(f"found principals {unknown}, expected AWS or Service; teach is_named about them")
    if whole_account:
        roots = [name for name in listed(principal.get("AWS", [])) if name.endswith(":root")]
        return any(request.principal.split(":")[4:5] == name.split(":")[4:5] for name in roots)
    return request.principal in (*listed(principal.get("AWS", [])), *listed(principal.get("Service", [])))


def holds(operator: str, keys: Mapping[str, str | list[str]], request: Request) -> bool:
    """Return whether a condition holds: every key with one of its values.

    Raises:
        ValueError: The operator is not known here.
    """
    return all(
        _holds(operator, request.context.get(key), [fill(value, request) for value in listed(values)])
        for key, values in keys.items()
    )


def _holds(operator: str, actual: str | None, values: list[str]) -> bool:
    if operator in NEGATED:
        return not _holds(NEGATED[operator], actual, values)
    if operator == "Null":
        return any((actual is None) is (value == "true") for value in values)
    if operator not in {"StringEquals", "StringLike", "ArnLike", "Bool"}:
        raise ValueError(f"found the condition {operator}, expected one that is evaluated here; teach _holds about it")
    if actual is None:
        return False
    if operator in {"StringLike", "ArnLike"}:
        return any(matches(value, actual) for value in values)
    return any(value == actual if operator == "StringEquals" else value.lower() == actual.lower() for value in values)


def fill(text: str, request: Request) -> str:
    """Return a pattern with its policy variables filled in; one that is not known matches nothing."""
    return VARIABLE.sub(lambda found: request.context.get(found[1], "\0"), text)


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern of * and ? is a whole text."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None


def listed(value: str | list[str]) -> list[str]:
    """Return one or several as a list."""
    return [value] if isinstance(value, str) else value


def loosen(document: Document, judged: frozenset[str]) -> Document:
    """Return what is left of a document for a judge that knows no conditions, and resources of some services alone.

    Args:
        document: It stays as it is.
        judged: The services whose resources are looked at; those of others are all.
    """
    return {**document, "Statement": list(_loosen(deepcopy(find_statements(document)), judged))}


def _loosen(statements: list[Statement], judged: frozenset[str]) -> Iterator[Statement]:
    for statement in statements:
        condition = statement.pop("Condition", None)
        if condition and statement["Effect"] == "Deny":
            continue
        services = {action.partition(":")[0] for action in listed(statement["Action"])}
        if not services <= judged:
            statement["Resource"] = "*"
        yield statement
