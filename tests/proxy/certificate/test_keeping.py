"""Every ended job has its certificate, once, whoever ran it and whatever died meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proxy.audit.archive import Archive
from proxy.audit.place import archive_place
from proxy.certificate.content import Press, PressCertificate
from proxy.certificate.desk import CertificateDesk
from proxy.certificate.keeping import CertificateKeeper, Issued
from proxy.certificate.proof import NotProven
from proxy.certificate.verifying import Verified, verify
from proxy.kill.in_flight import IN_FLIGHT_OVER
from proxy.kill.jobs import RESUMED
from proxy.kill.joins import Join, note_join
from proxy.kill.tries import PURSUER
from proxy.policy.reading import policy_digest
from proxy.policy.shelf import Shelf
from proxy.signatures.canonical import read_canonical
from proxy.signatures.signing import trusted_key
from proxy.vault.keys import Secret
from rules.kill.events import Phase
from tests.proxy.audit.conftest import SIGNER, TRUSTED
from tests.support.certificates import (
    DUST,
    JOB,
    a_degraded_kill,
    a_flat_kill,
    a_keeper,
    a_report,
    a_vault,
    after,
    the_beginning,
    write_job,
)

SECOND_JOB = "20261124T093000000000-ffffffff"


def verified(keeper: CertificateKeeper, certificate_id: str) -> Verified:
    content = keeper.shelf.read(certificate_id)
    assert content is not None
    return verify(content, keeper.trusted_keys(), keeper.shelf.read)


def press_id(keeper: CertificateKeeper) -> str:
    (found,) = (each for each in keeper.shelf.ids() if each.endswith("-press"))
    return found


def test_a_press_binds_its_accounts_and_is_as_flat_as_the_least(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    flat = write_job(tmp_path, a_flat_kill())
    rest = write_job(tmp_path, a_flat_kill(DUST), account="second", job_id=SECOND_JOB)
    issued = keeper.certify(a_report(flat, rest))
    assert issued.troubles == []
    assert [each.id for each in issued.certificates] == [JOB, SECOND_JOB, press_id(keeper)]
    found = verified(keeper, press_id(keeper))
    assert isinstance(found.certificate, PressCertificate)
    assert (found.certificate.phase, found.absent) == (Phase.FLAT_EXCEPT_DUST, ())
    assert [each.account for each in found.certificate.accounts] == ["main", "second"]


def test_a_flat_press_is_proven_only_with_its_accounts_at_hand(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    keeper.certify(a_report(write_job(tmp_path, a_flat_kill())))
    assert verified(keeper, press_id(keeper)).proves_flat
    content = keeper.shelf.read(press_id(keeper))
    assert content is not None
    alone = verify(content, keeper.trusted_keys())
    assert alone.certificate.flat and alone.absent == ("main",) and not alone.proves_flat


def test_a_press_does_not_take_another_certificate_for_its_own(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    keeper.certify(a_report(write_job(tmp_path, a_flat_kill())))
    other = a_keeper(tmp_path / "other")
    other_content = keeper.shelf.read(press_id(keeper))
    assert other_content is not None
    # Genuine, of the same guard, and of another job.
    write_job(tmp_path, a_degraded_kill(), account="second", job_id=SECOND_JOB)
    keeper.catch_up()
    with pytest.raises(NotProven, match="not the one that was bound"):
        verify(other_content, keeper.trusted_keys(), lambda _: keeper.shelf.read(SECOND_JOB))
    assert other.shelf.ids() == []


def test_it_says_on_what_ground_it_was_issued(tmp_path: Path) -> None:
    text = '[policy]\nname = "grid"\nowner = "risk"\n'
    Shelf(tmp_path).activate(text)
    with Archive.open(archive_place(tmp_path), SIGNER, keys=TRUSTED) as archive:
        sequence = archive.append_from("test", "1", [{"kind": "event", "id": "e1", "at": "2026-11-24T09:00:00Z"}])
        keeper = a_keeper(tmp_path)
        keeper.certify(a_report(write_job(tmp_path, a_flat_kill())))
    issue = verified(keeper, JOB).certificate.issue
    assert (issue.policy.digest or "").startswith(policy_digest(text)) and issue.policy.not_known == ""
    assert issue.audit.sequence == sequence and len(issue.audit.head or "") == 64
    assert issue.key_id == keeper.publish_key().key_id and issue.guard_version


def test_without_policy_and_archive_it_says_why_they_are_not_known(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    keeper.certify(a_report(write_job(tmp_path, a_flat_kill())))
    issue = verified(keeper, JOB).certificate.issue
    assert issue.policy.digest is None and "no policy was ever in force" in issue.policy.not_known
    assert issue.audit.head is None and "no archive" in issue.audit.not_known


def test_the_first_certificate_stands(tmp_path: Path) -> None:
    report = a_report(write_job(tmp_path, a_flat_kill()))
    first = a_keeper(tmp_path)
    first.certify(report)
    contents = {each: first.shelf.read(each) for each in first.shelf.ids()}
    later = a_keeper(tmp_path, after(7200))
    assert later.certify(report).certificates == []
    assert later.catch_up().certificates == []
    assert {each: later.shelf.read(each) for each in later.shelf.ids()} == contents


def test_what_a_crash_left_out_is_caught_up_with_and_says_the_same(tmp_path: Path) -> None:
    journals = [
        write_job(tmp_path, a_flat_kill()),
        write_job(tmp_path, a_flat_kill(), account="second", job_id=SECOND_JOB),
    ]
    keeper = a_keeper(tmp_path, after(3600))
    issued = keeper.catch_up()
    assert issued.troubles == []
    assert {each.id for each in issued.certificates} == {JOB, SECOND_JOB, press_id(keeper)}
    late = keeper.shelf.read(press_id(keeper))
    assert keeper.catch_up().certificates == []

    other = tmp_path / "other"
    for journal in journals:
        write_job(other, journal.events, account=journal.job.account, job_id=journal.job.job_id)
    in_time = a_keeper(other)
    in_time.certify(a_report(*journals))
    for certificate_id in in_time.shelf.ids():
        both = [(each.shelf.read(certificate_id) or b"")[:-1] for each in (keeper, in_time)]
        late_said, said = (read_canonical(each)["certificate"] for each in both)
        assert late_said.pop("issue") != said.pop("issue")
        assert late_said == said
    assert late is not None


def a_vault_of(data_dir: Path, *accounts: str) -> None:
    for account in accounts:
        a_vault(data_dir).add_exchange_key(
            account=account, venue="binanceusdm", api_key=account * 8, api_secret=Secret("s" * 64), now=after(-3600)
        )


def test_no_press_is_certified_over_the_jobs_that_could_be_read(tmp_path: Path) -> None:
    a_vault_of(tmp_path, "main", "second")
    write_job(tmp_path, a_flat_kill())
    keeper = a_keeper(tmp_path, after(3600))
    issued = keeper.catch_up()
    assert [each.id for each in issued.certificates] == [JOB]
    assert issued.troubles == ["the press of desk by ann is not certified: nothing says what became of second"]
    assert keeper.catch_up() == Issued(), "it was said twice"


def test_whoever_ran_a_press_certifies_none_over_fewer_accounts_than_it_covered(tmp_path: Path) -> None:
    a_vault_of(tmp_path, "main", "second")
    keeper = a_keeper(tmp_path)
    issued = keeper.certify(a_report(write_job(tmp_path, a_flat_kill())))
    assert [each.id for each in issued.certificates] == [JOB]
    assert issued.troubles == ["the press is not certified: nothing says what became of second"]


@pytest.mark.parametrize(
    "changed", [{"by": PURSUER}, {"reason": RESUMED}, {"reason": IN_FLIGHT_OVER}], ids=["pursued", "resumed", "late"]
)
def test_what_goes_on_with_one_account_of_a_press_is_no_flat_press_and_no_trouble(
    tmp_path: Path, changed: dict[str, str]
) -> None:
    a_vault_of(tmp_path, "main", "second")
    report = replace(a_report(write_job(tmp_path, a_flat_kill(), **changed)), **changed)  # type: ignore[arg-type]
    keeper = a_keeper(tmp_path, after(3600))
    for issued in (keeper.certify(report), keeper.catch_up()):
        assert issued.troubles == []
        assert [each.id for each in issued.certificates] in ([JOB], [])
    assert keeper.shelf.ids() == [JOB]


def test_no_press_is_certified_beside_a_damaged_job_of_its_moment(tmp_path: Path) -> None:
    write_job(tmp_path, a_flat_kill())
    job = write_job(tmp_path, a_degraded_kill(), account="second", job_id=SECOND_JOB)
    lines = job.path.read_bytes().splitlines(keepends=True)
    job.path.write_bytes(b"".join([lines[0], b"damage\n", *lines[2:]]))
    keeper = a_keeper(tmp_path, after(3600))
    issued = keeper.catch_up()
    assert [each.id for each in issued.certificates] == [JOB]
    assert "the press of desk by ann is not certified: one of its jobs cannot be read" in issued.troubles


def test_a_job_that_a_press_joined_is_bound_by_it(tmp_path: Path) -> None:
    a_vault_of(tmp_path, "main", "second")
    first = write_job(tmp_path, a_flat_kill())
    earlier = after(-30)
    job_id = f"{earlier:%Y%m%dT%H%M%S%f}-ffffffff"
    other = write_job(tmp_path, a_flat_kill(DUST), account="second", job_id=job_id, started_at=earlier)
    note_join(other.path, Join(scope="desk", by=first.job.by, reason=first.job.reason, at=first.job.started_at))
    keeper = a_keeper(tmp_path, after(3600))
    keeper.catch_up()
    found = verified(keeper, Press.of(first.job).certificate_id).certificate
    assert isinstance(found, PressCertificate)
    assert ([each.account for each in found.accounts], found.phase) == (["main", "second"], Phase.FLAT_EXCEPT_DUST)


def test_a_press_is_left_to_whoever_runs_it_for_a_while(tmp_path: Path) -> None:
    write_job(tmp_path, a_flat_kill())
    soon = a_keeper(tmp_path, after(10))
    assert [each.id for each in soon.catch_up().certificates] == [JOB]
    write_job(tmp_path, the_beginning(), account="second", job_id=SECOND_JOB)
    assert a_keeper(tmp_path, after(3600)).catch_up().certificates == [], "the second account's job runs"


def test_a_damaged_certificate_is_set_aside_and_issued_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keeper = a_keeper(tmp_path)
    keeper.certify(a_report(write_job(tmp_path, a_flat_kill())))
    path = keeper.shelf.path(JOB)
    path.write_bytes(path.read_bytes()[:-20])
    issued = a_keeper(tmp_path, after(3600)).catch_up()
    assert [each.id for each in issued.certificates] == [JOB]
    assert verified(keeper, JOB).proves_flat
    assert verified(keeper, press_id(keeper)).proves_flat, "the press still binds what the new one says"
    assert path.with_suffix(".damaged").exists() and "is damaged" in caplog.text


def two_kills_with_the_first_certificate_under_both_names(data_dir: Path) -> CertificateKeeper:
    """One account's kill ended FLAT and its next DEGRADED; the FLAT file was copied over the other's."""
    write_job(data_dir, a_flat_kill())
    write_job(data_dir, a_degraded_kill(), job_id=SECOND_JOB)
    keeper = a_keeper(data_dir, after(3600))
    keeper.catch_up()
    keeper.shelf.path(SECOND_JOB).write_bytes(keeper.shelf.path(JOB).read_bytes())
    return keeper


def test_the_certificate_of_another_kill_is_set_aside_and_the_right_one_issued_anew(tmp_path: Path) -> None:
    keeper = two_kills_with_the_first_certificate_under_both_names(tmp_path)
    issued = a_keeper(tmp_path, after(7200)).catch_up()
    assert [(each.id, each.phase) for each in issued.certificates] == [(SECOND_JOB, "DEGRADED")]
    assert verified(keeper, SECOND_JOB).certificate.id == SECOND_JOB
    assert keeper.shelf.path(SECOND_JOB).with_suffix(".damaged").read_bytes() == keeper.shelf.read(JOB)


def test_another_presss_certificate_stands_for_no_press(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    keeper.certify(a_report(write_job(tmp_path, a_flat_kill())))
    press = press_id(keeper)
    keeper.shelf.path(press).write_bytes(keeper.shelf.read(JOB) or b"")
    issued = a_keeper(tmp_path, after(3600)).catch_up()
    assert [each.id for each in issued.certificates] == [press]


def test_no_press_is_bound_to_the_certificate_of_another_kill(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    first = write_job(tmp_path, a_flat_kill())
    second = write_job(tmp_path, a_degraded_kill(), account="second", job_id=SECOND_JOB)
    keeper.certify(a_report(first))
    keeper.shelf.path(press_id(keeper)).unlink()
    keeper.shelf.path(SECOND_JOB).write_bytes(keeper.shelf.read(JOB) or b"")
    second.path.unlink()
    issued = keeper.certify(a_report(first, second))
    assert issued.certificates == []
    assert issued.troubles[1].startswith(f"the press is not certified: this is the certificate {JOB} under the name")


async def test_the_console_shows_nothing_of_a_certificate_under_anothers_name(tmp_path: Path) -> None:
    async def nothing(*_: object) -> None:
        return

    desk = CertificateDesk(two_kills_with_the_first_certificate_under_both_names(tmp_path), nothing)
    view = await desk.certificate(SECOND_JOB)
    assert view is not None and view.document == {}
    (row,) = (row for row in await desk.certificates() if row.id == SECOND_JOB)
    assert row.problem == view.problem == f"this is the certificate {JOB} under the name of {SECOND_JOB}"


def test_trouble_is_said_and_nothing_is_raised(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    running = write_job(tmp_path, the_beginning())
    issued = keeper.certify(a_report(running))
    assert "does not come to an end" in issued.troubles[0]
    (tmp_path / "certificates").mkdir(exist_ok=True)
    (tmp_path / "certificates" / "public.pem").unlink(missing_ok=True)
    (tmp_path / "certificates" / "public.pem").mkdir()
    ended = write_job(tmp_path, a_flat_kill(), account="second", job_id=SECOND_JOB)
    issued = keeper.certify(a_report(ended))
    assert issued.certificates == [] and len(issued.troubles) == 2


def test_a_job_that_cannot_be_believed_is_named_once(tmp_path: Path) -> None:
    journal = write_job(tmp_path, a_flat_kill())
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:40] + b"\0" + content[41:])
    keeper = a_keeper(tmp_path)
    assert "damaged" in keeper.catch_up().troubles[0]
    assert keeper.catch_up().troubles == []


def test_a_vault_of_before_a_rotation_takes_no_key_away_that_signed_since(tmp_path: Path) -> None:
    old = a_keeper(tmp_path).publish_key()
    vault = tmp_path / "vault" / "vault.json"
    backup = vault.read_bytes()
    a_vault(tmp_path).rotate_signing_key(after(100))
    new = a_keeper(tmp_path).publish_key()
    vault.write_bytes(backup)
    keeper = a_keeper(tmp_path)
    for _ in range(2):
        assert keeper.publish_key().key_id == old.key_id
        assert {each.key_id for each in keeper.shelf.trusted_keys()} == {old.key_id, new.key_id}
    assert trusted_key(keeper.shelf.public_key_path.read_bytes()).key_id == old.key_id
    kept = keeper.shelf.public_key_path.with_name(f"public-{new.key_id}.pem")
    assert kept.read_bytes() == new.public_key.encode()
    keeper.shelf.public_key_path.write_bytes(b"no key")
    keeper.publish_key()
    assert {each.key_id for each in keeper.shelf.trusted_keys()} == {old.key_id, new.key_id}


def test_certificates_of_a_rotated_key_stay_good_and_the_old_key_signs_nothing_more(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    keeper.certify(a_report(write_job(tmp_path, a_flat_kill())))
    old = keeper.publish_key()
    a_vault(tmp_path).rotate_signing_key(after(100))  # In another process.
    new = keeper.publish_key()
    assert new.key_id != old.key_id
    pem = (tmp_path / "certificates" / f"public-{old.key_id}.pem").read_text()
    assert pem == old.public_key
    assert (tmp_path / "certificates" / "public.pem").read_text() == new.public_key
    assert {each.key_id for each in keeper.shelf.trusted_keys()} == {old.key_id, new.key_id}
    assert verify(keeper.shelf.read(JOB) or b"", keeper.shelf.trusted_keys()).proves_flat
    assert [key.private_key is None for key in a_vault(tmp_path).signing_keys()] == [True, False]


def test_what_is_kept_is_private_and_whole(tmp_path: Path) -> None:
    keeper = a_keeper(tmp_path)
    keeper.certify(a_report(write_job(tmp_path, a_flat_kill())))
    path = keeper.shelf.path(JOB)
    assert path.stat().st_mode & 0o077 == 0
    assert sorted(each.suffix for each in path.parent.iterdir()) == [".json", ".json", ".pem"], "no leavings"
    assert path.stat().st_nlink == 1
    assert not keeper.shelf.keep(JOB, b"another"), "what is there is never replaced"
    for odd in ("../public", "a/b", "", "x" * 65):
        with pytest.raises(ValueError, match="certificate's id"):
            keeper.shelf.path(odd)
