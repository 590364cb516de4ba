#!lua flags=no-writes
-- How many messages stand where: {ready, lanes, processing, delayed, dead}.
local lanes, processing = 0, 0
for _, group in ipairs(redis.call('HKEYS', OWNERS)) do lanes = lanes + redis.call('LLEN', LANE .. group) end
for _, consumer in ipairs(redis.call('SMEMBERS', CONSUMERS)) do
  processing = processing + redis.call('LLEN', PROCESSING .. consumer)
end
return {redis.call('LLEN', Q), lanes, processing, redis.call('ZCARD', DELAYED), redis.call('LLEN', DEAD)}
