-- One round trip per order: controls, key state, rate tokens, hold, write-ahead audit entry, newer documents.
-- Everything a decision reads and everything it reserves happens here, atomically, so that no two orders see the
-- same room. Time is the store's own, so that holds and surveys of several hosts have one order.
--
-- KEYS: 1 controls 2 disabled 3 holds 4 sequence 5 audit 6 scores 7 seen 8 unreported 9 void 10 attempts 11 overrides
--       12.. documents, then buckets
-- ARGV: 1 hold id 2 bot 3 guard key 4 messages to spend 5 hold body or '' 6 write-ahead record or ''
--       7 replay window ms or 0 8 audit length max 9 holds max 10 account 11 attempts max
--       12 how far back attempts are wanted, microseconds 13 number of documents 14.. cached versions,
--       then per bucket: inflow per second, burst, tighten
local documents = tonumber(ARGV[13])
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]

-- A gate that waited too long has said that it will not act on this; see void.lua.
if redis.call('EXISTS', KEYS[9]) == 1 then
  return {'VOID'}
end
-- A second arrival of the same signed request is answered before it can reserve anything.
if tonumber(ARGV[7]) > 0 then
  if not redis.call('SET', KEYS[7], ARGV[1], 'NX', 'PX', ARGV[7]) then
    return {'REPLAYED'}
  end
end
if ARGV[6] ~= '' then
  if redis.call('XLEN', KEYS[5]) >= tonumber(ARGV[8]) then
    return {'AUDIT_FULL'}
  end
  redis.call('XADD', KEYS[5], '*', 'r', ARGV[6])
end

-- A score is "0.1234|why".
local scores = redis.call('HMGET', KEYS[6], 'bot:' .. ARGV[2], 'account:' .. ARGV[10], 'desk')
local score = tonumber(string.match(scores[1] or '0', '^[^|]*'))
local balances = {}
local spend = tonumber(ARGV[4])
local enough = true
local levels = {}
for i = 12 + documents, #KEYS do
  local at = 14 + documents + (i - 12 - documents) * 3
  local rate, burst, tighten = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local kept = math.min(burst * tighten * score, burst - 1)
  local state = redis.call('HMGET', KEYS[i], 'tokens', 'us')
  local tokens = burst
  if state[1] then
    local elapsed = math.max(0, now_us - tonumber(state[2])) / 1000000
    tokens = math.min(burst, tonumber(state[1]) + elapsed * rate * (1 - tighten * score))
  end
  balances[#balances + 1] = string.format('%.6f', tokens)
  levels[#levels + 1] = {KEYS[i], tokens, burst, rate}
  if tokens < spend + kept then enough = false end
end
for _, level in ipairs(levels) do
  local left = level[2]
  if spend > 0 and enough then left = left - spend end
  redis.call('HSET', level[1], 'tokens', string.format('%.6f', left), 'us', string.format('%d', now_us))
  redis.call('PEXPIRE', level[1], math.ceil(level[3] / level[4] * 1000) + 60000)
end

-- Holds made before this one; read before ours is written.
local others = redis.call('HGETALL', KEYS[3])
local sequence = 0
if ARGV[5] ~= '' then
  -- Orders nobody asks about are bounded like holds: a bot with that many lost answers opens nothing new.
  if math.max(#others / 2, redis.call('HLEN', KEYS[8])) >= tonumber(ARGV[9]) then
    return {'HOLDS_FULL'}
  end
  sequence = redis.call('INCR', KEYS[4])
  redis.call('HSET', KEYS[3], ARGV[1], table.concat({sequence, 'PENDING', string.format('%d', now_us), ARGV[2], ARGV[5]}, '|'))
end

-- Earlier attempts of the bot, oldest first, as far back as they are asked for; read before ours is written.
local attempts = {}
if tonumber(ARGV[12]) > 0 then
  local since = now_us - tonumber(ARGV[12])
  for _, attempt in ipairs(redis.call('LRANGE', KEYS[10], 0, -1)) do
    if tonumber(string.match(attempt, '^(%d+)')) >= since then attempts[#attempts + 1] = attempt end
  end
end
if ARGV[5] ~= '' and ARGV[6] ~= '' then
  redis.call('RPUSH', KEYS[10], table.concat({string.format('%d', now_us), ARGV[1], 'TRIED', ARGV[5]}, '|'))
  redis.call('LTRIM', KEYS[10], -tonumber(ARGV[11]), -1)
  redis.call('EXPIRE', KEYS[10], 86400)
end

local newer = {}
for i = 1, documents do
  local key = KEYS[11 + i]
  archived(key, KEYS[5])
  local version = redis.call('HGET', key, 'version')
  if not version then
    newer[i] = {'', ''}
  elseif version == ARGV[13 + i] then
    newer[i] = {version, ''}
  else
    newer[i] = {version, redis.call('HGET', key, 'body')}
  end
end
return {
  'OK', string.format('%d', now_us), sequence, redis.call('HGETALL', KEYS[1]),
  redis.call('HEXISTS', KEYS[2], ARGV[3]), {scores[1] or '', scores[2] or '', scores[3] or ''}, balances, others,
  newer, redis.call('HVALS', KEYS[8]), attempts, redis.call('HVALS', KEYS[11]),
}
