"""Every cell of the tables of rights, judged by the documents that Terraform renders and tried against moto with real
signatures.
"""

from collections.abc import Iterable

import pytest
from acts import try_cell
from cloud import Cloud
from moto_aws import Session
from policy import Request, is_allowed
from rights import WHO, Cell, ask, list_changes, list_objects, list_services

from chandlery.schema import TABLES

pytestmark = pytest.mark.slow
UNSEEN = {"copy": {"s3:GetObject"}, "take": {"s3:GetObject"}}  # what moto does not ask for: the source of a copy


def list_cells() -> list[Cell]:
    return [*list_objects(), *list_changes(), *list_services()]


def judge(cloud: Cloud, cell: Cell) -> bool:
    """Return what AWS decides by the documents."""
    return all(cloud.decide(cell.who, request) for request in ask(cell, cloud.names))


def foresee(cloud: Cloud, cell: Cell) -> bool:
    """Return what moto decides by what it knows of the documents."""
    requests = [
        request for request in ask(cell, cloud.names) if not ("/" in cell.where and request.action.startswith("kms:"))
    ]
    return all(
        cloud.expect_of_moto(cell.who, request)
        for request in requests
        if request.action not in UNSEEN.get(cell.verb, set())
    )


def say(capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    with capsys.disabled():
        print("", *lines, sep="\n")


def fold(cells: Iterable[Cell]) -> str:
    """Return cells in few lines: by who and verb, where."""
    folded: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        folded.setdefault((cell.verb, cell.where), []).append(cell.who)
    return "\n".join(f"  {verb} {where}: {', '.join(who)}" for (verb, where), who in folded.items())


def test_the_tables_speak_of_every_place() -> None:
    places = {cell.where for cell in list_objects()}
    assert {f"lake/{table}/" for table in TABLES} < places
    assert {(cell.who, cell.verb, cell.where) for cell in list_cells()} == {
        (cell.who, cell.verb, cell.where) for cell in set(list_cells())
    }
    assert len({(cell.who, cell.verb, cell.where) for cell in list_cells()}) == len(list_cells())
    assert all(any(cell.allowed for cell in list_objects() if cell.who == who) is (who != "stranger") for who in WHO)


def test_documents_decide_every_cell_as_the_tables_say(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    cells = list_cells()
    unexpected = [cell for cell in cells if judge(cloud, cell) is not cell.allowed]
    say(
        capsys,
        f"by the documents: {len(cells)} cells, {sum(cell.allowed for cell in cells)} allowed, {len(unexpected)}"
        " unexpected",
        *map(str, unexpected),
    )
    assert not unexpected


def test_moto_decides_every_cell_that_it_can(
    cloud: Cloud, sessions: dict[str, Session], capsys: pytest.CaptureFixture[str]
) -> None:
    cells = list_cells()
    tried = {cell: found for cell in cells if (found := try_cell(cloud, sessions[cell.who], cell)) is not None}
    unforeseen = [cell for cell, found in tried.items() if found is not foresee(cloud, cell)]
    blind = [cell for cell in tried if foresee(cloud, cell) is not judge(cloud, cell)]
    unexpected = [cell for cell, found in tried.items() if found is not cell.allowed and cell not in blind]
    say(
        capsys,
        f"against moto: {len(tried)} of {len(cells)} cells tried, {len(tried) - len(blind)} as the tables say,"
        f" {len(unexpected) + len(unforeseen)} unexpected;",
        f"{len(blind)} that moto cannot tell, left to the documents (conditions, the source of a copy, resources but"
        " S3's and IAM's):",
        fold(blind),
        f"{len(cells) - len(tried)} that it has no call for, or cannot read the signature of:",
        fold(cell for cell in cells if cell not in tried),
        *map(str, dict.fromkeys([*unexpected, *unforeseen])),
    )
    assert not unforeseen
    assert not unexpected
    assert all(not cell.allowed for cell in blind), "moto may be laxer than AWS here, never stricter"


def test_nothing_is_allowed_without_tls(cloud: Cloud) -> None:
    allowed = [
        (cell.who, request)
        for cell in list_objects()
        if cell.allowed
        for request in ask(cell, cloud.names)
        if request.action.startswith("s3:")
    ]
    assert all(cloud.decide(who, request) for who, request in allowed)
    plain = [
        (who, Request(request.action, request.resource, context={**request.context, "aws:SecureTransport": "false"}))
        for who, request in allowed
    ]
    assert plain
    assert not any(cloud.decide(who, request) for who, request in plain)


@pytest.mark.parametrize(("header", "expected"), [("aws:kms", True), ("AES256", False), (None, True)])
def test_objects_are_encrypted_with_a_key_or_not_put(cloud: Cloud, header: str | None, *, expected: bool) -> None:
    context = {"aws:SecureTransport": "true"} | ({"s3:x-amz-server-side-encryption": header} if header else {})
    request = Request("s3:PutObject", f"arn:aws:s3:::{cloud.names.buckets['lake']}/candles/x", context=context)
    assert cloud.decide("pipeline", request) is expected


@pytest.mark.parametrize("role", WHO)
@pytest.mark.parametrize("person", WHO)
def test_a_role_is_given_to_whom_it_is_meant_for(
    cloud: Cloud, sessions: dict[str, Session], person: str, role: str
) -> None:
    """People may ask for any role, and get their own; nobody is the pipeline but the engine."""
    assert sessions
    (arn,) = cloud.names.things[f"{role} role"]
    who = cloud.people[person].client("sts").get_caller_identity()["Arn"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    expected = person == role and role != "pipeline"
    assert (
        is_allowed(Request("sts:AssumeRole", arn, who), [policy], cloud.resources[arn], resource_decides=True)
        is expected
    )
    if role != "pipeline":  # moto fails at a service's trust
        assert (
            try_cell(cloud, cloud.people[person], Cell(person, "sts:AssumeRole", f"{role} role", expected)) is expected
        )


@pytest.mark.parametrize(("application", "expected"), [("application", True), ("other application", False)])
def test_the_engine_is_the_pipeline_for_its_application_alone(
    cloud: Cloud, application: str, *, expected: bool
) -> None:
    (role,), (source,) = cloud.names.things["pipeline role"], cloud.names.things[application]
    request = Request(
        "sts:AssumeRole",
        role,
        "emr-serverless.amazonaws.com",
        {"aws:SourceArn": source, "aws:SourceAccount": role.split(":")[4]},
    )
    assert is_allowed(request, [], cloud.resources[role], resource_decides=True) is expected


def test_a_forged_signature_is_refused(cloud: Cloud, sessions: dict[str, Session]) -> None:
    real = sessions["auditor"]
    assert try_cell(cloud, real, Cell("auditor", "get", "lake/runs/", allowed=True))
    forged = Session(real.endpoint, real.access_key, real.secret_key[::-1], real.token)
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        try_cell(cloud, forged, Cell("auditor", "get", "lake/runs/", allowed=True))
