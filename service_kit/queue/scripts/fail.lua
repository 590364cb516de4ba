#!lua flags=allow-oom
-- Try again later (the group stays closed, so that order holds) or make a dead letter, with a notice to the user.
-- ARGV: group fields, consumer, raw, group, id, done ttl in s, out queue, closing, delay in ms (-1: never
-- again), most attempts, reason, notice ('' for none), longest wait in ms (-1: this counts as an attempt).
-- Returns {0} fenced, {1, attempts} delayed, {2, attempts, next raw, id, attempts} dead letter.
local consumer, raw, group, id, done_ttl, out, closing = unpack(ARGV, 2, 8)
local delay, most_attempts, reason, notice = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11], ARGV[12]
local longest_wait = tonumber(ARGV[13])
if redis.call('LREM', PROCESSING .. consumer, 1, raw) == 0 then return {0} end

local attempts, may_retry
if longest_wait < 0 then
  attempts = redis.call('HINCRBY', ATTEMPTS, counter_of(raw, id), 1)
  may_retry = attempts < most_attempts
else
  local waited = waited_ms(raw, id)
  attempts, may_retry = attempts_of(raw, id), waited < longest_wait
  -- the longer it has waited, the less often it is tried; never beyond its end
  delay = math.min(math.max(delay, math.min(waited / 2, LONGEST_PAUSE_MS)), math.max(0, longest_wait - waited))
  if not may_retry then reason = string.format('waited for %.0f s: ', waited / 1000) .. reason end
end
if delay >= 0 and may_retry then
  -- the serial keeps two equal messages apart, the length the group from the message
  local serial = redis.call('INCR', Q .. ':serial')
  local member = string.format('%.0f:%d:', serial, #group) .. group .. raw
  redis.call('ZADD', DELAYED, now_ms() + delay, member)
  if group ~= '' then redis.call('HSET', OWNERS, group, DELAYED_OWNER) end
  return {1, attempts}
end
if notice ~= '' and not is_done(id) then
  local pushed = redis.pcall('RPUSH', out, notice)
  if type(pushed) == 'table' and pushed.err then
    redis.call('RPUSH', PROCESSING .. consumer, raw)
    return pushed
  end
end
add_dead_letter(raw, reason, attempts, consumer)
mark_done(id, consumer, done_ttl)
clear_counters(raw, id)
return {2, attempts, take_next(consumer, group, closing)}
