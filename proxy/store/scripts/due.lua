-- Dead-man timers that have run out go from armed to running, and stay there until their orders are gone. Whoever is
-- given one has it for the length of a lease, and longer if it says so in time; of one that died another takes over.
-- What this clock does is held against no bot, as with leases. One that would run for longer than its countdown, because
-- the clock was put back, is timed anew from now; so are all where no bot could arm its own. By how much the clock went
-- on while nobody looked, those run on that had not run out by the last look.
-- KEYS: 1 armed timers 2 running timers
-- ARGV: 1 lease in microseconds 2 how many to give at most 3 this clock when the caller looked last, 0 for never
--       4 '1' where no bot could arm its own since 5 how far apart two looks are at most 6 how long a timer runs on at
--       least after more, both in microseconds 7.. fields the caller has and keeps
-- Gives the time, how many were made to run on, and the timers.
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local lease_us, last_us, away = tonumber(ARGV[1]), tonumber(ARGV[3]), ARGV[4] == '1'
local lease = string.format('%d', now_us + lease_us)
local stood_still = last_us > 0 and now_us - last_us > tonumber(ARGV[5])
local ran_on = 0

local function due(field, text)
  local due_us, countdown_us = string.match(text, '^(%d+)|(%d+)$')
  -- One that was told to run out now, or that an earlier version armed.
  if not due_us then return tonumber(text) end
  due_us = tonumber(due_us)
  local whole_us, longer_us = now_us + countdown_us, due_us
  if away or due_us > whole_us then
    longer_us = whole_us
  elseif stood_still and due_us > last_us then
    longer_us = math.min(math.max(due_us + now_us - last_us, now_us + ARGV[6]), whole_us)
  end
  if longer_us ~= due_us then
    redis.call('HSET', KEYS[1], field, string.format('%d', longer_us) .. '|' .. countdown_us)
    ran_on = ran_on + 1
  end
  return longer_us
end

for i = 7, #ARGV do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    redis.call('HSET', KEYS[2], ARGV[i], lease)
  end
end
local armed = redis.call('HGETALL', KEYS[1])
for i = 1, #armed, 2 do
  -- Armed anew and out again while it still runs, it waits: orders placed since are not in the run under way.
  if due(armed[i], armed[i + 1]) <= now_us and redis.call('HSETNX', KEYS[2], armed[i], '0') == 1 then
    redis.call('HDEL', KEYS[1], armed[i])
  end
end
local given = {}
local running = redis.call('HGETALL', KEYS[2])
for i = 1, #running, 2 do
  local until_us = tonumber(running[i + 1])
  if until_us > now_us + lease_us then
    -- The clock was put back: a holder that died would have it for as much longer. One that lives says so in time.
    redis.call('HSET', KEYS[2], running[i], lease)
  elseif #given < tonumber(ARGV[2]) and until_us <= now_us then
    redis.call('HSET', KEYS[2], running[i], lease)
    given[#given + 1] = running[i]
  end
end
return {now_us, ran_on, given}
