-- Take, renew or give back a bot's lease, by the store's own clock. A request is taken once: a recorded renewal must not
-- keep a dead bot's lease alive. What is given back stays as a mark until the warden has seen it, so that a lease that
-- is merely missing was lost with the store's data.
-- KEYS: 1 leases 2 the request's mark 3 guard keys that are off
-- ARGV: 1 field 2 time to live in microseconds, 0 gives it back 3 how long the mark counts, in milliseconds 4 guard key
if redis.call('HEXISTS', KEYS[3], ARGV[4]) == 1 then return 'DISABLED' end
if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then return 'REPLAYED' end
if tonumber(ARGV[2]) == 0 then
  redis.call('HSET', KEYS[1], ARGV[1], 'released')
  return 'OK'
end
local clock = redis.call('TIME')
local until_us = string.format('%d', clock[1] * 1000000 + clock[2] + ARGV[2])
redis.call('HSET', KEYS[1], ARGV[1], until_us .. '|' .. ARGV[2] .. '|0')
return 'OK'
