#!lua flags=allow-oom
-- A consumer joins the queue (once) or renews its heartbeat.
-- ARGV: group fields, consumer, ttl in ms, '1' to join. Returns 0 when it has been declared dead.
local consumer, ttl, join = ARGV[2], ARGV[3], ARGV[4]
if join == '1' then
  redis.call('SADD', CONSUMERS, consumer)
elseif redis.call('SISMEMBER', CONSUMERS, consumer) == 0 then
  return 0
end
redis.call('SET', HEARTBEAT .. consumer, 1, 'PX', ttl)
return 1
