#!lua flags=allow-oom
-- Requeue dead letters (to the tail of the ready list, as if new) or drop them.
-- ARGV: group fields, index of the first (0 is the oldest), how many, 'requeue' | 'drop'.
-- Returns how many there were.
local first, count, action = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
-- marks an entry for LREM: removing by index would move those behind it
local REMOVED = '\0removed'
local letters = redis.call('LRANGE', DEAD, first, first + count - 1)
for i, letter in ipairs(letters) do
  if action == 'requeue' then
    local raw = string.sub(letter, string.find(letter, '\n', 1, true) + 1)
    local group, id = identify(raw)
    if group then
      if id ~= '' then redis.call('DEL', DONE .. id) end
      clear_counters(raw, id)
    end
    redis.call('RPUSH', Q, raw)
  end
  redis.call('LSET', DEAD, first + i - 1, REMOVED)
end
redis.call('LREM', DEAD, 0, REMOVED)
return #letters
