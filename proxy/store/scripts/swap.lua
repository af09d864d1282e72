-- Change a field of a hash if it still says what the caller has read; an empty new value removes it.
-- KEYS: 1 hash
-- ARGV: 1 field 2 what was read, empty where there was nothing 3 new value
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
return 1
