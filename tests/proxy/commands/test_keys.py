"""`perpguard keys …` as an operator meets it."""

import argparse
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.commands.keys import Terminal, add_arguments, run
from proxy.vault.keys import KeyState, Secret
from proxy.vault.vault import Vault
from proxy.venues.binance.client_ids import tag

PASSPHRASE = "correct horse battery staple"
API_SECRET = "canary-exchange-secret"


@dataclass(frozen=True)
class Operator:
    """Types commands, keeps what came back."""

    data_dir: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PERPGUARD_PASSPHRASE": PASSPHRASE})
    stdin: str = ""
    prompt: Callable[[str], str] | None = None

    def types(self, line: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        parser.add_argument("--data-dir", type=Path, default=self.data_dir)
        add_arguments(parser.add_subparsers())
        terminal = Terminal(
            environment=self.environment,
            stdin=io.StringIO(self.stdin),
            stdout=io.StringIO(),
            stderr=io.StringIO(),
            prompt=self.prompt,
            now=lambda: datetime(2026, 11, 24, tzinfo=UTC),
        )
        code = run(parser.parse_args(line.split()), terminal)
        assert isinstance(terminal.stdout, io.StringIO) and isinstance(terminal.stderr, io.StringIO)
        return code, terminal.stdout.getvalue(), terminal.stderr.getvalue()

    def vault(self) -> Vault:
        return Vault.open(self.data_dir / "vault" / "vault.json", Secret(PASSPHRASE))


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Someone whose vault exists already, and is cheap to open."""
    Vault.create(tmp_path / "vault" / "vault.json", Secret(PASSPHRASE), work_factor=2**14)
    return Operator(tmp_path)


@pytest.fixture
def with_account(operator: Operator) -> Operator:
    """Someone with an account to issue keys for."""
    piped = replace(operator, stdin=API_SECRET + "\n")
    assert piped.types("keys add-exchange --offline --account main --venue binance --api-key " + "B" * 64)[0] == 0
    return operator


ADD = "keys add-exchange --offline --account main --venue binance --api-key BBBBBB0000000000EEEE"


def test_the_first_exchange_key_creates_the_vault(tmp_path: Path):
    operator = Operator(tmp_path / "data", stdin=API_SECRET)
    code, out, err = operator.types(ADD)
    assert (code, out) == (0, "account=main venue=binance key=BBBBBB…EEEE\n")
    assert "were not checked" in err
    assert operator.vault().exchange_key("main").api_secret == Secret(API_SECRET)


def test_the_exchange_secret_may_come_from_the_environment_or_a_prompt(operator: Operator):
    from_environment = replace(operator, environment=operator.environment | {"PERPGUARD_API_SECRET": "from-env"})
    assert from_environment.types(ADD)[0] == 0
    asked = replace(operator, prompt=lambda question: {"Exchange API secret: ": "typed"}[question])
    assert asked.types(ADD.replace("main", "second"))[0] == 0
    assert [key.api_secret.reveal() for key in operator.vault().accounts()] == ["from-env", "typed"]


def test_an_empty_pipe_is_not_a_secret(operator: Operator):
    code, out, err = operator.types(ADD)
    assert (code, out) == (2, "") and "api_secret must be" in err


def test_a_new_passphrase_is_asked_for_twice(tmp_path: Path):
    answers = iter(["the secret", PASSPHRASE, PASSPHRASE + "x"])
    operator = Operator(tmp_path, environment={}, prompt=lambda _: next(answers))
    code, _, err = operator.types(ADD)
    assert code == 2 and "differ" in err and PASSPHRASE not in err
    assert not (tmp_path / "vault").exists()


def test_issue_prints_the_secret_once(with_account: Operator):
    code, out, _ = with_account.types("keys issue --bot grid --account main")
    lines = dict(line.split("=") for line in out.splitlines())
    issued = with_account.vault().guard_key(lines["key"])
    assert code == 0 and issued is not None
    assert (issued.secret.reveal(), issued.bot, issued.label) == (lines["secret"], "grid", "grid")
    for line in ("keys list", "keys list --full-keys", "keys list --json", f"keys disable {issued.key}"):
        code, out, err = with_account.types(line)
        assert code == 0 and lines["secret"] not in out + err and API_SECRET not in out + err


def test_issue_and_rotate_as_json(with_account: Operator):
    first = json.loads(with_account.types("keys issue --bot grid --account main --label a --json")[1])
    second = json.loads(with_account.types(f"keys rotate {first['key']} --json")[1])
    states = [key.state for key in with_account.vault().guard_keys()]
    assert states == [KeyState.ROTATED, KeyState.ACTIVE]
    assert (second["bot"], second["account"], second["state"]) == ("grid", "main", "active")
    assert second["secret"] != first["secret"]


def test_list_shortens_keys_unless_asked(with_account: Operator):
    key = json.loads(with_account.types("keys issue --bot grid --account main --json")[1])["key"]
    short = with_account.types("keys list")[1]
    assert key not in short and f"{key[:6]}…{key[-4:]}" in short and "BBBBBB…BBBB" in short
    assert key in with_account.types("keys list --full-keys")[1]
    listed = json.loads(with_account.types("keys list --full-keys --json")[1])
    assert [row["key"] for row in listed["guard_keys"]] == [key]


def test_disable_and_enable_show_the_new_state(with_account: Operator):
    key = json.loads(with_account.types("keys issue --bot grid --account main --json")[1])["key"]
    assert with_account.types(f"keys disable {key}")[1].endswith("bot=grid state=disabled\n")
    assert with_account.types(f"keys enable {key}")[1].endswith("bot=grid state=active\n")
    told = json.loads(with_account.types(f"keys disable {key} --json")[1])
    assert (told["bot"], told["state"], key in str(told)) == ("grid", "disabled", False)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("keys disable unknown", "no such guard key"),
        ("keys issue --bot grid --account other", "no exchange key for account other"),
        ("keys issue --bot a/b --account main", "bot must be"),
    ],
)
def test_a_refusal_is_one_line_on_stderr_and_code_2(with_account: Operator, line: str, reason: str):
    code, out, err = with_account.types(line)
    assert (code, out) == (2, "") and reason in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({}, "no vault passphrase"), ({"PERPGUARD_PASSPHRASE": "wrong one here"}, "wrong passphrase")],
)
def test_without_the_passphrase_nothing_opens(operator: Operator, environment: dict[str, str], reason: str):
    code, out, err = replace(operator, environment=environment).types("keys list")
    assert (code, out) == (2, "") and reason in err


def test_a_missing_vault_says_how_to_make_one(tmp_path: Path):
    assert "add-exchange" in Operator(tmp_path / "none").types("keys list")[2]


def test_leaving_a_prompt_with_end_of_file_is_a_refusal(operator: Operator):
    def hang_up(_: str) -> str:
        raise EOFError

    assert replace(operator, environment={}, prompt=hang_up).types("keys list")[0] == 2


def test_a_bot_whose_orders_would_look_like_anothers_gets_no_key(with_account):
    code = tag("main", "ada").lower()
    alike = next(name for name in (f"bot{n}" for n in range(10**6)) if tag("main", name).lower() == code)
    assert with_account.types("keys issue --bot ada --account main")[0] == 0
    refused, _, errors = with_account.types(f"keys issue --bot {alike} --account main")
    assert refused == 2
    assert "rename one of them" in errors
    assert [key.bot for key in with_account.vault().guard_keys()] == ["ada"]


@pytest.fixture
def public_key(tmp_path: Path) -> Path:
    file = tmp_path / "bot.pem"
    public = Ed25519PrivateKey.generate().public_key()
    file.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return file


def test_a_bot_may_keep_its_own_ed25519_key(with_account: Operator, public_key: Path):
    code, out, err = with_account.types(f"keys issue --bot grid --account main --json --ed25519 {public_key}")
    shown = json.loads(out)
    assert (code, sorted(shown)) == (0, ["account", "bot", "key", "state"])
    assert "private half" in err
    issued = with_account.vault().guard_key(shown["key"])
    assert issued is not None and issued.public_key == public_key.read_text()
    assert issued.secret.reveal() not in out + err
    assert "signs_with=Ed25519" in with_account.types("keys list")[1]
    code, out, err = with_account.types(f"keys rotate {shown['key']}")
    assert (code, out) == (2, "") and "--ed25519 FILE" in err


@pytest.mark.parametrize("content", [b"", b"\xff" * 2000, b"-----BEGIN PRIVATE KEY-----\ncanary\n"])
def test_a_file_without_a_public_key_is_refused(with_account: Operator, tmp_path: Path, content: bytes):
    file = tmp_path / "bot.pem"
    file.write_bytes(content)
    code, out, err = with_account.types(f"keys issue --bot grid --account main --ed25519 {file}")
    assert (code, out, with_account.vault().guard_keys()) == (2, "", ())
    assert "an Ed25519 public key in PEM form" in err and "canary" not in err


def test_a_public_key_file_that_is_not_there_is_named(with_account: Operator, tmp_path: Path):
    code, _, err = with_account.types(f"keys issue --bot grid --account main --ed25519 {tmp_path / 'none.pem'}")
    assert code == 2 and "none.pem" in err


def test_a_master_key_is_kept_for_an_account_and_forgotten_again(operator: Operator) -> None:
    operator = replace(operator, environment=operator.environment | {"PERPGUARD_API_SECRET": API_SECRET})
    operator.types("keys add-exchange --account main --venue binanceusdm --api-key practice-key-main --offline")
    code, out, _ = operator.types(
        "keys set-master --account main --email grid@desk.example --api-key master-key-of-desk"
    )
    assert (code, out.strip()) == (0, "account=main master=master…desk")
    kept = operator.vault().exchange_key("main").master
    assert kept is not None and (kept.email, kept.api_secret.reveal()) == ("grid@desk.example", API_SECRET)
    assert API_SECRET not in repr(kept) and "master-key" not in repr(kept)
    code, out, _ = operator.types("keys list --json")
    assert json.loads(out)["accounts"][0]["master"] == "master…desk" and API_SECRET not in out
    assert operator.types("keys set-master --account main --forget")[0] == 0
    assert operator.vault().exchange_key("main").master is None


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("--account ghost --email a@b --api-key k", "ghost"),
        ("--account ghost", "ghost"),
        ("--account main --email nobody --api-key k", "email"),
        ("--account main --api-key k", "email"),
        ("--account main --email a@b", "api_key"),
    ],
)
def test_a_master_key_that_cannot_be_one_is_refused(operator: Operator, line: str, wrong: str) -> None:
    operator = replace(operator, environment=operator.environment | {"PERPGUARD_API_SECRET": API_SECRET})
    operator.types("keys add-exchange --account main --venue binanceusdm --api-key practice-key-main --offline")
    code, _, err = operator.types(f"keys set-master {line}")
    assert code == 2 and wrong in err and API_SECRET not in err


def test_a_watchdog_is_paired_with_the_secret_that_the_guard_shows(operator: Operator, tmp_path: Path) -> None:
    code, shown, said = operator.types("keys watchdog")
    assert code == 0 and "pretend that the guard lives" in said
    secret = shown.strip().removeprefix("secret=")
    assert operator.types("keys watchdog")[1] == shown, "asking again changes nothing"

    Vault.create(tmp_path / "elsewhere" / "vault" / "vault.json", Secret(PASSPHRASE), work_factor=2**14)
    elsewhere = replace(operator, data_dir=tmp_path / "elsewhere", stdin=f"{secret}\n")
    assert elsewhere.types("keys watchdog --keep")[0] == 0
    assert elsewhere.vault().watchdog_secret == operator.vault().watchdog_secret == Secret(secret)


@pytest.mark.parametrize("piped", ["", "short", "a" * 65, "a" * 63 + " "])
def test_a_watchdog_s_secret_that_was_cut_on_its_way_is_refused(operator: Operator, piped: str) -> None:
    code, _, said = replace(operator, stdin=piped).types("keys watchdog --keep")
    assert code == 2 and "watchdog_secret" in said
    assert not piped or piped.strip() not in said
    assert operator.vault().watchdog_secret is None
