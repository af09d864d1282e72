-- Keep a bot's dead-man timer by the store's own clock: arming one again moves it, a countdown of 0 takes it away. Beside
-- the moment when it runs out stands the countdown: by that alone one sees that the clock was put back since.
-- KEYS: 1 armed timers
-- ARGV: 1 field 2 what every field of this bot begins with 3 countdown in microseconds 4 how many a bot may have
if tonumber(ARGV[3]) == 0 then
  redis.call('HDEL', KEYS[1], ARGV[1])
  return 'OK'
end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  local own = 0
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if string.sub(field, 1, #ARGV[2]) == ARGV[2] then own = own + 1 end
  end
  if own >= tonumber(ARGV[4]) then
    return 'FULL'
  end
end
local clock = redis.call('TIME')
local due_us = string.format('%d', clock[1] * 1000000 + clock[2] + ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], due_us .. '|' .. ARGV[3])
return 'OK'
