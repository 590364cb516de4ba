#!lua flags=allow-oom
-- Requeue, in order, everything that a consumer holds: in flight first, then its group's lane.
-- ARGV: group fields, consumer, 'dead' (only if it has no heartbeat) | 'replaced' (its slot has a new
-- process) | 'leaving' (by itself: no crash is counted), most crashes, done ttl in s.
-- Returns {-1} when it lives, or {requeued, raw, group, id, ... of the dead letters}.
local consumer, why, most_crashes, done_ttl = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if why == 'dead' and redis.call('EXISTS', HEARTBEAT .. consumer) == 1 then return {-1} end

local owned = {}
local owners = redis.call('HGETALL', OWNERS)
for i = 1, #owners, 2 do
  if owners[i + 1] == consumer then owned[owners[i]] = true end
end

local head, result = {}, {0}
local function append_lane(group)
  for _, raw in ipairs(release_group(group)) do head[#head + 1] = raw end
  owned[group] = nil
end

-- separate from attempts: one message that kills the process must not use up the attempts of the
-- hundreds that were in flight beside it
local function exceeds_crash_limit(raw, id)
  return why ~= 'leaving' and redis.call('HINCRBY', CRASHES, counter_of(raw, id), 1) >= most_crashes
end

for _, raw in ipairs(redis.call('LRANGE', PROCESSING .. consumer, 0, -1)) do
  local group, id = identify(raw)
  if not group then
    add_dead_letter(raw, 'poison: ' .. id, 0, consumer)
  elseif exceeds_crash_limit(raw, id) then
    add_dead_letter(raw, 'its consumer died ' .. most_crashes .. ' times while handling it', most_crashes, consumer)
    mark_done(id, consumer, done_ttl)
    clear_counters(raw, id)
    local n = #result
    result[n + 1], result[n + 2], result[n + 3] = raw, group, id
  else
    head[#head + 1] = raw
  end
  if group and owned[group] then append_lane(group) end
end
for group in pairs(owned) do append_lane(group) end
requeue_at_head(head)
redis.call('DEL', PROCESSING .. consumer, HEARTBEAT .. consumer)
redis.call('SREM', CONSUMERS, consumer)
result[1] = #head
return result
