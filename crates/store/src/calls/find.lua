-- Where a call is; from a dead node it is moved to the one that asks. Keys: buried, owners, taken,
-- the asking node's calls, epoch, calls that were given away by the time. Arguments: node, prefix of
-- calls, call, format, seconds to keep calls, and to remember what was taken, prefix of what is wanted
-- (empty: nothing is), seconds to want it, run id of the server, how long in microseconds one that may
-- have lost something does not know all, nobody. A node that has it and lives is asked to hand it over
-- if it is wanted.
local buried, owners, taken, own, epoch, given =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local node, prefix, call, format = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

if redis.call('SISMEMBER', buried, node) == 1 then
  return { 'unknown' }
end
-- Those who have it may not have had the time to say so.
local clock = redis.call('TIME')
local now = clock[1]
local since = redis.call('HMGET', epoch, 'run', 'since')
local age = clock[1] * 1000000 + clock[2] - (since[2] or 0)
local knows_all = since[1] == ARGV[9] and age >= tonumber(ARGV[10])
for _, owner in ipairs(redis.call('SMEMBERS', owners)) do
  local record = redis.call('HGET', prefix .. owner, call)
  if record then
    if owner == node then
      return { 'own' }
    elseif redis.call('SISMEMBER', buried, owner) == 0 then
      if ARGV[7] ~= '' then
        redis.call('SADD', ARGV[7] .. owner, call)
        redis.call('EXPIRE', ARGV[7] .. owner, ARGV[8])
      end
      return { 'held', owner }
    elseif not knows_all then
      return { 'unknown' }
    elseif string.byte(record, 1) ~= format then
      return { 'unreadable' }
    end
    redis.call('HDEL', prefix .. owner, call)
    if owner == ARGV[11] then
      redis.call('ZREM', given, call)
    end
    redis.call('HSET', own, call, record)
    redis.call('ZADD', taken, now, string.sub(record, 2, 17) .. owner)
    redis.call('ZREMRANGEBYSCORE', taken, '-inf', now - ARGV[6])
    redis.call('SADD', owners, node)
    redis.call('EXPIRE', own, ARGV[5])
    return { 'taken', record }
  end
end
return { knows_all and 'nowhere' or 'unknown' }
