-- Put in front of every script (after its flags line). KEYS[1] is the queue, ARGV[1] the group fields.
--
-- Scripts are all or nothing: their flags line makes the server refuse a script before its first
-- write (out of memory, read only, failed snapshot) and not in the middle of it. All but `enqueue` carry
-- allow-oom: at the memory limit nothing new comes in, and working off what is there frees memory.
local Q = KEYS[1]
local GROUP_FIELDS = ARGV[1]
local CONSUMERS, OWNERS, DELAYED, DEAD = Q .. ':consumers', Q .. ':owners', Q .. ':delayed', Q .. ':dead'
local ATTEMPTS, CRASHES, WAITS = Q .. ':attempts', Q .. ':crashes', Q .. ':waits'
local DONE, SEEN, HEARTBEAT = Q .. ':done:', Q .. ':seen:', Q .. ':hb:'
local PROCESSING, LANE = Q .. ':processing:', Q .. ':lane:'
local DELAYED_OWNER = '@delayed'
local MOST_DEAD_LETTERS = 10000
local LONGEST_NAME = 256
local LONGEST_PAUSE_MS = 15000 -- between two tries of a message that waits for a service

-- the server's clock: replicas need not agree on the time
local function now_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

-- an id or a group as text; '' where the value cannot serve as one
local function name(value, must_be_exact)
  if type(value) == 'string' then
    if #value > LONGEST_NAME then return 'sha1:' .. redis.sha1hex(value) end
    return value
  end
  if type(value) ~= 'number' or value ~= value or math.abs(value) == math.huge then return '' end
  -- a double cannot tell numbers above 2^53 apart: as an id, one message would pass for another
  if must_be_exact and math.abs(value) >= 9007199254740992 then return '' end
  if value == math.floor(value) then return string.format('%.0f', value) end
  return string.format('%.17g', value)
end

-- group and id of a message, either may be ''; or nil and the reason why it is none
local function identify(raw)
  if not string.find(raw, '^%s*{') then return nil, 'not a JSON object' end
  local ok, message = pcall(cjson.decode, raw)
  if not ok then return nil, 'broken JSON: ' .. tostring(message) end
  local group = ''
  for field in string.gmatch(GROUP_FIELDS, '[^,]+') do
    if group == '' then group = name(message[field], false) end
  end
  return group, name(message.id, true)
end

-- what a message's failures are counted under
local function counter_of(raw, id)
  if id ~= '' then return id end
  return redis.sha1hex(raw)
end

local function clear_counters(raw, id)
  local counter = counter_of(raw, id)
  redis.call('HDEL', ATTEMPTS, counter)
  redis.call('HDEL', CRASHES, counter)
  redis.call('HDEL', WAITS, counter)
end

local function is_done(id)
  return id ~= '' and redis.call('EXISTS', DONE .. id) == 1
end

local function mark_done(id, consumer, ttl)
  if id ~= '' then redis.call('SET', DONE .. id, consumer, 'EX', ttl) end
end

-- oldest first, so that an index an operator has read stays right while others are added
local function add_dead_letter(raw, reason, attempts, consumer)
  local head = cjson.encode({reason = reason, attempts = attempts, by = consumer, at = now_ms()})
  redis.call('RPUSH', DEAD, head .. '\n' .. raw)
  redis.call('LTRIM', DEAD, -MOST_DEAD_LETTERS, -1)
end

-- back to the head of the ready list, in order
local function requeue_at_head(messages)
  for i = #messages, 1, -1 do redis.call('LPUSH', Q, messages[i]) end
end

-- nobody owns the group any more; returns what waited in its lane
local function release_group(group)
  local waiting = redis.call('LRANGE', LANE .. group, 0, -1)
  redis.call('DEL', LANE .. group)
  redis.call('HDEL', OWNERS, group)
  return waiting
end

local function attempts_of(raw, id)
  return tonumber(redis.call('HGET', ATTEMPTS, counter_of(raw, id)) or 0)
end

-- how long the message has been waiting for a service that is away; the clock begins with the first look
local function waited_ms(raw, id)
  local now, counter = now_ms(), counter_of(raw, id)
  redis.call('HSETNX', WAITS, counter, string.format('%.0f', now))
  return math.max(0, now - redis.call('HGET', WAITS, counter))
end

-- a message of `group` is settled: the next one of its lane goes to the same consumer, or, when that
-- one is closing or the lane is empty, the group is released. Returns the next one's raw, id, attempts.
local function take_next(consumer, group, closing)
  if group == '' then return end
  if closing == '1' then
    requeue_at_head(release_group(group))
    return
  end
  while true do
    local raw = redis.call('LMOVE', LANE .. group, PROCESSING .. consumer, 'LEFT', 'RIGHT')
    if not raw then
      redis.call('HDEL', OWNERS, group)
      return
    end
    local _, id = identify(raw)
    if not is_done(id) then return raw, id, attempts_of(raw, id) end
    clear_counters(raw, id)
    redis.call('RPOP', PROCESSING .. consumer)
  end
end
