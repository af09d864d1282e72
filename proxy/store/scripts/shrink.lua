-- A hold for more than will be sent shrinks before anything is sent.
-- KEYS: 1 holds
-- ARGV: 1 hold id 2 the orders that will be sent
local state = redis.call('HGET', KEYS[1], ARGV[1])
if not state then return 0 end
local sequence, status, at, bot = string.match(state, HOLD)
redis.call('HSET', KEYS[1], ARGV[1], table.concat({sequence, status, at, bot, ARGV[2]}, '|'))
return 1
