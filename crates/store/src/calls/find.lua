-- Where a call is; from a dead node it is moved to the one that asks. Keys: buried, owners, taken,
-- the asking node's calls. Arguments: node, prefix of calls, call, format, seconds to keep calls, and
-- to remember what was taken, prefix of what is wanted, seconds to want it. A node that has it and
-- lives is asked to hand it over.
local buried, owners, taken, own = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local node, prefix, call, format = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

if redis.call('SISMEMBER', buried, node) == 1 then
  return { 'nowhere' }
end
for _, owner in ipairs(redis.call('SMEMBERS', owners)) do
  local record = redis.call('HGET', prefix .. owner, call)
  if record then
    if owner == node then
      return { 'own' }
    elseif redis.call('SISMEMBER', buried, owner) == 0 then
      redis.call('SADD', ARGV[7] .. owner, call)
      redis.call('EXPIRE', ARGV[7] .. owner, ARGV[8])
      return { 'held', owner }
    elseif string.byte(record, 1) ~= format then
      return { 'unreadable' }
    end
    local now = redis.call('TIME')[1]
    redis.call('HDEL', prefix .. owner, call)
    redis.call('HSET', own, call, record)
    redis.call('ZADD', taken, now, string.sub(record, 2, 17))
    redis.call('ZREMRANGEBYSCORE', taken, '-inf', now - ARGV[6])
    redis.call('SADD', owners, node)
    redis.call('EXPIRE', own, ARGV[5])
    return { 'taken', record }
  end
end
return { 'nowhere' }
