-- Puts a summary in the place of a conversation's oldest turns: both, or neither.
-- KEYS: conversation, summary
-- ARGV: digest of the summary that the new one continues ('' for none), how many turns fall out,
--       digests of the first and the last of them, the new summary
-- Returns 1; or 0 where this is no longer the conversation that was read (forgotten, folded or cut since).

local function digest(value)
  return value and redis.sha1hex(value) or ''
end

local conversation, summary = KEYS[1], KEYS[2]
local count = tonumber(ARGV[2])
-- turns are added at the end and taken from the front only: with both ends the same, all between is
if digest(redis.call('GET', summary)) ~= ARGV[1]
  or digest(redis.call('LINDEX', conversation, 0)) ~= ARGV[3]
  or digest(redis.call('LINDEX', conversation, count - 1)) ~= ARGV[4] then
  return 0
end
redis.call('LTRIM', conversation, count, -1)
redis.call('SET', summary, ARGV[5])
-- they end together
local left = redis.call('PTTL', conversation)
if left > 0 then
  redis.call('PEXPIRE', summary, left)
end
return 1
