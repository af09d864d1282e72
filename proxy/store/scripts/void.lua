-- The gate gave up on a hold without knowing whether it was made: if it was it goes, if it comes later it is not made.
-- KEYS: 1 holds 2 void
-- ARGV: 1 hold id 2 for how long, ms
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
return redis.call('HDEL', KEYS[1], ARGV[1])
