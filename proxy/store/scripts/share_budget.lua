-- Tell what one process heard of the venue's counters, and hear what all have heard; the published budget if it is new.
-- Of a counter the newest window stands, and in it the highest count: the venue's only grow until its window ends.
-- KEYS: 1 counters 2 the published budget
-- ARGV: 1 the budget's version as it is known; then for each counter: its name, the number of its window, its count
for place = 2, #ARGV, 3 do
  local known = redis.call('HGET', KEYS[1], ARGV[place]) or '-1:0'
  local window, count = string.match(known, '^(-?%d+):(%d+)$')
  local ours, heard = tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2])
  if ours > tonumber(window) or (ours == tonumber(window) and heard > tonumber(count)) then
    redis.call('HSET', KEYS[1], ARGV[place], string.format('%d:%d', ours, heard))
  end
end
redis.call('EXPIRE', KEYS[1], 120)
local version = redis.call('HGET', KEYS[2], 'version') or ''
local body = ''
if version ~= ARGV[1] then body = redis.call('HGET', KEYS[2], 'body') or '' end
return {redis.call('HGETALL', KEYS[1]), version, body}
