-- Shared by the scripts that bring events; put in front of them. Remembers whose orders and trades are, and forgets the
-- oldest beyond the bound: `told` holds from place `first` to `last` a field and its bot, in turns.
local function remember(owners, by_age, most, told, first, last)
  for i = first, last, 2 do
    if redis.call('HSET', owners, told[i], told[i + 1]) == 1 then
      redis.call('RPUSH', by_age, told[i])
    end
  end
  for _ = 1, redis.call('LLEN', by_age) - most do
    redis.call('HDEL', owners, redis.call('LPOP', by_age))
  end
end

