-- Takes nodes out that were started before in the place of one that was started now, and are silent
-- since; says which of them are not, and so are none. Keys: members, buried. Arguments: how long in
-- microseconds they are silent, seconds to remember them, they.
local members, buried, silence = KEYS[1], KEYS[2], tonumber(ARGV[1])

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local alive = {}
for at = 3, #ARGV do
  local entry = redis.call('HGET', members, ARGV[at])
  if entry and now - string.match(entry, '^%S+ (%S+)') < silence then
    alive[#alive + 1] = ARGV[at]
  else
    redis.call('SADD', buried, ARGV[at])
    redis.call('HDEL', members, ARGV[at])
  end
end
redis.call('EXPIRE', buried, ARGV[2])
return alive
