"""Removal of credentials from texts and records, and checks that settings contain none.

Credentials may come in a URI, an option or an answer of a store.
"""

import re
from collections.abc import Mapping

__all__ = ["check_options", "check_uri", "find_credentials", "mask", "mask_options"]

MASK = "…"
LEAVE = "leave credentials to the environment or the machine's role"
URI = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30})://([^\s\"'<>]+)")
IN_TEXT = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30})(://?)([^\s\"'<>]+)")  # a URI handled as a path has lost a slash
QUERY = re.compile(r"\?[\w%.-]+=")  # a ? without a name and = is a wildcard in the path of a source
ASSIGNED = re.compile(
    r"((?:signature|credential|token|passw(?:or)?d|secret\w{0,30}|access_?key(?:_?id)?|\bsig|\bpwd)=)[^&\s\"<]+",
    re.IGNORECASE,
)
NAMED = re.compile(r"(<AWSAccessKeyId>|\bBearer\s+|\bAuthorization:\s*Basic\s+)[^\s<]+", re.IGNORECASE)
SECRET = re.compile(
    r"secret|passw|pwd|token|credential|sas|authorization|bearer|(access|account)[_.]?key|(customer|private|api)_?key",
    re.IGNORECASE,
)
OWNER_IN_AUTHORITY = {"abfs", "abfss"}  # abfss://container@account.dfs.core.windows.net/: no user name
PREFIX = re.compile(r"^(aws|google|azure|azure_storage)_")
HARMLESS = frozenset(
    """
    account_name allow_http allow_invalid_certificates authority_host bucket bucket_name checksum_algorithm
    conditional_put connect_timeout container_name copy_if_not_exists default_region disable_tagging endpoint
    endpoint_url imdsv1_fallback project_id proxy_url region request_payer s3_express server_side_encryption
    skip_signature sse_bucket_key_enabled sse_kms_key_id timeout unsigned_payload use_emulator use_fabric_endpoint
    user_agent virtual_hosted_style_request
    """.split()
)
HARMLESS_SPARK = re.compile(
    r"spark\.(master|app\.name|submit\.deployMode|default\.parallelism|sql\.shuffle\.partitions"
    r"|task\.(cpus|maxFailures)"
    r"|(driver|executor)\.(cores|instances|memory|memoryOverhead)|dynamicAllocation\.\w+|speculation|ui\.enabled)"
)


def mask(text: str) -> str:
    """Return a text without user names, passwords, queries and signatures.

    Example:
        >>> text = "no answer from https://me:word@host/l?X-Amz-Signature=1f3a"  # pragma: allowlist secret
        >>> mask(f"{text} and s3://bucket/l")
        'no answer from https://…@host/l?… and s3://bucket/l'
    """
    text = NAMED.sub(rf"\1{MASK}", IN_TEXT.sub(_mask_uri, text))
    return ASSIGNED.sub(rf"\1{MASK}", text)


def _mask_uri(met: re.Match[str]) -> str:
    scheme, slashes, rest = met[1], met[2], met[3]
    end = _find_owner_end(scheme, rest)
    if end >= 0:
        rest = f"{MASK}{rest[end:]}"
    query = QUERY.search(rest)
    return f"{scheme}{slashes}{rest[: query.start()] + '?' + MASK if query else rest}"


def _find_owner_end(scheme: str, rest: str) -> int:
    """Return the position of the @ after a user name in a URI without its scheme; -1 if there is no user name.

    A password may contain a slash, as keys of AWS do: the part before it then looks like a host with an invalid port.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    owner, at, _ = authority.rpartition("@")
    if at and ":" not in owner:
        return -1 if scheme.lower() in OWNER_IN_AUTHORITY else len(owner)
    port = authority.rpartition(":")[2]
    is_host = not at and (":" not in authority or authority.startswith("[") or port.isdigit())
    return -1 if is_host else rest.rfind("@")


def find_credentials(uri: str) -> str:
    """Return which part of a URI may carry credentials, in words; empty if none does.

    Example:
        >>> find_credentials("s3://key:word@bucket/l")  # pragma: allowlist secret
        'a user name or a password'
        >>> find_credentials("s3://bucket/2019-0?.csv")
        ''
    """
    met = URI.search(uri)
    if met is None:
        return ""
    if _find_owner_end(met[1], met[2]) >= 0:
        return "a user name or a password"
    return "a query" if QUERY.search(met[2]) else ""


def check_uri(value: object) -> object:
    """Return a setting unchanged.

    Raises:
        ValueError: It is a URI that may carry credentials.
    """
    if isinstance(value, str) and (part := find_credentials(value)):
        raise ValueError(f"{mask(value)} has {part}: {LEAVE}")
    return value


def check_options(options: dict[str, str]) -> dict[str, str]:
    """Return options unchanged.

    Raises:
        ValueError: The name or the URL of one shows that it carries credentials.
    """
    if found := [name for name, value in options.items() if SECRET.search(name) or _has_credentials(name, value)]:
        raise ValueError(f"{', '.join(found)}: keys never stand in settings; {LEAVE}")
    return options


def _has_credentials(name: str, value: str) -> bool:
    is_url = name.endswith(("endpoint", "endpoint_url", "proxy_url"))
    return bool(find_credentials(value)) or (is_url and bool({"@", "?"} & set(value)))


def mask_options(options: Mapping[str, str]) -> dict[str, str]:
    """Return options for a run record: only values of options that are known to be harmless are shown.

    Example:
        >>> mask_options({"region": "eu-west-1", "foo": "word", "spark.master": "local[2]", "spark.x": "word"})
        {'region': 'eu-west-1', 'foo': '…', 'spark.master': 'local[2]', 'spark.x': '…'}
    """
    return {name: mask(value) if _is_harmless(name) else MASK for name, value in options.items()}


def _is_harmless(name: str) -> bool:
    return PREFIX.sub("", name.lower()) in HARMLESS or bool(HARMLESS_SPARK.fullmatch(name))
