#!lua flags=allow-oom
-- Makes unfinished runs turns of the conversation: each once, whoever finds it.
-- KEYS: runs, conversation
-- ARGV: milliseconds that the conversation lives, then for each run its key and its turn

for place = 2, #ARGV, 2 do
  if redis.call('HDEL', KEYS[1], ARGV[place]) == 1 and ARGV[place + 1] ~= '' then
    redis.call('RPUSH', KEYS[2], ARGV[place + 1])
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[1])
