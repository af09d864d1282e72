-- A hold whose entries were all refused goes, the attempt is remembered as refused, the records say so. What held
-- nothing was no attempt: it must not push out the memory of those that were.
-- KEYS: 1 holds 2 audit 3 attempts
-- ARGV: 1 hold id 2 the quantity that would have passed, or '' 3 attempts max, then audit records
if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then
  local clock = redis.call('TIME')
  local now_us = string.format('%d', clock[1] * 1000000 + clock[2])
  redis.call('RPUSH', KEYS[3], table.concat({now_us, ARGV[1], 'REFUSED', ARGV[2]}, '|'))
  redis.call('LTRIM', KEYS[3], -tonumber(ARGV[3]), -1)
  redis.call('EXPIRE', KEYS[3], 86400)
end
for i = 4, #ARGV do
  redis.call('XADD', KEYS[2], '*', 'r', ARGV[i])
end
return 1
