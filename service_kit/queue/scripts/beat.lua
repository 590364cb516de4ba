#!lua flags=allow-oom
-- A consumer enters the queue (once) or shows that it lives.
-- ARGV: group fields, consumer, ttl in ms, '1' to enter. Returns 0 when it has been declared dead.
local consumer, ttl, enter = ARGV[2], ARGV[3], ARGV[4]
if enter == '1' then
  redis.call('SADD', CONSUMERS, consumer)
elseif redis.call('SISMEMBER', CONSUMERS, consumer) == 0 then
  return 0
end
redis.call('SET', HEARTBEAT .. consumer, 1, 'PX', ttl)
return 1
