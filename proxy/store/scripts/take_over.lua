-- Whose the accounts are that a desk of the store has, before a guard takes anything of them up. What is of another
-- guard's account of the same name is forgotten, but for the versions, of which gates may have seen any.
-- An account is told by the guard that had it, or by a digest of its key at the exchange: a guard may change the key, and
-- another one, as after a restore, may have the same account.
-- No bot could renew a lease while another guard had the desk, also one that ended before it took anything over: those
-- that are kept and of which nothing has followed run for one more time to live. All of it here, for who was told of it
-- once may end before it has done anything.
-- KEYS: 1 controls 2 whose 3 leases, then of each account: document, where it is put aside, record, and whatever else
-- ARGV: 1 the guard's id, then of each account: name, digest, how many keys it has
local guard = ARGV[1]
if redis.call('HGET', KEYS[1], 'guard') ~= guard then return {'TAKEN'} end
local before = redis.call('HGET', KEYS[2], '')
local anothers = before and before ~= guard
local left = redis.call('HDEL', KEYS[2], '|left') == 1
local taken_over = anothers or left
local ours, dropped = {}, {}
local at = 4
for i = 2, #ARGV, 3 do
  local name, digest, each = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local told = redis.call('HGET', KEYS[2], name) or (anothers and before .. '|')
  local whose, account
  if told then whose, account = string.match(told, '^(.-)|(.*)$') end
  if not told or whose == guard or account == digest then
    ours[name] = true
  else
    local document, aside, record = KEYS[at], KEYS[at + 1], KEYS[at + 2]
    local version = redis.call('HGET', document, 'version') or redis.call('HGET', aside, 'version')
    local recorded = redis.call('HMGET', record, 'version', 'above')
    for key = at, at + each - 1 do redis.call('DEL', KEYS[key]) end
    if version then redis.call('HSET', aside, 'version', version) end
    if recorded[1] or recorded[2] then redis.call('HSET', record, 'above', recorded[1] or recorded[2]) end
    dropped[#dropped + 1] = name
  end
  redis.call('HSET', KEYS[2], name, guard .. '|' .. digest)
  at = at + each
end
if taken_over then
  local clock = redis.call('TIME')
  local leases = redis.call('HGETALL', KEYS[3])
  for i = 1, #leases, 2 do
    local field, text = leases[i], leases[i + 1]
    local ttl_us = string.match(text, '^%d+|(%d+)|0$')
    if not ours[string.match(field, '^[^|]*')] then
      redis.call('HDEL', KEYS[3], field)
    elseif ttl_us then
      local until_us = string.format('%d', clock[1] * 1000000 + clock[2] + ttl_us)
      redis.call('HSET', KEYS[3], field, until_us .. '|' .. ttl_us .. '|0')
    end
  end
end
redis.call('HSET', KEYS[2], '', guard)
return {'OK', taken_over and 1 or 0, dropped}
