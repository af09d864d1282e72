-- A hold for more than will be sent shrinks before anything is sent, and the attempt is remembered as sized down.
-- KEYS: 1 holds 2 attempts
-- ARGV: 1 hold id 2 the orders that will be sent 3 the quantity that will be sent 4 attempts max
local state = redis.call('HGET', KEYS[1], ARGV[1])
if not state then return 0 end
local sequence, status, at, bot = string.match(state, HOLD)
if not sequence then return 0 end -- Another version of the guard has written it anew: it cannot be read here.
redis.call('HSET', KEYS[1], ARGV[1], table.concat({sequence, status, at, bot, ARGV[2]}, '|'))
local clock = redis.call('TIME')
local now_us = string.format('%d', clock[1] * 1000000 + clock[2])
redis.call('RPUSH', KEYS[2], table.concat({now_us, ARGV[1], 'TRIMMED', ARGV[3]}, '|'))
redis.call('LTRIM', KEYS[2], -tonumber(ARGV[4]), -1)
redis.call('EXPIRE', KEYS[2], 86400)
return 1
