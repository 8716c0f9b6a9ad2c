-- Moves calls of a dead node to another. Keys: buried, owners, taken, the dead node's calls, the
-- other's. Arguments: node, dead node, format, how many, seconds to keep calls, to leave those that
-- nobody reads, and to remember what was taken.
local buried, owners, taken, from, own = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local node, dead, format, max = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

if redis.call('SISMEMBER', buried, node) == 1 or redis.call('SISMEMBER', buried, dead) == 0 then
  return {}
end
local now = redis.call('TIME')[1]
local picked = redis.call('HRANDFIELD', from, max, 'WITHVALUES')
local moved = {}
for i = 1, #picked, 2 do
  local call, record = picked[i], picked[i + 1]
  if string.byte(record, 1) == format then
    redis.call('HDEL', from, call)
    redis.call('HSET', own, call, record)
    redis.call('ZADD', taken, now, string.sub(record, 2, 17) .. dead)
    moved[#moved + 1] = call
    moved[#moved + 1] = record
  end
end
if redis.call('EXISTS', from) == 0 then
  redis.call('SREM', owners, dead)
elseif #moved == 0 and redis.call('TTL', from) > tonumber(ARGV[6]) then
  redis.call('EXPIRE', from, ARGV[6])
end
if #moved > 0 then
  redis.call('SADD', owners, node)
  redis.call('EXPIRE', own, ARGV[5])
  redis.call('ZREMRANGEBYSCORE', taken, '-inf', now - ARGV[7])
end
return moved
