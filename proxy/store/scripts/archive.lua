-- Shared by the scripts that hand out documents. A version of an account, or of its record, goes to the audit when it is
-- first looked at: decisions can name only what was looked at, and of most versions nobody ever asks.
local function archived(document, audit)
  local known = redis.call('HMGET', document, 'version', 'archived')
  if not known[1] or known[1] == known[2] then return end
  local record = redis.call('HMGET', document, 'head', 'body', 'tail')
  if record[1] then
    redis.call('XADD', audit, '*', 'r', table.concat(record))
    redis.call('HSET', document, 'archived', known[1])
  end
end
