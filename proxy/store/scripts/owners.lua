-- Remember whose orders and trades are, and forget the oldest beyond the bound.
-- KEYS: 1 owners 2 their order of arrival
-- ARGV: 1 how many to remember, then per order or trade: its field and its bot
for i = 2, #ARGV, 2 do
  if redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('RPUSH', KEYS[2], ARGV[i])
  end
end
while redis.call('LLEN', KEYS[2]) > tonumber(ARGV[1]) do
  redis.call('HDEL', KEYS[1], redis.call('LPOP', KEYS[2]))
end
return redis.call('HLEN', KEYS[1])
