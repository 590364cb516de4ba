#!lua flags=allow-oom
-- Take up to n messages that may run now. One of a busy group goes to that group's lane and costs no slot.
-- ARGV: group fields, consumer, n, most to look at, lane cap, done ttl in s.
-- Returns {looked at, {raw, group, id, attempts, ...}, {raw, group, id, ... refused}}, or nil for a
-- consumer that has been declared dead: what it claimed now, no reaper would ever find.
local consumer, wanted, most, lane_cap = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local done_ttl = ARGV[6]
local CHUNK, MOST_BYTES = 16, 4 * 1024 * 1024
local REFUSAL_EVERY = 60 -- seconds: one notice for a flood, not one for each message of it

if redis.call('SISMEMBER', CONSUMERS, consumer) == 0 then return false end

local some_failed_before = redis.call('EXISTS', ATTEMPTS) == 1
local claimed, refused, taken, bytes = {}, {}, 0, 0

local function refuse(raw, group, id)
  add_dead_letter(raw, 'more than ' .. lane_cap .. ' messages were waiting', 0, consumer)
  mark_done(id, consumer, done_ttl)
  if redis.call('SET', Q .. ':full:' .. group, 1, 'NX', 'EX', REFUSAL_EVERY) then
    refused[#refused + 1] = raw
    refused[#refused + 1] = group
    refused[#refused + 1] = id
  end
end

local function route(raw)
  local group, id = identify(raw)
  if not group then
    add_dead_letter(raw, 'poison: ' .. id, 0, consumer)
  elseif is_done(id) then
    clear_counters(raw, id)
  elseif group ~= '' and redis.call('HSETNX', OWNERS, group, consumer) == 0 then
    if redis.call('RPUSH', LANE .. group, raw) > lane_cap then
      redis.call('RPOP', LANE .. group)
      refuse(raw, group, id)
    end
  else
    redis.call('RPUSH', PROCESSING .. consumer, raw)
    bytes = bytes + #raw
    local n = #claimed
    claimed[n + 1], claimed[n + 2], claimed[n + 3] = raw, group, id
    claimed[n + 4] = some_failed_before and attempts_of(raw, id) or 0
  end
end

-- Messages leave the ready list only after each has its new place: an error (a key of a wrong type, say)
-- loses none, and the one that caused it becomes a dead letter instead of blocking all others.
local failure
while not failure and #claimed < wanted * 4 and taken < most and bytes < MOST_BYTES do
  local chunk = redis.call('LRANGE', Q, taken, taken + CHUNK - 1)
  for _, raw in ipairs(chunk) do
    if #claimed >= wanted * 4 or taken >= most or bytes >= MOST_BYTES then break end
    local ok, err = pcall(route, raw)
    if not ok then
      local text = type(err) == 'table' and err.err or tostring(err)
      ok, failure = pcall(add_dead_letter, raw, 'cannot be queued: ' .. text, 0, consumer)
      if ok then failure = nil else break end
    end
    taken = taken + 1
  end
  if #chunk < CHUNK then break end
end
redis.call('LTRIM', Q, taken, -1)
if failure and taken == 0 then error(failure) end
return {taken, claimed, refused}
