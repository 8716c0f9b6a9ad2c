-- Empties a node's shelf. Keys: the shelf, the number of the node's last word. Arguments: number of this
-- word, seconds to remember it.
if tonumber(redis.call('GET', KEYS[2]) or 0) >= tonumber(ARGV[1]) then
  return redis.error_reply('LATE a newer word was heard')
end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
return redis.call('UNLINK', KEYS[1])
