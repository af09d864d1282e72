"""What a gate remembers of what is published, and what an answer says: they are not the same between two answers."""

from proxy.store.documents import Document, Documents
from proxy.store.keys import Keys
from tests.proxy.store.builders import an_account_of

KEYS = Keys("desk")
ACCOUNT = KEYS.account("demo")


def documents() -> Documents:
    return Documents(KEYS, lambda text: None)


def decode(body: str) -> object:
    return an_account_of(int(body))


def test_an_answer_without_a_body_means_what_was_known_when_it_was_asked():
    """Two requests are under way: the one asked last may be answered first, and the holds belong to its account."""
    known = documents()
    second = known.told(Document(), ACCOUNT, "2", "2", decode)
    late = known.told(Document(), ACCOUNT, "1", "1", decode)
    assert (late.value.version, known[ACCOUNT].value.version) == (1, 1)
    assert known.told(second, ACCOUNT, "2", "", decode).value.version == 2


def test_what_is_gone_is_not_known_any_more():
    known = documents()
    known.told(Document(), ACCOUNT, "2", "2", decode)
    assert known.told(known[ACCOUNT], ACCOUNT, "", "", decode) == Document()
    assert known[ACCOUNT] == Document()


def test_a_view_is_of_what_was_told():
    known = documents()
    told = {key: Document() for key in known.concerning("demo", "venue", "bot")}
    told[ACCOUNT] = known.told(Document(), ACCOUNT, "2", "2", decode)
    known.told(Document(), ACCOUNT, "1", "1", decode)
    assert known.view("demo", "venue", "bot", told=told).account.version == 2
    assert known.view("demo", "venue").account.version == 1
