-- Gives a node the duties it wants that nobody has who is a member, and says whose the others are.
-- Keys: members, buried, duties. Arguments: node, how many are wanted, each with a note of its
-- owner's, then those that the node gives up. Answers with owner and note of each that is wanted; the
-- note of one that changes its owner is that of the one before.
local members, buried, duties = KEYS[1], KEYS[2], KEYS[3]
local node, count = ARGV[1], tonumber(ARGV[2])

if redis.call('SISMEMBER', buried, node) == 1 or redis.call('HEXISTS', members, node) == 0 then
  return false
end
for at = 3 + 2 * count, #ARGV do
  local entry = redis.call('HGET', duties, ARGV[at])
  if entry and string.match(entry, '^[^\n]*') == node then
    redis.call('HDEL', duties, ARGV[at])
  end
end
local answer = {}
for at = 3, 2 + 2 * count, 2 do
  local name, note = ARGV[at], ARGV[at + 1]
  local entry = redis.call('HGET', duties, name)
  local owner, said
  if entry then
    owner, said = string.match(entry, '^([^\n]*)\n(.*)$')
  end
  if owner and owner ~= node and redis.call('HEXISTS', members, owner) == 1 then
    answer[#answer + 1] = owner
    answer[#answer + 1] = said
  else
    redis.call('HSET', duties, name, node .. '\n' .. note)
    answer[#answer + 1] = node
    answer[#answer + 1] = owner ~= node and said or ''
  end
end
return answer
