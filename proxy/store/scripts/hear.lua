-- What is stopped, for a gate that asks all the time; and which of it the gate obeys, for whoever pressed.
-- KEYS: 1 controls 2 gates
-- ARGV: 1 gate 2 the generation it obeys
local clock = redis.call('TIME')
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. '|' .. string.format('%d', clock[1] * 1000000 + clock[2]))
return redis.call('HGETALL', KEYS[1])
