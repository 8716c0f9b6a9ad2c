-- Moves calls of a dead node to another; none, and nothing is said, while the server may have lost whose
-- they are. Keys: buried, owners, taken, the dead node's calls, the other's, calls that were given away by
-- the time, epoch. Arguments: node, dead node, format, how many, seconds to keep calls, to leave those
-- that nobody reads, and to remember what was taken, nobody, how long in microseconds what was given away
-- is left to who has asked for it, run id of the server, how long in microseconds one that may have lost
-- something does not know all.
local buried, owners, taken, from, own, given, epoch =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local node, dead, format, max = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

if redis.call('SISMEMBER', buried, node) == 1 or redis.call('SISMEMBER', buried, dead) == 0 then
  return {}
end
local clock = redis.call('TIME')
local now = clock[1]
local since = redis.call('HMGET', epoch, 'run', 'since')
local age = clock[1] * 1000000 + clock[2] - (since[2] or 0)
if since[1] ~= ARGV[10] or age < tonumber(ARGV[11]) then
  return false
end
local picked = {}
if dead == ARGV[8] then
  local oldest = string.format('%.0f', clock[1] * 1000000 + clock[2] - ARGV[9])
  for _, call in ipairs(redis.call('ZRANGE', given, '-inf', oldest, 'BYSCORE', 'LIMIT', 0, max)) do
    local record = redis.call('HGET', from, call)
    if record then
      picked[#picked + 1] = call
      picked[#picked + 1] = record
    else
      redis.call('ZREM', given, call)
    end
  end
else
  picked = redis.call('HRANDFIELD', from, max, 'WITHVALUES')
end
local moved = {}
for i = 1, #picked, 2 do
  local call, record = picked[i], picked[i + 1]
  if string.byte(record, 1) == format then
    redis.call('HDEL', from, call)
    if dead == ARGV[8] then
      redis.call('ZREM', given, call)
    end
    redis.call('HSET', own, call, record)
    redis.call('ZADD', taken, now, string.sub(record, 2, 17) .. dead)
    moved[#moved + 1] = call
    moved[#moved + 1] = record
  end
end
if redis.call('EXISTS', from) == 0 then
  redis.call('SREM', owners, dead)
elseif #picked > 0 and #moved == 0 and redis.call('TTL', from) > tonumber(ARGV[6]) then
  redis.call('EXPIRE', from, ARGV[6])
end
if #moved > 0 then
  redis.call('SADD', owners, node)
  redis.call('EXPIRE', own, ARGV[5])
  redis.call('ZREMRANGEBYSCORE', taken, '-inf', now - ARGV[7])
end
return moved
