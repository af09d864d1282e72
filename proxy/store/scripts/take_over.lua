-- Whose the accounts are that a desk of the store has, before a guard takes anything of them up. What is of another
-- guard's account of the same name is forgotten, but for the versions, of which gates may have seen any.
-- An account is told by the guard that had it, or by a digest of its key at the exchange: a guard may change the key, and
-- another one, as after a restore, may have the same account.
-- KEYS: 1 controls 2 whose 3 leases, then of each account: document, where it is put aside, record, and whatever else
-- ARGV: 1 the guard's id 2 how many keys an account has, then of each account: name, digest
local guard, each = ARGV[1], tonumber(ARGV[2])
if redis.call('HGET', KEYS[1], 'guard') ~= guard then return {'TAKEN'} end
local before = redis.call('HGET', KEYS[2], '')
local taken_over = before and before ~= guard
local ours, dropped = {}, {}
for i = 3, #ARGV, 2 do
  local name, digest = ARGV[i], ARGV[i + 1]
  local at = 4 + (i - 3) / 2 * each
  local told = redis.call('HGET', KEYS[2], name) or (taken_over and before .. '|')
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
end
if taken_over then
  for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
    if not ours[string.match(field, '^[^|]*')] then redis.call('HDEL', KEYS[3], field) end
  end
end
redis.call('HSET', KEYS[2], '', guard)
return {'OK', taken_over and 1 or 0, dropped}
