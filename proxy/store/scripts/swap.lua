-- Change a field of a hash if it still says what the caller has read, unless another guard has the desk; an empty new
-- value removes it.
-- KEYS: 1 controls 2 hash
-- ARGV: 1 the guard's id, empty for who is of none 2 field 3 what was read, empty where there was nothing 4 new value
local owner = redis.call('HGET', KEYS[1], 'guard')
if ARGV[1] ~= '' and owner and owner ~= ARGV[1] then return {'TAKEN'} end
if (redis.call('HGET', KEYS[2], ARGV[2]) or '') ~= ARGV[3] then return {'OK', 0} end
if ARGV[4] == '' then redis.call('HDEL', KEYS[2], ARGV[2]) else redis.call('HSET', KEYS[2], ARGV[2], ARGV[4]) end
return {'OK', 1}
