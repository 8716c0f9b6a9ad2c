-- Whether a node is still itself after a pause; then it counts as heard now, so that nobody who has
-- missed it until now can take it out. Keys: members, buried. Arguments: node.
local members, buried, node = KEYS[1], KEYS[2], ARGV[1]

if redis.call('SISMEMBER', buried, node) == 1 then
  return 0
end
local entry = redis.call('HGET', members, node)
if entry then
  local address, number = string.match(entry, '^(%S+) %S+ (%S+)$')
  local clock = redis.call('TIME')
  local now = string.format('%.0f', clock[1] * 1000000 + clock[2])
  redis.call('HSET', members, node, address .. ' ' .. now .. ' ' .. number)
end
return 1
