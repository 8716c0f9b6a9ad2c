-- A node gives a call away, to whoever has asked for it, or later to anybody. Keys: buried, owners, the
-- node's calls, those of nobody, the number of its last word, calls that were given away by the time.
-- Arguments: node, nobody, call, record, seconds to keep it, number of this word, until when in
-- microseconds it counts.
local buried, owners, own, free, last, given =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local node, nobody, call, record = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if redis.call('SISMEMBER', buried, node) == 1 then
  return 0
end
-- The node may have gone on with it since.
if tonumber(redis.call('GET', last) or 0) >= tonumber(ARGV[6]) then
  return redis.error_reply('LATE a newer word was heard')
end
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
if now > tonumber(ARGV[7]) then
  return redis.error_reply('LATE nobody waits for this word any more')
end
redis.call('SET', last, ARGV[6], 'EX', ARGV[5])
redis.call('HDEL', own, call)
redis.call('HSET', free, call, record)
redis.call('EXPIRE', free, ARGV[5])
redis.call('ZADD', given, string.format('%.0f', now), call)
redis.call('EXPIRE', given, ARGV[5])
redis.call('SADD', owners, nobody)
redis.call('SADD', buried, nobody)
return 1
