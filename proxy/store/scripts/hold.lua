-- One round trip per order: controls, key state, rate tokens, hold, write-ahead audit entry, newer documents.
-- Everything a decision reads and everything it reserves happens here, atomically, so that no two orders see the
-- same room. Time is the store's own, so that holds and surveys of several hosts have one order.
--
-- KEYS: 1 controls 2 disabled 3 holds 4 sequence 5 audit 6 scores 7 seen 8 unreported 9 void 10 attempts 11 overrides
--       12.. documents, then buckets
-- ARGV: 1 hold id 2 bot 3 guard key 4 hold body or '' 5 write-ahead record or '' 6 replay window ms or 0
--       7 audit length max 8 holds max 9 account 10 attempts max
--       11 how the newest attempt begins that the gate knows, '' for none, '-' when none are wanted
--       12 number of documents 13.. cached versions,
--       then per bucket: inflow per second, burst, tighten, tokens to spend, tokens to drain, 1 if its rule refuses,
--       1 if it is this bot's own
local EXPIRY_MS_MAX = 1e15 -- What is longer would not be written as a whole number.
local NEW_ATTEMPTS = 8 -- More than that since the gate last asked: all are told.
local documents = tonumber(ARGV[12])
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]

-- A gate that waited too long has said that it will not act on this; see void.lua.
if redis.call('EXISTS', KEYS[9]) == 1 then
  return {'VOID'}
end
-- A second arrival of the same signed request is answered before it can reserve anything.
if tonumber(ARGV[6]) > 0 then
  if not redis.call('SET', KEYS[7], ARGV[1], 'NX', 'PX', ARGV[6]) then
    return {'REPLAYED'}
  end
end
if ARGV[5] ~= '' then
  if redis.call('XLEN', KEYS[5]) >= tonumber(ARGV[7]) then
    return {'AUDIT_FULL'}
  end
  redis.call('XADD', KEYS[5], '*', 'r', ARGV[5])
end

-- A score is "0.1234|why".
local scores = redis.call('HMGET', KEYS[6], 'bot:' .. ARGV[2], 'account:' .. ARGV[9], 'desk')
local score = tonumber(string.match(scores[1] or '0', '^[^|]*'))
local balances = {}
local enough = true
local levels = {}
for i = 12 + documents, #KEYS do
  local at = 13 + documents + (i - 12 - documents) * 7
  local rate, burst, tighten = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local spend, drain, refuses = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), ARGV[at + 5] == '1'
  -- Who shares a bucket is not slowed by another's score.
  local flow = rate
  if ARGV[at + 6] == '1' then flow = rate * (1 - tighten * score) end
  local kept = math.min(burst * tighten * score, burst - 1)
  local state = redis.call('HMGET', KEYS[i], 'tokens', 'us')
  local tokens = burst
  if state[1] then
    local elapsed = math.max(0, now_us - tonumber(state[2])) / 1000000
    tokens = math.min(burst, tonumber(state[1]) + elapsed * flow)
  end
  -- What never waits is counted first: the request's own entries are judged on what it leaves.
  tokens = math.max(0, tokens - drain)
  balances[#balances + 1] = string.format('%.6f', tokens)
  -- A bucket whose rule only reports is charged by its own balance: an empty one must not spare those that refuse.
  local covered = spend == 0 or tokens >= spend + kept
  levels[#levels + 1] = {KEYS[i], tokens, burst, flow, spend, refuses, covered}
  if refuses and not covered then enough = false end
end
for _, level in ipairs(levels) do
  local left = level[2]
  local charged = level[7]
  if level[6] then charged = enough end
  if charged then left = left - level[5] end
  redis.call('HSET', level[1], 'tokens', string.format('%.6f', left), 'us', string.format('%d', now_us))
  -- A bucket may be forgotten once it is full again, and one into which nothing flows is never full.
  if level[4] > 0 then
    redis.call('PEXPIRE', level[1], math.min(math.ceil(level[3] / level[4] * 1000) + 60000, EXPIRY_MS_MAX))
  else
    redis.call('PERSIST', level[1])
  end
end

-- Holds made before this one; read before ours is written.
local others = redis.call('HGETALL', KEYS[3])
local sequence = 0
if ARGV[4] ~= '' then
  -- Orders nobody asks about are bounded like holds: a bot with that many lost answers opens nothing new.
  if math.max(#others / 2, redis.call('HLEN', KEYS[8])) >= tonumber(ARGV[8]) then
    return {'HOLDS_FULL'}
  end
  sequence = redis.call('INCR', KEYS[4])
  redis.call('HSET', KEYS[3], ARGV[1], table.concat({sequence, 'PENDING', string.format('%d', now_us), ARGV[2], ARGV[4]}, '|'))
end

-- Earlier attempts of the bot, oldest first; read before ours is written. Mostly the gate knows all but the last few.
local attempts, follows = {}, 0
if ARGV[11] ~= '-' then
  if ARGV[11] ~= '' then
    local last = redis.call('LRANGE', KEYS[10], -NEW_ATTEMPTS, -1)
    for i = #last, 1, -1 do
      if string.sub(last[i], 1, #ARGV[11]) == ARGV[11] then
        follows = 1
        for j = i + 1, #last do attempts[#attempts + 1] = last[j] end
        break
      end
    end
  end
  if follows == 0 then attempts = redis.call('LRANGE', KEYS[10], 0, -1) end
end
if ARGV[4] ~= '' and ARGV[5] ~= '' then
  redis.call('RPUSH', KEYS[10], table.concat({string.format('%d', now_us), ARGV[1], 'TRIED', ARGV[4]}, '|'))
  redis.call('LTRIM', KEYS[10], -tonumber(ARGV[10]), -1)
  redis.call('EXPIRE', KEYS[10], 86400)
end

local newer = {}
for i = 1, documents do
  local key = KEYS[11 + i]
  if i <= 2 then archived(key, KEYS[5]) end -- The account and its record, which decisions name by version.
  local version = redis.call('HGET', key, 'version')
  if not version then
    newer[i] = {'', ''}
  elseif version == ARGV[12 + i] then
    newer[i] = {version, ''}
  else
    newer[i] = {version, redis.call('HGET', key, 'body')}
  end
end
return {
  'OK', sequence, redis.call('HGETALL', KEYS[1]),
  redis.call('HEXISTS', KEYS[2], ARGV[3]), {scores[1] or '', scores[2] or '', scores[3] or ''}, balances, others,
  newer, redis.call('HVALS', KEYS[8]), {follows, attempts}, redis.call('HVALS', KEYS[11]), string.format('%d', now_us),
}
