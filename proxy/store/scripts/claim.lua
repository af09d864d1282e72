-- A desk has one guard: the first to claim it, until it has not said so again for the length of its lease.
-- KEYS: 1 guard 2 controls 3 whose
-- ARGV: 1 the guard's id 2 where it runs, in words 3 the lease in ms 4 '1' of a process that has the desk and keeps it
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #ARGV[1] + 1) ~= ARGV[1] .. '|' then
  return {'TAKEN', string.match(held, '|(.*)$') or held}
end
local last = redis.call('HGET', KEYS[2], 'guard')
-- Another guard had it meanwhile, and has left it: what stands there now, only who takes it over sees to.
if ARGV[4] == '1' and last and last ~= ARGV[1] then return {'LOST'} end
redis.call('SET', KEYS[1], ARGV[1] .. '|' .. ARGV[2], 'PX', ARGV[3])
local marked = redis.call('HGET', KEYS[3], '|claimed')
-- Who had the desk last left no mark, as an older version: what was said before it came says nothing of what it left.
if marked and last and last ~= marked then redis.call('DEL', KEYS[3]) end
if last and last ~= ARGV[1] then
  redis.call('HDEL', KEYS[2], 'generation')  -- It counts the other guard's presses. What that one stopped stays stopped.
  redis.call('HSET', KEYS[3], '|left', last)  -- Until it is taken over: that one may have ended before it took over itself.
end
if last then redis.call('HSETNX', KEYS[3], '', last) end  -- Where nothing says whose the accounts are, they are theirs.
redis.call('HSET', KEYS[3], '|claimed', ARGV[1])
redis.call('HSET', KEYS[2], 'guard', ARGV[1])
return {'OK'}
