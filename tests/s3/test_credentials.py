"""Credentials come from the SDK's own chain, and nothing waits for a machine's role that is not there."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy import FaultProxy, fault_proxy
from s3_server import Server

PATIENCE_SECONDS = 20  # for a process that starts and asks twice for at most 2 s; without a limit it waited for 60 s
WITHOUT_SDK = "import sys; sys.modules['botocore'] = None; sys.modules['botocore.session'] = None; "
TRY = """
from chandlery.errors import ChandleryError
from chandlery.lake.store import Store
import sys, json
try:
    store = Store(sys.argv[1], json.loads(sys.argv[2]))
    store.put("a", b"1"); print(store.get("a"))
except ChandleryError as error:
    print(type(error).__name__, error)
"""


def attempt(
    home: Path, storage: dict[str, str], environment: dict[str, str], *, sdk: bool = True, uri: str = ""
) -> str:
    """Put and get an object in a process of its own, and return what it prints."""
    import json  # noqa: PLC0415 - next to its use

    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "LANG"}}
    code = ("" if sdk else WITHOUT_SDK) + textwrap.dedent(TRY)
    command = [sys.executable, "-c", code, uri or f"s3://crypto-lake/{home.name}", json.dumps(storage)]
    found = subprocess.run(
        command, env={**kept, "HOME": str(home), **environment}, capture_output=True, text=True, check=False
    )
    return found.stdout + found.stderr


def write_profile(home: Path, text: str, name: str = "config") -> None:
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / name).write_text(textwrap.dedent(text))


def without_region(server: Server) -> dict[str, str]:
    return {"endpoint_url": server.endpoint}


KEYS = """
    [profile desk]
    region = us-east-1
    aws_access_key_id = admin
    aws_secret_access_key = admin-secret
    """


def test_a_profile_of_the_sdk_with_its_region(server: Server, tmp_path: Path) -> None:
    write_profile(tmp_path, KEYS)
    assert attempt(tmp_path, without_region(server), {"AWS_PROFILE": "desk"}) == "b'1'\n"


def test_a_profile_with_an_endpoint(server: Server, tmp_path: Path) -> None:
    write_profile(tmp_path, f"{KEYS.rstrip()}\n    endpoint_url = {server.endpoint}\n")
    assert attempt(tmp_path, {}, {"AWS_PROFILE": "desk"}) == "b'1'\n"


def test_the_default_profile_of_the_credentials_file(server: Server, tmp_path: Path) -> None:
    write_profile(tmp_path, KEYS.replace("profile desk", "default"), "credentials")
    assert attempt(tmp_path, server.storage, {}) == "b'1'\n"


@pytest.mark.parametrize("sdk", [True, False])
@pytest.mark.parametrize("prefix", ["", "aws_", "AWS_"])
def test_keys_among_the_options_are_enough(prefix: str, sdk: bool, server: Server, tmp_path: Path) -> None:  # noqa: FBT001
    names = ("access_key_id", "secret_access_key")
    keys = zip(names, ("admin", "admin-secret"), strict=True)
    options = {(prefix + name).upper() if prefix.isupper() else prefix + name: value for name, value in keys}
    assert attempt(tmp_path, {**server.storage, **options}, {}, sdk=sdk) == "b'1'\n"


def test_keys_of_a_process_are_asked_for_again_when_they_end(server: Server, tmp_path: Path) -> None:
    """The SDK takes keys that are about to end for ended, so that it asks for each request."""
    counts, script = tmp_path / "asked", tmp_path / "issue.py"
    script.write_text(
        "import datetime, json, pathlib, sys\n"
        "pathlib.Path(sys.argv[1]).open('a').write('x')\n"
        "ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)\n"
        "keys = dict(Version=1, AccessKeyId='admin', SecretAccessKey='-'.join(['admin', 'secret']))\n"
        "print(json.dumps(keys | dict(Expiration=ends.isoformat())))\n"
    )
    write_profile(tmp_path, f"[profile desk]\ncredential_process = {sys.executable} {script} {counts}\n")
    assert attempt(tmp_path, server.storage, {"AWS_PROFILE": "desk"}) == "b'1'\n"
    assert len(counts.read_text()) > 1


SINGLE_SIGN_ON = """
[profile desk]
sso_session = s
sso_account_id = 1
sso_role_name = r
[sso-session s]
sso_region = us-east-1
sso_start_url = https://s.invalid
"""


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[default]\nregion = x\n", "desk"),
        ("[profile desk]\ncredential_process = false\n", "the SDK of AWS says"),
        (
            SINGLE_SIGN_ON,
            "sign in again",
        ),
    ],
)
def test_a_profile_that_gives_nothing_is_told_with_the_reason(
    config: str, words: str, server: Server, tmp_path: Path
) -> None:
    write_profile(tmp_path, config)
    found = attempt(tmp_path, server.storage, {"AWS_PROFILE": "desk"})
    assert found.startswith("SettingsError no credentials for s3://crypto-lake"), found
    assert words in found


def test_a_profile_without_the_sdk_is_told_at_once(server: Server, tmp_path: Path) -> None:
    write_profile(tmp_path, KEYS)
    found = attempt(tmp_path, server.storage, {"AWS_PROFILE": "desk"}, sdk=False)
    assert found.startswith("SettingsError AWS_PROFILE is set"), found
    assert "pip install 'chandlery[aws]'" in found


@pytest.fixture
def silent() -> Iterator[FaultProxy]:
    """Yield a metadata service that takes connections and answers nothing."""
    from proxy import Fault  # noqa: PLC0415 - next to its use

    with fault_proxy("http://127.0.0.1:9") as proxy:
        proxy.fault = Fault(is_silent=True)
        yield proxy


@pytest.mark.parametrize("sdk", [True, False])
@pytest.mark.parametrize("uri", ["s3://crypto-lake/x", "gs://crypto-lake/x", "az://crypto-lake/x"])
def test_nothing_waits_for_a_role_that_is_not_there(uri: str, sdk: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """The addresses of metadata services lead nowhere on this machine, or to none that has a role for it."""
    began = time.monotonic()
    storage = {"account_name": "x"} if uri.startswith("az") else {}
    found = attempt(tmp_path, storage, {"AWS_REGION": "us-east-1"} if uri.startswith("s3") else {}, sdk=sdk, uri=uri)
    assert found.startswith(f"SettingsError no credentials for {uri}"), found
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_a_metadata_service_that_is_switched_off_is_not_asked(server: Server, tmp_path: Path) -> None:
    found = attempt(tmp_path, server.storage, {"AWS_EC2_METADATA_DISABLED": "true"}, sdk=False)
    assert found.startswith("SettingsError no credentials for"), found


def test_a_metadata_service_that_does_not_answer(silent: FaultProxy, server: Server, tmp_path: Path) -> None:
    began = time.monotonic()
    found = attempt(tmp_path, server.storage, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": silent.url})
    assert found.startswith("SettingsError no credentials for"), found
    assert silent.asked
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_a_public_bucket_needs_no_credentials(server: Server, tmp_path: Path) -> None:
    found = attempt(tmp_path, {**server.storage, "skip_signature": "true"}, {}, sdk=False)
    assert "no credentials" not in found  # this server has no public bucket
    assert "no right to write" in found
