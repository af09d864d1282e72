-- What is stopped, for a gate that asks all the time; and which of it the gate obeys, for whoever pressed.
-- A gate of another guard than the one whose desk it is obeys nothing here: nobody waits for its word.
-- KEYS: 1 controls 2 gates
-- ARGV: 1 gate 2 the generation it obeys 3 its guard's id, empty for a gate of none
local owner = redis.call('HGET', KEYS[1], 'guard')
if ARGV[3] ~= '' and owner and owner ~= ARGV[3] then
  redis.call('HDEL', KEYS[2], ARGV[1])
  return redis.call('HGETALL', KEYS[1])
end
local clock = redis.call('TIME')
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. '|' .. string.format('%d', clock[1] * 1000000 + clock[2]))
return redis.call('HGETALL', KEYS[1])
