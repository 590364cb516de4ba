#!lua
-- Store messages once per id, each together with its producer's position.
-- ARGV: '' (group fields), seen ttl in s, the same for a message with an offset, which keeps most repeats
-- away by itself; then of each message: id, raw, '1' for the head, offset key, offset.
-- A message whose raw is '' only stores the offset. Returns 1 (stored) or 0 (seen before) of each.
local ttl, ttl_beside_offset = ARGV[2], ARGV[3]
local stored = {}
for i = 4, #ARGV, 5 do
  local id, raw, front, offset_key, offset = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local life = offset_key == '' and ttl or ttl_beside_offset
  local is_new = raw ~= '' and (id == '' or redis.call('SET', SEEN .. id, 1, 'NX', 'EX', life))
  if is_new then redis.call(front == '1' and 'LPUSH' or 'RPUSH', Q, raw) end
  if offset_key ~= '' then redis.call('SET', offset_key, offset) end
  stored[#stored + 1] = is_new and 1 or 0
end
return stored
