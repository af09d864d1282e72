-- A survey becomes the account's state in one step: the new document, and the holds it makes superfluous.
-- A hold may go only if the venue acknowledged it before the survey began, because only then the survey has seen it.
-- KEYS: 1 document 2 holds 3 epoch 4 audit
-- ARGV: 1 epoch 2 version 3 body 4 head and 5 tail of its audit record 6 conversion 7 how many holds the survey has seen,
--       then of each its id and when it was acknowledged, as that was read; then hold ids proven to be resolved
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return {'LOST'}
end
local current = redis.call('HGET', KEYS[1], 'version')
if current and tonumber(current) >= tonumber(ARGV[2]) then
  return {'SUPERSEDED', current}
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'body', ARGV[3], 'head', ARGV[4], 'tail', ARGV[5])
archived(KEYS[1], KEYS[4])
local matched = convert(KEYS[2], ARGV[6])
local released = 0
local resolved = 8 + 2 * tonumber(ARGV[7])
for i = 8, resolved - 1, 2 do
  -- One that has changed since it was read is another.
  local _, status, at = string.match(redis.call('HGET', KEYS[2], ARGV[i]) or '', HOLD)
  if status == 'ACCEPTED' and at == ARGV[i + 1] then
    released = released + redis.call('HDEL', KEYS[2], ARGV[i])
  end
end
for i = resolved, #ARGV do
  released = released + redis.call('HDEL', KEYS[2], ARGV[i])
end
return {'OK', matched, released}
