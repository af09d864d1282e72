"""Where the archive is, and that nobody is shown the password."""

import pytest

from proxy.audit.place import ArchivePlace, ArchiveUnavailable, archive_place
from proxy.audit.reader import ArchiveReader

SECRET = "correct-horse"
URL = f"postgresql://guard:{SECRET}@db.test:5433/audit"


def test_without_a_url_it_is_a_file_in_the_data_directory(tmp_path):
    place = archive_place(tmp_path, {})
    assert (place.url, place.database) == (None, tmp_path / "audit" / "audit.db")
    assert str(place) == str(tmp_path / "audit" / "audit.db")


def test_the_url_comes_from_the_environment_or_from_a_file(tmp_path):
    file = tmp_path / "url"
    file.write_text(URL + "\n")
    for environ in ({"PERPGUARD_AUDIT_URL": URL}, {"PERPGUARD_AUDIT_URL_FILE": str(file)}):
        place = archive_place(tmp_path, environ)
        assert place.url is not None
        assert (place.url.host, place.url.password) == ("db.test", SECRET)
        assert place.anchor == tmp_path / "audit" / "audit.anchor"


def test_nobody_is_shown_the_password(tmp_path):
    place = archive_place(tmp_path, {"PERPGUARD_AUDIT_URL": URL.replace("5433", "1")})
    assert SECRET not in f"{place}{place!r}"
    assert str(place) == "postgresql://db.test:1/audit"


def test_a_server_that_is_not_there_is_named_without_the_password(tmp_path):
    url = f"postgresql://guard:{SECRET}@127.0.0.1:1/audit"
    with pytest.raises(ArchiveUnavailable) as unavailable:
        ArchiveReader.open(archive_place(tmp_path, {"PERPGUARD_AUDIT_URL": url}))
    shown = f"{unavailable.value!r}"
    assert "127.0.0.1:1" in shown
    assert SECRET not in shown


@pytest.mark.parametrize("url", [f"mysql://guard:{SECRET}@db.test/audit", f"{SECRET}", "sqlite:///audit.db"])
def test_another_database_is_refused_without_its_url(tmp_path, url):
    with pytest.raises(ArchiveUnavailable) as unavailable:
        archive_place(tmp_path, {"PERPGUARD_AUDIT_URL": url})
    assert SECRET not in f"{unavailable.value!r}"


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ArchiveUnavailable, match="cannot be read"):
        archive_place(tmp_path, {"PERPGUARD_AUDIT_URL_FILE": str(tmp_path / "nowhere")})


def test_places_that_are_the_same_are_equal(tmp_path):
    assert ArchivePlace(directory=tmp_path) == ArchivePlace(directory=tmp_path)
