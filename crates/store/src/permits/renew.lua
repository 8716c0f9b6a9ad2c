-- Renews a node's claims; see the port. One script, so that nothing comes between looking and
-- granting. Keys: members, buried, epoch, lacked, prefix of calls, those that have just died. Arguments: node, address, run id of the server,
-- grace in microseconds, prefix of pools, number of this question, how long in microseconds what a node
-- permitted last counts, then for each claim: pool, limit, held, ask, want.
local members, buried, epoch, lacked, calls, dying =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local node, address, run, grace, prefix = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local number, drain = tonumber(ARGV[6]), tonumber(ARGV[7])

if redis.call('SISMEMBER', buried, node) == 1 then
  return false
end

-- A question that was given up and comes late says what is no longer so.
local entry = redis.call('HGET', members, node)
if entry and tonumber(string.match(entry, '%S+$')) >= number then
  return redis.error_reply('LATE a newer question was answered')
end

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

-- A server that was restarted, or one that took over, may have lost what was granted last.
local since = tonumber(redis.call('HGET', epoch, 'since') or now)
if redis.call('HGET', epoch, 'run') ~= run then
  since = now
  redis.call('HSET', epoch, 'run', run, 'since', string.format('%.0f', now))
end
local may_grant = now - since >= grace

-- A node that was started again has its name and its address: what it was before is gone, as soon as
-- what that one permitted last does not count any more. Two of different names may both be at an address
-- that means something else to each of them.
local function name_of(id)
  return string.match(id, '^(.*)%-%w+$') or id
end
redis.call('ZREMRANGEBYSCORE', dying, '-inf', string.format('%.0f', now - drain))
local present = {}
for _, id in ipairs(redis.call('ZRANGE', dying, 0, -1)) do
  present[id] = true
end
local known = redis.call('HGETALL', members)
for i = 1, #known, 2 do
  local id, place, beat = known[i], string.match(known[i + 1], '^(%S+) (%S+)')
  local is_earlier = id ~= node and place == address and name_of(id) == name_of(node)
  if is_earlier and now - beat >= drain then
    redis.call('HDEL', members, id)
    redis.call('SADD', buried, id)
    redis.call('EXPIRE', buried, 2592000)
  else
    present[id] = true
  end
end
present[node] = true
redis.call('HSET', members, node, address .. ' ' .. string.format('%.0f', now) .. ' ' .. number)

local grants = {}
for at = 8, #ARGV, 5 do
  local pool = ARGV[at]
  local limit, held = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local ask, want = tonumber(ARGV[at + 3]), ARGV[at + 4]
  local key = prefix .. pool
  local entries, taken = redis.call('HGETALL', key), 0
  local ids, shares = { node }, {}
  for i = 1, #entries, 2 do
    local id = entries[i]
    if not present[id] and redis.call('EXISTS', calls .. id) == 0 then
      -- Until somebody has taken over all its calls, these use what it held.
      redis.call('HDEL', key, id)
    elseif id ~= node then
      local share = string.match(entries[i + 1], '^%S+')
      taken = taken + tonumber(share)
      ids[#ids + 1] = id
      shares[id] = entries[i + 1]
    end
  end
  local share = held
  if may_grant then
    share = math.max(held, math.min(ask, limit - taken))
  end
  shares[node] = string.format('%.0f', share) .. ' ' .. want
  redis.call('HSET', key, node, shares[node])
  redis.call('EXPIRE', key, 86400)
  if share < ask then
    redis.call('ZADD', lacked, now, pool)
  else
    redis.call('ZREM', lacked, pool)
  end
  table.sort(ids)
  local list = {}
  for i, id in ipairs(ids) do
    list[i] = (id == node and '*' or '') .. shares[id]
  end
  grants[#grants + 1] = table.concat(list, ',')
end

-- Who lacks says so again and again.
redis.call('ZREMRANGEBYSCORE', lacked, '-inf', now - 3000000)
return { grants, redis.call('ZRANGE', lacked, 0, 999), redis.call('HGETALL', members) }
