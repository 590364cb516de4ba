#!lua flags=allow-oom
-- Retries that are due go to the head of the ready list, each with what waited behind it in its lane.
-- ARGV: group fields, most. Returns {promoted, ms until the next one, or -1 when there is none}.
local now = now_ms()
local due = redis.call('ZRANGE', DELAYED, '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, member in ipairs(due) do
  local length, start = string.match(member, '^%d+:(%d+):()')
  local group = string.sub(member, start, start + length - 1)
  local messages = {string.sub(member, start + length)}
  if group ~= '' then
    for _, raw in ipairs(release_group(group)) do messages[#messages + 1] = raw end
  end
  requeue_at_head(messages)
  redis.call('ZREM', DELAYED, member)
end
local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
if not first[2] then return {#due, -1} end
return {#due, math.max(0, first[2] - now)}
