-- End: spends what a hold holds, or a part, and gives the rest back, see
-- ledger.lua.
--
-- KEYS  6 ended   see hold.lua
-- ARGV  3 id    4 by    5 captured    6 receipt
--       7 how long the end is remembered, in milliseconds
--       8 how much longer it is stored
--
-- Returns {"ended" | "gone", captured, ""} and the account, or {"range"}.
--
-- Invariant: a hold ends once; sent again by the same caller, it says the same.

local ENDED = KEYS[6]
local RECENTLY = 10000 -- store.Recently, in milliseconds
local id, by, captured = ARGV[3], ARGV[4], amount(ARGV[5])

local text = call('HGET', HOLDS, id)
local hold = text and parse_hold(text)
if not hold or now >= hold.expires or hold.by ~= by then
  if not text and by == '' then
    -- A caller without a name never uses an id again: what it spent is among the
    -- entries of the last moments, however many others there are. Where the clock
    -- went back, a hundred that look older may hide it.
    local spent, last = 0, -1
    repeat
      local fresh, found = false, false
      local chunk = call('LRANGE', ENTRIES, int(last - 99), int(last))
      for _, entry in ipairs(chunk) do
        local at, kind, amount, n, rest = string.match(entry, '^%d+ (%-?%d+) (%a+) (%-?%d+) %-?%d+ (%d+) (.*)$')
        fresh = fresh or tonumber(at) > now - RECENTLY
        if kind == 'capture' and string.sub(rest, tonumber(n) + 1) == id then
          spent, found = spent - tonumber(amount), true
        end
      end
      last = last - 100
    until not found and (spent > 0 or not fresh) or #chunk < 100 or last < -10000
    if spent > 0 then return unchanged({ 'ended', int(spent), '' }) end
  end
  local ended = by ~= '' and call('GET', ENDED)
  if ended then
    local till, spent, n, _, rest = string.match(ended, '^(%d+) (%d+) (%d+) (%d+) (.*)$')
    if now < tonumber(till) and string.sub(rest, 1, tonumber(n)) == by then return unchanged({ 'ended', spent, '' }) end
  end
  return unchanged({ 'gone', '0', '' })
end
if captured > hold.amount then return { 'range' } end

sweep(id)
local rest, back = captured, {}
for _, p in ipairs(hold.parts) do
  local g = grants[p.grant]
  local spent = math.min(rest, p.amount)
  rest = rest - spent
  g.held = g.held - spent
  changed[p.grant] = true
  enter('capture', p.grant, -spent, id)
  if spent < p.amount then back[#back + 1] = { grant = p.grant, amount = p.amount - spent } end
end
give_back(back, id)
sweep(id)
intact()

save()
call('HDEL', HOLDS, id)
call('ZREM', EXPIRING, id)
if by ~= '' then
  local keep, receipt = tonumber(ARGV[7]), ARGV[6]
  if captured == 0 then receipt = '' end
  call('SET', ENDED, table.concat({ int(now + keep), int(captured), #by, #hold.fingerprint, by .. hold.fingerprint .. receipt }, ' '),
    'PX', int(keep + tonumber(ARGV[8])))
end
note_next()
return saved({ 'ended', int(captured), '' }, next_hold())
