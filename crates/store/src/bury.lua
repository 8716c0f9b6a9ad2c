-- Takes a node out of the cluster, for good. Keys: members, buried, those that have just died. Arguments:
-- node, its last beat (empty: whatever it is), seconds to remember it, whether it may have permitted
-- something a moment ago ('1': what it held is held a while longer).
local members, buried, dying = KEYS[1], KEYS[2], KEYS[3]
local node, beat = ARGV[1], ARGV[2]

local entry = redis.call('HGET', members, node)
if beat ~= '' and (not entry or string.match(entry, '^%S+ (%S+)') ~= beat) then
  -- It has gone already, or has been heard since it was taken for dead.
  return 0
end
redis.call('SADD', buried, node)
redis.call('EXPIRE', buried, ARGV[3])
if ARGV[4] == '1' then
  local clock = redis.call('TIME')
  redis.call('ZADD', dying, string.format('%.0f', clock[1] * 1000000 + clock[2]), node)
  redis.call('EXPIRE', dying, 60)
end
return redis.call('HDEL', members, node)
