-- Writes what has changed of a node's calls, and says who has left some and which of its own others
-- ask for. Keys: buried, owners, the node's calls, what is wanted of it, the number of its last word.
-- Arguments: node, prefix of calls, seconds to keep them, number of this word, then for each change:
-- call, record (empty: it is removed).
local buried, owners, own, wanted, last = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local node, prefix, kept_s, number = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

if redis.call('SISMEMBER', buried, node) == 1 then
  return false
end
-- What was given up and comes late says what is no longer so.
if tonumber(redis.call('GET', last) or 0) >= tonumber(number) then
  return redis.error_reply('LATE a newer word was heard')
end
redis.call('SET', last, number, 'EX', kept_s)
for at = 5, #ARGV, 2 do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', own, ARGV[at])
  else
    redis.call('HSET', own, ARGV[at], ARGV[at + 1])
  end
end
local count = redis.call('HLEN', own)
if count > 0 then
  redis.call('SADD', owners, node)
  redis.call('EXPIRE', own, kept_s)
else
  redis.call('SREM', owners, node)
end
local orphaned = {}
for _, owner in ipairs(redis.call('SMEMBERS', owners)) do
  if redis.call('SISMEMBER', buried, owner) == 1 then
    if redis.call('EXISTS', prefix .. owner) == 1 then
      orphaned[#orphaned + 1] = owner
    else
      redis.call('SREM', owners, owner)
    end
  end
end
local asked = redis.call('SMEMBERS', wanted)
if #asked > 0 then
  redis.call('DEL', wanted)
end
return { count, orphaned, asked }
