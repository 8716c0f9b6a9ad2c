-- A node gives a call away: whoever asks first has it. Keys: buried, owners, the node's calls, those
-- of nobody. Arguments: node, nobody, call, record, seconds to keep it.
local buried, owners, own, free = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local node, nobody, call, record = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if redis.call('SISMEMBER', buried, node) == 1 then
  return 0
end
redis.call('HDEL', own, call)
redis.call('HSET', free, call, record)
redis.call('EXPIRE', free, ARGV[5])
redis.call('SADD', owners, nobody)
redis.call('SADD', buried, nobody)
return 1
