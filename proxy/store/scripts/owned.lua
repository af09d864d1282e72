-- What a guard writes to its desk, in one step, unless another guard has the desk.
-- KEYS: 1 controls 2 what is written to
-- ARGV: 1 the guard's id, empty for who is of none; then of each command: its name, how many arguments follow, those
local owner = redis.call('HGET', KEYS[1], 'guard')
if ARGV[1] ~= '' and owner and owner ~= ARGV[1] then return {'TAKEN'} end
local reply
local at = 2
while at <= #ARGV do
  local last = at + 1 + ARGV[at + 1]
  reply = redis.call(ARGV[at], KEYS[2], unpack(ARGV, at + 2, last))
  at = last + 1
end
return {'OK', reply}
