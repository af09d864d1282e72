-- What a store tells that may have lost something is not believed: no gate finds an account, until one is published anew.
-- KEYS: 1 epoch, then per account its document and where that is put aside
redis.call('DEL', KEYS[1])
for i = 2, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAME', KEYS[i], KEYS[i + 1]) end
end
return 1
