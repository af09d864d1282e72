-- Dead-man timers that have run out go from armed to running, and stay there until their orders are gone. Whoever is
-- given one has it for the length of a lease, and longer if it says so in time; of one that died another takes over.
-- KEYS: 1 armed timers 2 running timers
-- ARGV: 1 lease in microseconds 2 how many to give at most 3.. fields the caller has and keeps
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local lease = string.format('%d', now_us + ARGV[1])
for i = 3, #ARGV do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[2], ARGV[i], lease)
  end
end
local armed = redis.call('HGETALL', KEYS[1])
for i = 1, #armed, 2 do
  -- Armed anew and out again while it still runs, it waits: orders placed since are not in the run under way.
  if tonumber(armed[i + 1]) <= now_us and redis.call('HSETNX', KEYS[2], armed[i], '0') == 1 then
    redis.call('HDEL', KEYS[1], armed[i])
  end
end
local given = {}
local running = redis.call('HGETALL', KEYS[2])
for i = 1, #running, 2 do
  if #given < tonumber(ARGV[2]) and tonumber(running[i + 1]) <= now_us then
    redis.call('HSET', KEYS[2], running[i], lease)
    given[#given + 1] = running[i]
  end
end
return given
