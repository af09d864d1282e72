-- Of these holds nobody knows the times any more, which is 0: another server's clock took them. One that has changed
-- since it was read was timed by this server's. The account's holds are in doubt no more.
-- KEYS: 1 holds 2 the account's mark of doubt
-- ARGV: of each hold its id and the time that was read
for i = 1, #ARGV, 2 do
  local state = redis.call('HGET', KEYS[1], ARGV[i])
  if state then
    local sequence, status, at, bot, body = string.match(state, HOLD)
    if at == ARGV[i + 1] then
      redis.call('HSET', KEYS[1], ARGV[i], table.concat({sequence, status, '0', bot, body}, '|'))
    end
  end
end
redis.call('DEL', KEYS[2])
return 1
