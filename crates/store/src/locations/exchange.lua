-- One exchange; see the port. Keys: buried, era, number of the last portion, portions, nodes, the
-- node's shelf, the number of its last word. Arguments: node, its description, a name for a new era, the
-- last portion that the node has heard (-1: none), the most it takes, how many are kept, lifetime of the
-- shelf in seconds, number of this word, then for each change: what to do, key, value; last the run id of
-- this server. To do: 'save' puts it on the shelf and tells it, 'end' takes it off and tells it, 'drop'
-- only takes it off.
local buried, eras, last, portions, nodes, shelf, word = unpack(KEYS)
local node, description, new_era = ARGV[1], ARGV[2], ARGV[3]
local heard, most, kept, lifetime = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]

if redis.call('SISMEMBER', buried, node) == 1 then
  return false
end
-- What was given up and comes late says what is no longer so.
if tonumber(redis.call('GET', word) or 0) >= tonumber(ARGV[8]) then
  return redis.error_reply('LATE a newer word was heard')
end
redis.call('SET', word, ARGV[8], 'EX', lifetime)

-- A name, and the run of the server that gave it. Whoever takes over gives the next: a server that had
-- been master before may have other memories of then.
local run = ARGV[#ARGV]
local era, given_by = string.match(redis.call('GET', eras) or '', '^(%S+) (%S+)$')
if given_by ~= run then
  local beginning, number = string.match(era or '', '^(%S+)%.(%d+)$')
  if beginning then
    era = beginning .. '.' .. string.format('%.0f', number + 1)
  else
    era = new_era .. '.1'
  end
  redis.call('SET', eras, era .. ' ' .. run)
end
redis.call('HSET', nodes, node, description)
-- Each node tells some portions a second: more of them, and as much has to be kept for each.
kept = string.format('%.0f', kept * math.min(math.max(redis.call('HLEN', nodes) / 2, 1), 16))

local told = {}
for at = 9, #ARGV - 1, 3 do
  local what, key, value = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if what == 'save' then
    redis.call('HSET', shelf, key, value)
  else
    redis.call('HDEL', shelf, key)
  end
  if what ~= 'drop' then
    told[#told + 1] = 'c'
    told[#told + 1] = value
  end
end
if #told > 0 then
  local number = redis.call('INCR', last)
  redis.call('XADD', portions, 'MAXLEN', kept, number .. '-1', 'n', node, unpack(told))
end
redis.call('EXPIRE', shelf, lifetime)

local head = tonumber(redis.call('GET', last) or 0)
local changes = {}
if heard >= 0 and heard < head then
  changes = redis.call('XRANGE', portions, string.format('%.0f', heard + 1), '+', 'COUNT', most)
end
local known = redis.call('HGETALL', nodes)
local list = {}
for i = 1, #known, 2 do
  list[#list + 1] = known[i]
  list[#list + 1] = known[i + 1]
  list[#list + 1] = tostring(redis.call('SISMEMBER', buried, known[i]))
end
return { era, head, changes, list }
