-- Shared by the scripts that hand out documents. A version of an account goes to the audit when it is first looked at:
-- decisions can name only what was looked at, and of most versions nobody ever asks.
local function archived(document, audit)
  local state = redis.call('HMGET', document, 'version', 'archived', 'head', 'body', 'tail')
  if state[1] and state[3] and state[2] ~= state[1] then
    redis.call('XADD', audit, '*', 'r', state[3] .. state[4] .. state[5])
    redis.call('HSET', document, 'archived', state[1])
  end
end
