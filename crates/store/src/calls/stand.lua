-- Whether a node is still itself after a pause; then it counts as heard now, so that nobody who has
-- missed it until now can take it out. A server that may have lost who was taken out does not say.
-- Keys: members, buried, epoch. Arguments: node, run id of the server, how long in microseconds one
-- that may have lost something does not know all.
local members, buried, epoch, node = KEYS[1], KEYS[2], KEYS[3], ARGV[1]

local clock = redis.call('TIME')
local moment = clock[1] * 1000000 + clock[2]
local since = redis.call('HMGET', epoch, 'run', 'since')
local knows_all = since[1] == ARGV[2] and moment - since[2] >= tonumber(ARGV[3])
if redis.call('SISMEMBER', buried, node) == 1 or not knows_all then
  return 0
end
local entry = redis.call('HGET', members, node)
if entry then
  local address, number = string.match(entry, '^(%S+) %S+ (%S+)$')
  local now = string.format('%.0f', moment)
  redis.call('HSET', members, node, address .. ' ' .. now .. ' ' .. number)
end
return 1
