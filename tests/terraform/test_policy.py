"""The evaluation of policies follows IAM's rules, each shown on the smallest policy that needs it."""

from collections.abc import Mapping

import pytest
from policy import Document, Request, is_allowed, loosen

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/candles/*"}
OBJECT = "arn:aws:s3:::lake/candles/x"


def of(*statements: Mapping[str, object]) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def asked(
    action: str = "s3:GetObject", resource: str = OBJECT, principal: str = "arn:aws:iam::1:role/reader", **context: str
) -> Request:
    return Request(action, resource, principal, {name.replace("_", ":", 1): value for name, value in context.items()})


def test_nothing_is_allowed_that_no_statement_allows() -> None:
    assert is_allowed(asked(), [of(ALLOW)])
    assert not is_allowed(asked(), [])
    assert not is_allowed(asked("s3:PutObject"), [of(ALLOW)])
    assert not is_allowed(asked(resource="arn:aws:s3:::lake/state/x"), [of(ALLOW)])
    assert not is_allowed(asked(resource="arn:aws:s3:::lake/candles"), [of(ALLOW)])


def test_a_denial_wins_wherever_it_stands() -> None:
    deny = ALLOW | {"Effect": "Deny"}
    assert not is_allowed(asked(), [of(ALLOW), of(deny)])
    assert not is_allowed(asked(), [of(ALLOW)], of(deny | {"Principal": "*"}))


def test_actions_have_no_case_and_stars_cross_slashes() -> None:
    assert is_allowed(asked("S3:getobject"), [of(ALLOW | {"Action": ["s3:Get*"]})])
    assert is_allowed(asked(resource=f"{OBJECT}/y/z"), [of(ALLOW)])
    assert not is_allowed(asked(resource=OBJECT.upper()), [of(ALLOW)])


@pytest.mark.parametrize(
    ("condition", "context", "expected"),
    [
        ({"StringEquals": {"aws:x": "a"}}, {"aws_x": "a"}, True),
        ({"StringEquals": {"aws:x": "a"}}, {"aws_x": "A"}, False),
        ({"StringEquals": {"aws:x": ["a", "b"]}}, {"aws_x": "b"}, True),
        ({"StringEquals": {"aws:x": "a"}}, {}, False),
        ({"StringLike": {"s3:prefix": ["candles", "candles/*"]}}, {"s3_prefix": "candles/exchange=x/"}, True),
        ({"StringLike": {"s3:prefix": ["candles", "candles/*"]}}, {"s3_prefix": "candles2"}, False),
        ({"StringLike": {"s3:prefix": "*"}}, {}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws_SecureTransport": "False"}, True),
        ({"Null": {"aws:x": "true"}}, {}, True),
        ({"Null": {"aws:x": "false"}}, {}, False),
        ({"Null": {"aws:x": "false"}, "StringNotEquals": {"aws:x": "a"}}, {"aws_x": "b"}, True),
        ({"Null": {"aws:x": "false"}, "StringNotEquals": {"aws:x": "a"}}, {"aws_x": "a"}, False),
        ({"StringNotEquals": {"aws:x": "a"}}, {}, True),
        ({"StringEquals": {"aws:x": "${aws:userid}"}}, {"aws_x": "me", "aws_userid": "me"}, True),
        ({"StringEquals": {"aws:x": "${aws:userid}"}}, {"aws_x": "you", "aws_userid": "me"}, False),
        ({"StringEquals": {"aws:x": "a", "aws:y": "b"}}, {"aws_x": "a", "aws_y": "c"}, False),
    ],
)
def test_conditions_hold_as_iam_says(condition: dict[str, object], context: dict[str, str], *, expected: bool) -> None:
    assert is_allowed(asked(**context), [of(ALLOW | {"Condition": condition})]) is expected


def test_what_is_not_evaluated_is_an_error() -> None:
    with pytest.raises(ValueError, match="NumericLessThan"):
        is_allowed(asked(), [of(ALLOW | {"Condition": {"NumericLessThan": {"s3:max-keys": "10"}}})])
    with pytest.raises(ValueError, match="NotAction"):
        is_allowed(asked(), [of(ALLOW | {"NotAction": "s3:*"})])
    with pytest.raises(ValueError, match="Federated"):
        is_allowed(asked(), [], of(ALLOW | {"Principal": {"Federated": "x"}}))


def test_a_role_is_given_to_those_whom_it_trusts() -> None:
    role, own = "arn:aws:iam::1:role/analyst", of({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"})

    def may(who: str, trusted: dict[str, object], *policies: Document) -> bool:
        trust = of({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": trusted})
        return is_allowed(Request("sts:AssumeRole", role, who), policies, trust, resource_decides=True)

    ann = "arn:aws:iam::1:user/ann"
    assert may(ann, {"AWS": [ann]})
    assert not may("arn:aws:iam::1:user/bob", {"AWS": [ann]}, own)
    assert may(ann, {"AWS": "arn:aws:iam::1:root"}, own)
    assert not may(ann, {"AWS": "arn:aws:iam::1:root"})
    assert not may("arn:aws:iam::2:user/ann", {"AWS": "arn:aws:iam::1:root"}, own)
    assert not may(ann, {"Service": "emr-serverless.amazonaws.com"}, own)
    assert may("emr-serverless.amazonaws.com", {"Service": "emr-serverless.amazonaws.com"})


def test_what_is_loosened_allows_no_less() -> None:
    listing = {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": ["arn:aws:s3:::lake"],
        "Condition": {"StringLike": {"s3:prefix": "candles/*"}},
    }
    reading = {"Effect": "Allow", "Action": ["glue:GetTable"], "Resource": ["arn:aws:glue:::table/lake/*"]}
    tls = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    loose = loosen(of(listing, reading, tls), frozenset({"s3"}))
    assert not is_allowed(asked("s3:ListBucket", "arn:aws:s3:::lake", s3_prefix="state/"), [of(listing)])
    assert is_allowed(
        asked("s3:ListBucket", "arn:aws:s3:::lake", s3_prefix="state/", aws_SecureTransport="false"), [loose]
    )
    assert not is_allowed(asked("s3:ListBucket", "arn:aws:s3:::raw"), [loose])
    assert is_allowed(asked("glue:GetTable", "*"), [loose])
    assert "Condition" in listing
