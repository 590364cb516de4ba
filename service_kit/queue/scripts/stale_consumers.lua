#!lua flags=no-writes
-- Consumers without a heartbeat, and those whose id begins with the prefix.
-- ARGV: group fields, prefix ('' for none).
local prefix, stale = ARGV[2], {}
for _, consumer in ipairs(redis.call('SMEMBERS', CONSUMERS)) do
  local same_slot = prefix ~= '' and string.sub(consumer, 1, #prefix) == prefix
  if same_slot or redis.call('EXISTS', HEARTBEAT .. consumer) == 0 then stale[#stale + 1] = consumer end
end
return stale
