-- Writes what has changed of a node's calls, and says who has left some and which of its own others
-- ask for. Keys: buried, owners, the node's calls, what is wanted of it. Arguments: node, prefix of calls, seconds to keep them, then for each change: call,
-- record (empty: it is removed).
local buried, owners, own, wanted = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local node, prefix, kept_s = ARGV[1], ARGV[2], ARGV[3]

if redis.call('SISMEMBER', buried, node) == 1 then
  return false
end
for at = 4, #ARGV, 2 do
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
