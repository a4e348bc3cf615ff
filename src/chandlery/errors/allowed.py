"""The options whose values may be shown. Values of all others never are, whatever their names are.

A list of names that look secret is never complete, so nothing depends on one here: an option is shown because it is in
one of the lists below.
"""

import re

__all__ = ["MASK", "is_shown", "show_option", "strip_url"]

MASK = "…"
PREFIX = re.compile(r"^(aws|google|azure|azure_storage)_")
SHOWN = frozenset(  # options of object stores and of their HTTP clients, without the prefix of the cloud
    """
    account_name allow_http allow_invalid_certificates authority_host bucket bucket_name checksum_algorithm
    conditional_put connect_timeout container_name default_region disable_bulk_delete disable_tagging http1_only
    http2_only imdsv1_fallback pool_idle_timeout project_id randomize_addresses read_timeout region request_payer
    s3_express server_side_encryption skip_signature sse_bucket_key_enabled sse_kms_key_id timeout unsigned_payload
    use_emulator use_fabric_endpoint user_agent virtual_hosted_style_request
    """.split()
)
URLS = frozenset("endpoint endpoint_url endpoint_url_s3 proxy_url".split())  # shown without what may be secret in them
SPARK = re.compile(
    r"spark\.(master|app\.name|submit\.deployMode|default\.parallelism|sql\.(shuffle\.partitions|session\.timeZone)"
    r"|task\.(cpus|maxFailures)|log\.level|local\.dir|pyspark\.(driver\.)?python|driver\.(host|bindAddress|port)"
    r"|(driver|executor)\.(cores|instances|memory|memoryOverhead|pyspark\.memory)|dynamicAllocation\.\w+|speculation"
    r"|ui\.enabled)"
)
SHOWN_VARIABLES = SHOWN | frozenset(  # of the environment, with the prefixes of the clouds
    """
    application_credentials ca_bundle client_id cloud_name cloud_project config_dir config_file default_output
    default_profile ec2_metadata_disabled execution_env federated_token_file max_attempts pager profile project
    retry_mode role_arn role_session_name sdk_load_config shared_credentials_file storage_account
    sts_regional_endpoints tenant_id use_dualstack_endpoint use_fips_endpoint web_identity_token_file account
    """.split()
)
OWNER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?[/\\]*")


def is_shown(name: str, *, is_variable: bool = False) -> bool:
    """Return whether the value of an option, or of an environment variable of a cloud's SDK, may be shown.

    Example:
        >>> is_shown("region"), is_shown("aws_region"), is_shown("spark.master"), is_shown("foo")
        (True, True, True, False)
    """
    short = PREFIX.sub("", name.lower())
    known = SHOWN_VARIABLES if is_variable else SHOWN
    return short in known or is_url(name) or (not is_variable and bool(SPARK.fullmatch(name)))


def is_url(name: str) -> bool:
    """Return whether the value of an option is a URL, of which only scheme, host and path are shown."""
    return PREFIX.sub("", name.lower()) in URLS


def strip_url(url: str) -> str:
    """Return a URL without user, password, query and fragment, however it is written.

    Example:
        >>> strip_url("HTTP://me:a/b@host:3128/p?key=a#b"), strip_url("me:word@host")  # pragma: allowlist secret
        ('HTTP://host:3128/p', 'host')
    """
    met = OWNER.match(url)
    begin = met[0] if met and "@" not in met[0] else ""
    rest = url[len(begin) :]
    if "@" not in rest:
        return begin + re.split(r"[?#]", rest, maxsplit=1)[0]
    has_scheme = "/" in begin or "\\" in begin  # `me:word@host` has none
    host = re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0]
    return (begin if has_scheme else "") + host


def show_option(name: str, value: str) -> str:
    """Return the value of an option as records and messages show it.

    Example:
        >>> show_option("region", "eu-west-1"), show_option("foo", "word"), show_option("proxy_url", "http://me@host")
        ('eu-west-1', '…', 'http://host')
    """
    if not is_shown(name):
        return MASK
    return strip_url(value) if is_url(name) else value
