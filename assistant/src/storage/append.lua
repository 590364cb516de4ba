#!lua flags=allow-oom
-- Puts a turn at a conversation's end and drops the journal of its run: both, or neither.
-- KEYS: conversation, summary, index of the user's conversations, runs
-- ARGV: the turn, its key, the assistant's id, milliseconds that the conversation lives,
--       how many of the newest turns stay (0 for all)

local conversation, life, stay = KEYS[1], ARGV[4], tonumber(ARGV[5])
-- a client that lost the reply sends the command again
if redis.call('LINDEX', conversation, -1) ~= ARGV[1] then
  redis.call('RPUSH', conversation, ARGV[1])
end
if stay > 0 then
  redis.call('LTRIM', conversation, -stay, -1)
end
redis.call('SADD', KEYS[3], ARGV[3])
for place = 1, 3 do
  redis.call('PEXPIRE', KEYS[place], life)
end
redis.call('HDEL', KEYS[4], ARGV[2])
