-- A trading state and its kill latch, unless another guard has the desk. The number beside them never becomes smaller:
-- gates let nothing go on a smaller one. The number that stands there now.
-- KEYS: 1 controls
-- ARGV: 1 the guard's id, empty for who is of none 2 level 3 state 4 number 5 the greatest number that any fence can have
--       6 the latch 7 '1' while its kill runs, '0' when none does, '' to leave it
local owner = redis.call('HGET', KEYS[1], 'guard')
if ARGV[1] ~= '' and owner and owner ~= ARGV[1] then return {'TAKEN'} end
local number = ARGV[4]
local known = redis.call('HGET', KEYS[1], 'generation') or ''
if string.match(known, '^%d+$') and tonumber(known) <= tonumber(ARGV[5]) and tonumber(known) > tonumber(number) then
  number = known
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3], 'generation', number)
if ARGV[7] == '1' then redis.call('HSET', KEYS[1], ARGV[6], '1') end
if ARGV[7] == '0' then redis.call('HDEL', KEYS[1], ARGV[6]) end
return {'OK', number}
