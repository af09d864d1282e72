-- What became of a hold, together with the audit records that say so.
-- KEYS: 1 holds 2 audit 3 unreported
-- ARGV: 1 hold id 2 RELEASE, ACCEPTED, UNKNOWN, LOST or KEEP 3 the orders the venue took or '' 4 number of unreported
--       orders 5 how long to keep those, s, then per unreported order: its field and body; then audit records
-- LOST is UNKNOWN of a hold whose gate says no more. One that was settled since that was seen is not lost.
-- One that another version of the guard has written anew meanwhile, and that cannot be read here, can only be released.
local state = redis.call('HGET', KEYS[1], ARGV[1])
local sequence, before, at, bot, body = string.match(state or '', HOLD)
local action = ARGV[2]
if action == 'LOST' then
  if before ~= 'PENDING' then return 0 end
  action = 'UNKNOWN'
elseif before == 'UNKNOWN' and action ~= 'KEEP' then
  -- It was taken for lost, and its gate says after all what it heard: of these its bot has the answer.
  local kept, named = redis.call('HGETALL', KEYS[3]), '"hold_id":"' .. ARGV[1] .. '"'
  for i = 1, #kept, 2 do
    if string.find(kept[i + 1], named, 1, true) then redis.call('HDEL', KEYS[3], kept[i]) end
  end
end
if state then
  if action == 'RELEASE' then
    redis.call('HDEL', KEYS[1], ARGV[1])
  elseif action ~= 'KEEP' and sequence then
    local clock = redis.call('TIME')
    local hold = {
      sequence = sequence, status = action, bot = bot,
      at = string.format('%d', clock[1] * 1000000 + clock[2]),
    }
    -- An order that nobody knows the fate of was sent after its hold was made: what the venue has of before is another.
    if action == 'UNKNOWN' then hold.at = at end
    -- Mostly the venue took all, and the stream has told of none yet.
    local whole = ARGV[3] == '' or ARGV[3] == body
    local held = not whole and read_hold(ARGV[1], state)
    if whole then
      redis.call('HSET', KEYS[1], ARGV[1], table.concat({sequence, hold.status, hold.at, bot, body}, '|'))
    elseif held then
      -- The stream may have told of some of these orders already: what is no longer held is not held again.
      local still, kept = {}, {}
      for _, order in ipairs(cjson.decode(ARGV[3])) do
        local name = fingerprint(order)
        still[name] = (still[name] or 0) + 1
      end
      for _, order in ipairs(held.orders) do
        local name = fingerprint(order)
        if (still[name] or 0) > 0 then
          still[name] = still[name] - 1
          kept[#kept + 1] = order
        end
      end
      put_hold(KEYS[1], ARGV[1], hold, kept)
    end
  end
end
local records = 6 + 2 * tonumber(ARGV[4])
for i = 6, records - 1, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  redis.call('EXPIRE', KEYS[3], ARGV[5])
end
for i = records, #ARGV do
  redis.call('XADD', KEYS[2], '*', 'r', ARGV[i])
end
return state and 1 or 0
