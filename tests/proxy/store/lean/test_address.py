"""A URL means what it means to redis-py, and its credentials are shown nowhere."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.store.client import connect
from proxy.store.embedded import EmbeddedStore
from proxy.store.lean.address import Address
from proxy.store.lean.client import LeanClient
from proxy.store.lean.commands import encode
from proxy.store.lean.trouble import CallFailed
from proxy.tls.authority import new_authority, new_certificate
from proxy.tls.names import names_of
from tests.proxy.store.lean.fake_store import FILLED, SCRIPT, a_store, echo

WHO = (encode("INFO", "server"), encode("GET", FILLED))


@pytest.mark.parametrize(
    ("url", "path", "host", "port", "greeting"),
    [
        ("redis://", None, "localhost", 6379, WHO),
        ("redis://store:7000/3", None, "store", 7000, (encode("SELECT", 3), *WHO)),
        ("redis://:p%40ss@store", None, "store", 6379, (encode("AUTH", "p@ss"), *WHO)),
        ("redis://desk:p@[::1]:1/0", None, "::1", 1, (encode("AUTH", "desk", "p"), *WHO)),
        ("unix:///run/store.sock?db=2", "/run/store.sock", "", 0, (encode("SELECT", 2), *WHO)),
        ("unix://desk:p@/s.sock?client_name=gate", "/s.sock", "", 0,
         (encode("AUTH", "desk", "p"), encode("CLIENT", "SETNAME", "gate"), *WHO)),
    ],
    ids=["bare", "database", "password", "name and password", "socket", "socket with all"],
)  # fmt: skip
def test_where_and_how(url, path, host, port, greeting):
    address = Address.of(url, FILLED)
    assert (address.path, address.host, address.port, address.tls, address.greeting) == (
        path, host, port, None, greeting,
    )  # fmt: skip


def test_tls_is_checked_unless_the_url_says_otherwise():
    checked = Address.of("rediss://store", FILLED).tls
    unchecked = Address.of("rediss://store?ssl_cert_reqs=none", FILLED).tls
    assert checked is not None and checked.check_hostname and checked.verify_mode is ssl.CERT_REQUIRED
    assert unchecked is not None and unchecked.verify_mode is ssl.CERT_NONE


async def test_over_tls_only_a_store_that_proves_its_name_is_asked(tmp_path: Path):
    names, now = names_of("store"), datetime.now(UTC)
    authority = new_authority(names, now)
    own = new_certificate(authority, names, now)
    for name, text in {
        "authority.pem": authority.certificate,
        "store.pem": own.certificate,
        "store.key": own.key,
    }.items():
        (tmp_path / name).write_bytes(text)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "store.pem", tmp_path / "store.key")
    async with a_store(echo, tls=tls) as store:
        url = store.url.replace("redis://", "rediss://")
        trusting = LeanClient(f"{url}?ssl_ca_certs={tmp_path}/authority.pem", filled=FILLED, silence_s=5)
        strict = LeanClient(url, filled=FILLED, silence_s=5)
        assert await trusting.run(SCRIPT, [], ["a"]) == "a"
        with pytest.raises(CallFailed, match="SSLCertVerificationError") as failed:
            await strict.run(SCRIPT, [], ["b"])
        assert not failed.value.asked
        await asyncio.gather(trusting.aclose(), strict.aclose())
    assert [call[-1] for call in store.calls] == [b"a"]


def test_other_urls_are_refused():
    with pytest.raises(ValueError, match="must specify"):
        Address.of("http://store", FILLED)


async def test_credentials_are_in_no_repr_and_no_error():
    async def refuses(greeting: bytes) -> str:
        async with a_store(echo, greeting) as store:
            url = store.url.replace("127", "desk:hunter2@127")
            client = LeanClient(url, filled=FILLED, silence_s=2)
            assert "hunter2" not in repr(Address.of(url, FILLED)) + repr(vars(client))
            with pytest.raises(CallFailed) as failed:
                await client.run(SCRIPT, [], ["a"])
            await client.aclose()
            return repr(failed.value)

    for greeting in (b"-WRONGPASS invalid username-password pair: hunter2\r\n", b"-hunter2 no\r\n", b"!hunter2\r\n"):
        assert "hunter2" not in await refuses(greeting)


async def test_a_password_and_a_database_are_given_to_the_real_store(own_server: EmbeddedStore):
    raw = connect(own_server.url, timeout_s=2)
    await raw.acl_setuser("desk", enabled=True, passwords=["+p@ss"], categories=["+@all"], keys=["*"])
    await raw.config_set("requirepass", "other")
    script = await raw.script_load("return redis.call('SET', KEYS[1], ARGV[1])")
    client = LeanClient(f"{own_server.url}?db=4".replace("unix://", "unix://desk:p%40ss@"), filled=FILLED, silence_s=2)
    await client.run(type(SCRIPT)("", script), ["key"], ["in database 4"])
    await raw.select(4)
    assert await raw.get("key") == "in database 4"
    await client.aclose()
    wrong = LeanClient(own_server.url.replace("unix://", "unix://desk:wrong@"), filled=FILLED, silence_s=2)
    with pytest.raises(CallFailed, match="WRONGPASS") as failed:
        await wrong.run(SCRIPT, [], [])
    assert not failed.value.asked
    await asyncio.gather(wrong.aclose(), raw.aclose())
