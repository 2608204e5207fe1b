-- The usual hold, see ledger.lua and usual.lua: a caller without a name wants less
-- than is left in the grant that burns first, or more than is left in all of them.

local function usual()
  local id, wanted = ARGV[3], tonumber(ARGV[6])
  if ARGV[4] ~= '' or ARGV[8] == '1' or wanted == 0 then return nil end
  local a = look()
  local g, alike, left = nil, false, 0
  for _, other in ipairs(a and a.grants or {}) do
    left = left + other.left
    if other.left > 0 then
      if not g or other.ends < g.ends or other.ends == g.ends and other.began < g.began then
        g, alike = other, false
      elseif other.ends == g.ends and other.began == g.began then
        alike = true
      end
    end
  end
  if a and wanted > left and call('HEXISTS', HOLDS, id) == 0 then return answer(a, 'refused', '0') end
  if not g or alike or wanted > g.left then return nil end

  local grant, expires = string.sub(g.field, 3), a.now + tonumber(ARGV[7])
  local ends = int(expires)
  local text = table.concat({ ends, ' 0 ', #ARGV[5], ' ', ARGV[5], #grant, ' ', int(wanted), ' ', grant })
  if call('HSETNX', HOLDS, id, text) == 0 then return nil end
  g.left, g.held = g.left - wanted, g.held + wanted
  if not a.next or expires < a.next then a.due = ends end
  changed(a, g)
  call('HSET', ACCOUNT, g.field, g.text, 'rev', a.rev, 'next', a.due)
  call('ZADD', EXPIRING, ends, id)
  tell(a)
  return answer(a, 'placed', '0')
end

local reply = usual()
if reply then return reply end
