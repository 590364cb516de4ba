#!lua flags=no-writes
-- What stands in a consumer's processing list, for it to compare with what it runs.
-- ARGV: group fields, consumer. Returns {raw, group, id, attempts, ...}.
local held = {}
for _, raw in ipairs(redis.call('LRANGE', PROCESSING .. ARGV[2], 0, -1)) do
  local group, id = identify(raw)
  local n = #held
  held[n + 1], held[n + 2], held[n + 3], held[n + 4] = raw, group or '', group and id or '', attempts_of(raw, group and id or '')
end
return held
