-- Tell what one process heard of the venue's counters, and hear what all have heard; the published budget if it is new.
-- Of a counter the newest window stands, and in it the highest count: the venue's only grow until its window ends.
-- The silences that the venue demands are told beside them, as proxy/budget/silence.py says; their ends are kept by
-- this server's clock alone. One that no process has kept for KEPT_MS is forgotten; who still keeps it tells it again.
-- That the venue has ended one is told for PROOF_MS, the longest ban, also to whoever was cut off meanwhile and keeps it.
-- Of a demand and such a proof the later stands, by when it was heard or begun (TOLD), whichever comes here first; a
-- demand that is news is of now.
-- KEYS: 1 counters 2 the published budget 3 silences, each as END:STATUS:TOLD:KEPT
-- ARGV: 1 the budget's version as it is known; then for each counter or silence: its name, and three numbers: a
-- counter's two and a 0, or a silence's three
local KEPT_MS, PROOF_MS = 10000, 259200000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function read_silence(text)
  local ends, status, told, kept = string.match(text or '', '^(%d+):(%d+):(%d+):(%d+)$')
  if not ends then return nil end
  local silence = {ends = tonumber(ends), status = tonumber(status), told = tonumber(told), kept = tonumber(kept)}
  if now < silence.told then return nil end  -- This server's clock was put back: nobody knows how much is left.
  if silence.status == 0 then return now - silence.kept <= PROOF_MS and silence or nil end
  return now < silence.ends and now - silence.kept <= KEPT_MS and silence or nil
end

local function keep_silence(name, ends, status, told)
  redis.call('HSET', KEYS[3], name, string.format('%d:%d:%d:%d', ends, status, told, now))
end

local function tell_silence(name, left, status, ago)
  local known = read_silence(redis.call('HGET', KEYS[3], name))
  local lasts, ends, told = known and known.status > 0, now + left, now - ago
  if status == 0 then
    -- What was demanded after that request was begun, it says nothing of.
    if not known or known.told <= told then keep_silence(name, 0, 0, told) end
  elseif left == 0 then
    if lasts then keep_silence(name, known.ends, known.status, known.told) end
  elseif lasts then
    if known.ends > ends then ends, status = known.ends, known.status end
    keep_silence(name, ends, status, math.max(told, known.told))
  elseif not known or ago == 0 or known.told < told then
    keep_silence(name, ends, status, told)
  end
end

local function tell_counter(name, ours, heard)
  local known = redis.call('HGET', KEYS[1], name) or '-1:0'
  local window, count = string.match(known, '^(-?%d+):(%d+)$')
  if ours > tonumber(window) or (ours == tonumber(window) and heard > tonumber(count)) then
    redis.call('HSET', KEYS[1], name, string.format('%d:%d', ours, heard))
  end
end

for place = 2, #ARGV, 4 do
  local tell = string.sub(ARGV[place], 1, 8) == 'silence-' and tell_silence or tell_counter
  tell(ARGV[place], tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2]), tonumber(ARGV[place + 3]))
end
redis.call('EXPIRE', KEYS[1], 120)
redis.call('EXPIRE', KEYS[3], PROOF_MS / 1000)

local silences, stored = {}, redis.call('HGETALL', KEYS[3])
for place = 1, #stored, 2 do
  local silence = read_silence(stored[place + 1])
  if silence then
    silences[#silences + 1] = stored[place]
    silences[#silences + 1] = math.max(0, silence.ends - now)
    silences[#silences + 1] = silence.status
    silences[#silences + 1] = now - silence.told
  else
    redis.call('HDEL', KEYS[3], stored[place])
  end
end
local version = redis.call('HGET', KEYS[2], 'version') or ''
local body = ''
if version ~= ARGV[1] then body = redis.call('HGET', KEYS[2], 'body') or '' end
return {redis.call('HGETALL', KEYS[1]), version, body, silences}
