-- The account's holds and its document, as they are at one moment.
-- KEYS: 1 document 2 holds 3 audit
-- ARGV: 1 the version the caller knows, or ''
archived(KEYS[1], KEYS[3])
local version = redis.call('HGET', KEYS[1], 'version')
local body = ''
if version and version ~= ARGV[1] then body = redis.call('HGET', KEYS[1], 'body') end
return {redis.call('HGETALL', KEYS[2]), version or '', body}
