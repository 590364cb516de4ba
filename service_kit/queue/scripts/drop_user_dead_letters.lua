#!lua flags=allow-oom
-- Drop the dead letters of a deleted user. ARGV: 'user_id' (group fields), the user.
-- Returns how many there were.
local REMOVED, CHUNK = '\0removed', 100
local dropped = 0
for first = 0, redis.call('LLEN', DEAD) - 1, CHUNK do
  for i, letter in ipairs(redis.call('LRANGE', DEAD, first, first + CHUNK - 1)) do
    local user = identify(string.sub(letter, string.find(letter, '\n', 1, true) + 1))
    if user == ARGV[2] then
      redis.call('LSET', DEAD, first + i - 1, REMOVED)
      dropped = dropped + 1
    end
  end
end
redis.call('LREM', DEAD, 0, REMOVED)
return dropped
