-- What a store tells that may have lost something is not believed: no gate finds an account, until one is published anew.
-- That nobody has gone through an account's holds since is marked: the epoch is of all accounts, and one may be begun first.
-- KEYS: 1 epoch, then per account its document, where that is put aside, and the mark
redis.call('DEL', KEYS[1])
for i = 2, #KEYS, 3 do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAME', KEYS[i], KEYS[i + 1]) end
  redis.call('SET', KEYS[i + 2], '1')
end
return 1
