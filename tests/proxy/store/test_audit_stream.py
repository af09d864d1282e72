"""What the audit's stream keeps, and what it forgets."""

from proxy.store.codec import load


async def test_trimming_forgets_through_the_record_named_and_no_further(warden):
    await warden.record([{"n": n} for n in range(3)])
    read = await warden.read_audit(block_ms=1)
    await warden.trim_audit(read[1][0])
    assert [load(record) for _, record in await warden.read_audit(block_ms=1)] == [{"n": 2}]


async def test_a_record_stands_until_it_is_trimmed(warden):
    await warden.record([{"n": n} for n in range(3)])
    read = await warden.read_audit(block_ms=1)
    await warden.trim_audit(read[0][0])
    assert [await warden.stands(stream_id) for stream_id, _ in read] == [False, True, True]
