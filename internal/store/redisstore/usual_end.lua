-- The usual end of a hold, see ledger.lua and usual.lua: a hold of a caller without
-- a name, which took from one grant.

local function usual()
  local id, captured = ARGV[3], tonumber(ARGV[5])
  local text = ARGV[4] == '' and call('HGET', HOLDS, id)
  if not text then return nil end
  local expires, n, rest = string.match(text, '^(%-?%d+) 0 (%d+) (.*)$')
  if not expires then return nil end
  local size, held, from = string.match(rest, '^(%d+) (%d+) ()', tonumber(n) + 1)
  if not size or from + tonumber(size) ~= #rest + 1 then return nil end
  held = tonumber(held)
  local a = captured <= held and look()
  if not a or a.now >= tonumber(expires) then return nil end
  local field, balance, g = 'g:' .. string.sub(rest, from), -captured, nil
  for _, other in ipairs(a.grants) do
    balance = balance + other.left + other.held
    if other.field == field then g = other end
  end
  if not g then return nil end

  g.left, g.held = g.left + held - captured, g.held - held
  changed(a, g)
  if captured > 0 then a.seq = int(tonumber(a.seq) + 1) end
  if g.left + g.held > 0 or g.waits then
    call('HSET', ACCOUNT, g.field, g.text, 'rev', a.rev, 'seq', a.seq)
  else
    call('HSET', CLOSED, string.sub(field, 3), g.text)
    call('HSET', ACCOUNT, 'rev', a.rev, 'seq', a.seq)
    call('HDEL', ACCOUNT, field)
  end
  call('HDEL', HOLDS, id)
  call('ZREM', EXPIRING, id)
  if captured > 0 then
    local grant = string.sub(field, 3)
    local entry = table.concat({ a.seq, int(a.now), 'capture', int(-captured), int(balance), #grant, grant .. id }, ' ')
    if call('RPUSH', ENTRIES, entry) ~= tonumber(a.seq) then error('damaged account: entries are missing') end
  end
  if captured < held then tell(a) end -- else nothing that can be spent has changed
  return answer(a, 'ended', int(captured))
end

local reply = usual()
if reply then return reply end
