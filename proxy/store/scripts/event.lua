-- Events become the account's state in one step: the new document, and the holds that it now counts as orders.
-- KEYS: 1 document 2 holds 3 epoch
-- ARGV: 1 epoch 2 version 3 body 4 head and 5 tail of its audit record 6 conversion 7.. hold ids proven to be over
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return {'LOST'}
end
local current = redis.call('HGET', KEYS[1], 'version')
if current and tonumber(current) >= tonumber(ARGV[2]) then
  return {'SUPERSEDED', current}
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'body', ARGV[3], 'head', ARGV[4], 'tail', ARGV[5])
local matched = convert(KEYS[2], ARGV[6])
for i = 7, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[i])
end
return {'OK', matched}
