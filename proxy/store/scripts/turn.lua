-- Whose turn it is to act on a desk: one holder at a time, by the store's own clock. Every turn has a number of its own,
-- greater than all before, so that a holder that slept through its turn can be told from the one after it.
-- Who is of another guard than the one whose desk it is has no turn, and waits for none.
-- KEYS: 1 the turn 2 controls
-- ARGV: 1 who asks 2 for how long, in microseconds; 0 gives a turn back 3 the guard's id, empty for who is of none
local owner = redis.call('HGET', KEYS[2], 'guard')
if ARGV[3] ~= '' and owner and owner ~= ARGV[3] then return {'TAKEN', '', 0} end
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local held = redis.call('HMGET', KEYS[1], 'holder', 'until_us', 'number', 'for_us')
local number = tonumber(held[3] or 0)
local until_us = tonumber(held[2] or 0)
if held[4] and until_us > now_us + held[4] then
  -- The clock was put back: a holder that died would keep the turn for so much longer. One that lives asks in time.
  until_us = now_us + held[4]
  redis.call('HSET', KEYS[1], 'until_us', string.format('%d', until_us))
end
local running = held[1] and until_us > now_us
if running and held[1] ~= ARGV[1] then
  return {'HELD', held[1], number}
end
if tonumber(ARGV[2]) == 0 then
  if running then redis.call('HSET', KEYS[1], 'until_us', '0') end
  return {'FREE', ARGV[1], number}
end
if not running then number = number + 1 end
local until_text = string.format('%d', now_us + ARGV[2])
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until_us', until_text, 'for_us', ARGV[2], 'number', number)
return {'OURS', ARGV[1], number}
