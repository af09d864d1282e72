-- The account's holds and its document, and what may stop an order by now, as they are at one moment.
-- KEYS: 1 document 2 holds 3 audit 4 controls 5 disabled 6 policy
-- ARGV: 1 the version the caller knows, or '' 2 guard key, or ''
archived(KEYS[1], KEYS[3])
local version = redis.call('HGET', KEYS[1], 'version')
local body = ''
if version and version ~= ARGV[1] then body = redis.call('HGET', KEYS[1], 'body') end
return {
  redis.call('HGETALL', KEYS[2]), version or '', body, redis.call('HGETALL', KEYS[4]),
  redis.call('HEXISTS', KEYS[5], ARGV[2]), redis.call('HGET', KEYS[6], 'version') or '',
}
