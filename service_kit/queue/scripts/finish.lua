#!lua flags=allow-oom
-- Acknowledge, publish the replies, mark as done, take the group's next one: one step.
-- ARGV: group fields, consumer, raw, group, id, done ttl in s, out queue, closing, replies...
-- Returns {0} fenced (given to another consumer meanwhile: nothing is published), {2} done before by
-- this very consumer (its answer was lost), or {1, next raw, id, attempts}.
local consumer, raw, group, id, done_ttl, out, closing = unpack(ARGV, 2, 8)
if redis.call('LREM', PROCESSING .. consumer, 1, raw) == 0 then
  if id ~= '' and redis.call('GET', DONE .. id) == consumer then return {2} end
  return {0}
end
if not is_done(id) then -- the same id twice: never two answers
  for i = 9, #ARGV do
    local pushed = redis.pcall('RPUSH', out, ARGV[i])
    if type(pushed) == 'table' and pushed.err then -- the out queue is no list: nothing was settled
      redis.call('RPUSH', PROCESSING .. consumer, raw)
      return pushed
    end
  end
end
mark_done(id, consumer, done_ttl)
clear_counters(raw, id)
return {1, take_next(consumer, group, closing)}
