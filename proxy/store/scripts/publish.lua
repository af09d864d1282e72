-- A survey becomes the account's state in one step: the new document, and the holds it makes superfluous.
-- A hold may go only if the venue acknowledged it before the survey began, because only then the survey has seen it.
-- KEYS: 1 document 2 holds 3 epoch 4 audit
-- ARGV: 1 epoch 2 version 3 body 4 head and 5 tail of its audit record 6 conversion 7 survey began us
--       8 us that have passed since 9 'ALL' or the symbols surveyed as |A|B| 10.. hold ids proven to be resolved
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
-- A clock that shows less than it should was set back since the survey began: what was acknowledged after that may seem
-- older than the survey by as much.
local clock = redis.call('TIME')
local back = tonumber(ARGV[7]) + tonumber(ARGV[8]) - (clock[1] * 1000000 + clock[2])
local began = tonumber(ARGV[7]) - math.max(0, back)
local released = 0
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local _, status, at, _, body = string.match(all[i + 1], HOLD)
  local covered = ARGV[9] == 'ALL'
  if not covered and status == 'ACCEPTED' then
    covered = true
    for symbol in string.gmatch(body, '"symbol":"([^"]+)"') do
      if not string.find(ARGV[9], '|' .. symbol .. '|', 1, true) then covered = false end
    end
  end
  if status == 'ACCEPTED' and covered and tonumber(at) < began then
    released = released + redis.call('HDEL', KEYS[2], all[i])
  end
end
for i = 10, #ARGV do
  released = released + redis.call('HDEL', KEYS[2], ARGV[i])
end
return {'OK', matched, released}
