#!lua flags=allow-oom
-- Puts a summary in the place of a conversation's oldest turns: both, or neither.
-- KEYS: conversation, summary
-- ARGV: how many turns go, digest of the first of them, the new summary
-- Returns 1; or 0 where this is no longer the conversation that was read (forgotten, compacted or cut since).

local conversation, summary = KEYS[1], KEYS[2]
-- turns are added at the end and taken from the front only: with the first one the same, all that follow are
local first = redis.call('LINDEX', conversation, 0)
if not first or redis.sha1hex(first) ~= ARGV[2] then
  return 0
end
redis.call('LTRIM', conversation, ARGV[1], -1)
redis.call('SET', summary, ARGV[3])
-- they end together
local left = redis.call('PTTL', conversation)
if left > 0 then
  redis.call('PEXPIRE', summary, left)
end
return 1
