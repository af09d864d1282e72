import io
from dataclasses import replace
from datetime import timedelta

import pytest

from proxy.audit.documents import ArchiveSource, ExportSource
from proxy.audit.export import ExportBroken, read_export, write_export
from proxy.audit.reader import ArchiveReader
from proxy.audit.replay import replay
from proxy.policy.reading import parse_policy
from rules.decision import Breach, Decision, Verdict
from rules.engine import decide_batch
from rules.model import Intent


def replayed(place, decide=decide_batch, **options):
    with ArchiveReader.open(place) as archive, archive.standing_still():
        return replay(ArchiveSource(archive), decide, parse_policy, **options)


def exported(place):
    output = io.BytesIO()
    with ArchiveReader.open(place) as archive:
        write_export(archive, output)
    return output.getvalue()


def refuse_all(commands, snapshot, policy):
    breach = Breach(rule_id="stub", code="NO", message="no")
    return tuple(
        Decision(
            verdict=Verdict.DENY,
            intent=Intent.ENTRY,
            effective=command,
            policy_version=policy.version,
            snapshot_version=snapshot.account.version,
            breaches=(breach,),
        )
        for command in commands
    )


def test_every_decision_comes_out_the_same(day):
    report = replayed(day)
    assert (report.agree, report.decisions, report.agreed) == (True, 8, 8)


def test_documents_may_come_after_the_decisions_that_need_them(place, desk):
    desk.write(place, [desk.decision(1), desk.decision(2, "3"), *desk.documents()])
    assert replayed(place).agree


def test_a_changed_policy_disagrees_and_says_where(day, desk):
    report = replayed(day, policy=parse_policy(desk.tighter_text))
    assert (report.agree, report.disagreed) == (False, 8)
    words = [each.words for each in report.disagreements]
    assert "BUY 1 BTCUSDT MARKET: recorded ALLOW, replayed DENY ORDER_VALUE_ABOVE_LIMIT" in words
    assert any(each.startswith("BUY 3 BTCUSDT MARKET: same verdict, but breaches") for each in words)


def test_the_same_rules_in_other_words_agree(day, desk):
    other = parse_policy(desk.policy_text + "# a comment")
    assert other.version != desk.policy.version
    assert replayed(day, policy=other).agree


def test_another_engine_disagrees_and_only_the_first_are_kept(day):
    report = replayed(day, refuse_all, shown_max=3)
    assert (report.agree, report.disagreed, len(report.disagreements)) == (False, 8, 3)


def test_an_engine_that_forgets_a_command_disagrees(day):
    assert not replayed(day, lambda *_: ()).agree


@pytest.mark.parametrize("missing", range(3))
def test_a_missing_document_does_not_agree(place, desk, missing):
    documents = desk.documents()
    del documents[missing]
    desk.write(place, [*documents, desk.decision(1)])
    report = replayed(place)
    assert (report.agree, report.missing, report.agreed) == (False, 1, 0)


def test_a_symbol_missing_from_its_document_does_not_agree(place, desk):
    documents = desk.documents()
    del documents[2]["content"]["BTCUSDT"]
    desk.write(place, [*documents, desk.decision(1)])
    assert replayed(place).missing == 1


def test_a_policy_text_that_is_not_the_policy_named_does_not_agree(place, desk):
    documents = desk.documents()
    documents[0]["content"]["text"] = desk.tighter_text
    desk.write(place, [*documents, desk.decision(1)])
    assert replayed(place).missing == 1


def test_a_decision_made_without_account_replays_without_one(place, desk):
    record = desk.decision(1)
    record["snapshot"] |= {"account": None, "instruments": {"$ref": "instruments:binanceusdm@", "symbols": []}}
    desk.write(place, [desk.documents()[0], record])
    seen = []

    def look(commands, snapshot, policy):
        seen.append(snapshot)
        return ()

    replayed(place, look)
    assert (seen[0].account, seen[0].instruments) == (None, {})


def test_a_version_used_twice_means_the_state_the_decision_could_see(place, desk):
    before = desk.start - timedelta(days=1)
    poor = replace(desk.account(), margin_balance=desk.account().margin_balance / 1000)
    old = desk.document("account:main", "17", {"name": "main", "version": 17, "broken": True}, at=before)
    new = desk.documents()
    after = desk.document("account:main", "17", poor.name, at=desk.start + timedelta(days=1))
    desk.write(place, [old, after, *new, desk.decision(1)])
    assert replayed(place).agree
    assert replay(ExportSource(io.BytesIO(exported(place))), decide_batch, parse_policy).agree


def test_a_decision_that_cannot_be_read_back_disagrees_in_words(place, desk):
    record = desk.decision(1)
    record["commands"][0]["type"] = "Teleport"
    desk.write(place, [*desk.documents(), record])
    report = replayed(place)
    assert "cannot be read back" in report.disagreements[0].words


def test_an_export_replays_like_its_archive(day):
    assert replay(ExportSource(io.BytesIO(exported(day))), decide_batch, parse_policy).agreed == 8


def test_an_export_gives_back_every_byte(day):
    with ArchiveReader.open(day) as archive, archive.standing_still():
        wanted = [record.body for record in archive.chained()]
    assert [record.body for record in read_export(io.BytesIO(exported(day)))] == wanted


@pytest.mark.parametrize("line", range(25))
def test_an_export_changed_in_any_line_is_refused(day, line):
    lines = exported(day).splitlines(keepends=True)
    assert len(lines) == 25
    deleted = lines[:line] + lines[line + 1 :]
    repeated = lines[: line + 1] + lines[line:]
    middle = len(lines[line]) // 2
    flipped = [*lines[:line], bytes([*lines[line][:middle], lines[line][middle] ^ 1, *lines[line][middle + 1 :]])]
    for changed in (deleted, repeated, flipped + lines[line + 1 :], lines[:line]):
        with pytest.raises(ExportBroken):
            list(read_export(io.BytesIO(b"".join(changed))))
