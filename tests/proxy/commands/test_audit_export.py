"""``perpguard audit export`` onto a full disk."""

import errno

import pytest

from proxy.audit.place import archive_place
from proxy.audit.reader import ArchiveReader
from proxy.cli import main


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_an_export_that_fails_leaves_the_earlier_one(desk, tmp_path, monkeypatch, capsys, form):
    desk.write(archive_place(tmp_path, {}), desk.day())
    path, words = tmp_path / f"evidence.{form}", ["--data-dir", str(tmp_path), "audit", "export", "--format", form]
    assert main([*words, "--output", str(path)]) == 0
    before, whole = path.read_bytes(), ArchiveReader.stream

    def full(archive, question):
        for count, row in enumerate(whole(archive, question)):
            if count == 5:
                raise OSError(errno.ENOSPC, "No space left on device")
            yield row

    with monkeypatch.context() as patched:
        patched.setattr(ArchiveReader, "stream", full)
        assert main([*words, "--output", str(path)]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.glob("*evidence*")] == [path.name]
    if form == "jsonl":
        assert main(["--data-dir", str(tmp_path), "audit", "replay", "--from", str(path)]) == 0
        assert path.stat().st_mode & 0o777 == 0o600
