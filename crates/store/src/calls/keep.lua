-- Writes what has changed of a node's calls, and says who has left some, which of its own others
-- ask for, and what time it is in microseconds. Keys: buried, owners, the node's calls, what is wanted of
-- it, the number of its last word, calls that were given away by the time, epoch. Arguments: node, prefix
-- of calls, seconds to keep them, number of this word, nobody, how long in microseconds what was given
-- away is left to who has asked for it, until when in microseconds this word counts, run id of the server,
-- how long in microseconds one that may have lost something does not know all, then for each change: call,
-- record (empty: it is removed).
local buried, owners, own, wanted, last, given, epoch =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local node, prefix, kept_s, number = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

if redis.call('SISMEMBER', buried, node) == 1 then
  return false
end
-- What was given up and comes late says what is no longer so.
if tonumber(redis.call('GET', last) or 0) >= tonumber(number) then
  return redis.error_reply('LATE a newer word was heard')
end
if now > tonumber(ARGV[7]) then
  return redis.error_reply('LATE nobody waits for this word any more')
end
redis.call('SET', last, number, 'EX', kept_s)
local free = prefix .. ARGV[5]
local is_free = redis.call('EXISTS', free) == 1
-- Whoever else a call is told to be with, it is not, where its taking over may have been lost.
local since = redis.call('HMGET', epoch, 'run', 'since')
local others, told = {}, {}
if since[1] ~= ARGV[8] or now - since[2] < tonumber(ARGV[9]) then
  for _, owner in ipairs(redis.call('SMEMBERS', owners)) do
    if owner ~= node then
      others[#others + 1] = prefix .. owner
    end
  end
end
for at = 10, #ARGV, 2 do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', own, ARGV[at])
  else
    redis.call('HSET', own, ARGV[at], ARGV[at + 1])
    -- A store that has lost who took it gives it to nobody else.
    if is_free and redis.call('HDEL', free, ARGV[at]) == 1 then
      redis.call('ZREM', given, ARGV[at])
    end
    told[#told + 1] = ARGV[at]
  end
end
for _, other in ipairs(others) do
  -- Lua hands over some thousands of arguments at a time at most.
  for at = 1, #told, 1000 do
    redis.call('HDEL', other, unpack(told, at, math.min(at + 999, #told)))
  end
end
local count = redis.call('HLEN', own)
if count > 0 then
  redis.call('SADD', owners, node)
  redis.call('EXPIRE', own, kept_s)
else
  redis.call('SREM', owners, node)
end
local oldest = string.format('%.0f', now - ARGV[6])
-- What an older version has given away is left there as long from now on.
if redis.call('HLEN', free) > redis.call('ZCARD', given) then
  local moment = string.format('%.0f', now)
  for _, call in ipairs(redis.call('HKEYS', free)) do
    redis.call('ZADD', given, 'NX', moment, call)
  end
  redis.call('EXPIRE', given, kept_s)
end
local orphaned = {}
for _, owner in ipairs(redis.call('SMEMBERS', owners)) do
  if redis.call('SISMEMBER', buried, owner) == 1 then
    if redis.call('EXISTS', prefix .. owner) == 0 then
      redis.call('SREM', owners, owner)
    elseif owner ~= ARGV[5] or redis.call('ZCOUNT', given, '-inf', oldest) > 0 then
      orphaned[#orphaned + 1] = owner
    end
  end
end
local asked = redis.call('SMEMBERS', wanted)
if #asked > 0 then
  redis.call('DEL', wanted)
end
return { count, orphaned, asked, now }
