#!lua flags=no-writes
-- What stands in a consumer's processing list, for it to compare with what it runs.
-- ARGV: group fields, consumer. Returns {raw, group, id, attempts, ...}.
local in_flight = {}
for _, raw in ipairs(redis.call('LRANGE', PROCESSING .. ARGV[2], 0, -1)) do
  local group, id = identify(raw)
  local n = #in_flight
  in_flight[n + 1], in_flight[n + 2], in_flight[n + 3], in_flight[n + 4] = raw, group or '', group and id or '', attempts_of(raw, group and id or '')
end
return in_flight
