-- Events become the account's state in one step: the new document, and the holds that it now counts as orders.
-- KEYS: 1 document 2 holds 3 epoch 4 owners 5 their order of arrival 6 unreported orders
-- ARGV: 1 epoch 2 version 3 body 4 head and 5 tail of its audit record 6 conversion 7 how many owners to remember
--       8 number of owners told, then per order or trade: its field and its bot; then hold ids proven to be over
if redis.call('GET', KEYS[3]) ~= ARGV[1] then
  return {'LOST'}
end
local current = redis.call('HGET', KEYS[1], 'version')
if current and tonumber(current) >= tonumber(ARGV[2]) then
  return {'SUPERSEDED', current}
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'body', ARGV[3], 'head', ARGV[4], 'tail', ARGV[5])
local matched = convert(KEYS[2], ARGV[6])
local over = 9 + 2 * tonumber(ARGV[8])
if over > 9 then remember(KEYS[4], KEYS[5], tonumber(ARGV[7]), ARGV, 9, over - 1) end
for i = over, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[i])
end
return {'OK', matched, 0, redis.call('EXISTS', KEYS[6])}
