-- Takes a node out of the cluster, for good. Keys: members, buried. Arguments: node, its last beat
-- (empty: whatever it is), seconds to remember it.
local members, buried = KEYS[1], KEYS[2]
local node, beat = ARGV[1], ARGV[2]

local entry = redis.call('HGET', members, node)
if beat ~= '' and (not entry or string.match(entry, '^%S+ (%S+)') ~= beat) then
  -- It has gone already, or has been heard since it was taken for dead.
  return 0
end
redis.call('SADD', buried, node)
redis.call('EXPIRE', buried, ARGV[3])
return redis.call('HDEL', members, node)
