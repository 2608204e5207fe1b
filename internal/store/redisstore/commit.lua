-- Commit: the new state of an object with everything that follows from it, see
-- ledger.lua.
--
-- KEYS  6 object   hash: version, state
--       7 order    hash, see create_order.lua
--       8 unpaid   sorted set, see create_order.lua
--       9 paid     sorted set: ids of paid orders by creation
--       10 failed  sorted set: ids of the newest failed and cancelled orders by
--                  creation; of those that expired, some
--       11 parked  sorted set: the events that are parked under the object
--       12 event   the one to settle, see recorded.lua; or neither of the two
-- ARGV  3 version that the state is from, or "" to sign up    4 version after it    5 state
--       6 name of the object    7 standing, or "" for none    8 cause
--       9 policy, "floor" or another    10 order id, or "" for none
--       11 state of the order    12 payment of the order, or ""
--       13 how many failed orders are listed
--       14... of each target: grant, amount, expiry, creation, the grant that gives
--             these credits from now on, or "", start; times in milliseconds or "-"
--       the last 8, where there is an event: what settled.lua takes
--
-- Returns, packed, {"ok", parked_under, received, parked, entry...}: the first two as
-- settled.lua says of an event that is settled, or else ""; "1" if there are parked events,
-- and "" where that was not looked at; or {"conflict"}, {"missing"} or {"range", grant}.
--
-- A sign-up is a commit by version 0 to an account without entries, and to any other
-- none. It returns, packed, the account as it is then, as account.lua does.

local OBJECT, ORDER, UNPAID, PAID, FAILED = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local name, standing, cause, floor, order = ARGV[6], ARGV[7], ARGV[8], ARGV[9] == 'floor', ARGV[10]

local sign_up = ARGV[3] == ''
local version = call('HGET', OBJECT, 'version')
if sign_up and (version or seq > 0) then return packed(unchanged({}, true)) end
if not sign_up and (version or '0') ~= ARGV[3] then return packed({ 'conflict' }) end

local last, event = #ARGV, nil
if KEYS[12] then
  event = event_to_settle()
  if not event[1] then return packed({ 'missing' }) end
  last = last - 8
end

-- find returns a grant of any kind, or nil.
local function find(id)
  local closed = not grants[id] and call('HGET', CLOSED, id)
  if closed then
    grants[id] = parse_grant(closed)
    grants[id].was_closed = true
  end
  return grants[id]
end

local function fresh()
  return { amount = 0, left = 0, held = 0, lapsed = 0, waived = 0, expires = '-', created = '-', starts = '-', waiting = 0 }
end

-- room is how much a grant may be raised by.
local function room(g)
  local waiting = 0
  for _, other in pairs(grants) do waiting = waiting + other.waiting end
  return MAX - math.max(balance + waiting, g.left + g.waiting)
end

-- moving is how much the targets give that can be spent at once, and that others of them may
-- have moved there: policy floor does not forgive as much. renamed is, by heir, what the
-- targets gave by another name so far, and brings what was forgiven of it.
local moving, renamed, brings = 0, {}, {}
local function count_renamed(id, target, into)
  if not target or into == '' or into == id then return end
  local g = find(id) or fresh()
  renamed[into] = math.min((renamed[into] or 0) + math.max(0, g.amount - target), MAX)
  brings[into] = math.min((brings[into] or 0) + g.waived - math.min(g.waived, g.held), MAX)
end
local function count_raise(id, target, starts)
  if not target or starts ~= '-' and now < tonumber(starts) then return end
  local g = find(id) or fresh()
  local change = target - g.amount
  if change <= 0 then return end
  local kept = math.min(math.max(0, change - (renamed[id] or 0)), g.waived + (brings[id] or 0))
  moving = math.min(moving + change - kept, MAX)
end

-- set brings a grant to its amount; false when that leaves the range.
local function set(id, target, expires, created, into, starts)
  if not target then return false end
  local g = find(id)
  if not g then
    if target == 0 then return true end
    g = fresh()
  end
  g.expires, g.created, g.starts = expires, created, starts
  if g.lapsed > 0 and not expired(g) then
    if g.lapsed > room(g) then return false end
    enter('grant', id, g.lapsed, cause)
    g.left = g.left + g.lapsed
    g.lapsed = 0
    pay_debt() -- else there could be more left for a moment than can be counted
  end
  local change = target - g.amount
  if change > room(g) then return false end
  if change < 0 and debt > MAX + change then return false end
  g.amount = target
  if change >= 0 then
    local known = math.min(change, renamed[id] or 0)
    if known > 0 then renamed[id] = renamed[id] - known end
    local kept = math.min(change - known, g.waived)
    g.waived = g.waived - kept
    if starts ~= '-' and now < tonumber(starts) then
      g.waiting = g.waiting + change - kept
    else
      g.left = g.left + change - kept
      enter('grant', id, change - kept, cause)
    end
  else
    local waiting = math.min(-change, g.waiting)
    g.waiting = g.waiting - waiting
    local taken = math.min(-change - waiting, g.left)
    g.left = g.left - taken
    local lapsed = math.min(-change - waiting - taken, g.lapsed)
    g.lapsed = g.lapsed - lapsed
    local spent = -change - waiting - taken - lapsed
    local moved = math.min(spent, moving)
    if into ~= '' then moved = math.min(-change - waiting, moving) end -- spent or not, its heir gives it
    moving = moving - moved
    if floor and into == '' then
      g.waived = g.waived + spent - moved
      spent = moved
    end
    debt = debt + spent
    enter('clawback', id, -taken - spent, cause)
  end
  if g.waiting == 0 then g.starts = '-' end
  grants[id], changed[id] = g, true
  local moved = g.waived - math.min(g.waived, g.held)
  if into ~= '' and into ~= id and moved > 0 then
    g.waived = g.waived - moved
    enter('clawback', id, -moved, cause)
    local heir = find(into) or fresh()
    heir.waived = math.min(heir.waived + moved, MAX)
    enter('grant', into, moved, cause)
    grants[into], changed[into] = heir, true
  end
  return true
end

sweep(cause)
for i = 14, last, 6 do count_renamed(ARGV[i], amount(ARGV[i + 1]), ARGV[i + 4]) end
for i = 14, last, 6 do count_raise(ARGV[i], amount(ARGV[i + 1]), time(ARGV[i + 5])) end
for i = 14, last, 6 do
  if not set(ARGV[i], amount(ARGV[i + 1]), time(ARGV[i + 2]), time(ARGV[i + 3]), ARGV[i + 4], time(ARGV[i + 5])) then return packed({ 'range', ARGV[i] }) end
end
sweep(cause)
intact()

local moves, created = false, nil
if order ~= '' then
  local known = call('HMGET', ORDER, 'state', 'created')
  moves, created = known[1] and known[1] ~= 'paid', known[2]
end

-- Write.

call('HSET', OBJECT, 'version', ARGV[4], 'state', ARGV[5])
if standing == '' then
  call('HDEL', ACCOUNT, 's:' .. name)
else
  call('HSET', ACCOUNT, 's:' .. name, standing)
end
save(true)
if moves then
  if ARGV[12] ~= '' then
    call('HSET', ORDER, 'state', ARGV[11], 'payment', ARGV[12])
  else
    call('HSET', ORDER, 'state', ARGV[11])
  end
  if ARGV[11] == 'paid' then
    call('PERSIST', ORDER)
    call('ZREM', UNPAID, order)
    call('ZREM', FAILED, order)
    call('ZADD', PAID, created, order)
  elseif ARGV[11] == 'open' then
    call('ZREM', FAILED, order)
  else
    call('ZADD', FAILED, created, order)
    call('ZREMRANGEBYRANK', FAILED, '0', int(-tonumber(ARGV[13]) - 1))
    local live = call('PTTL', ORDER)
    if call('PTTL', FAILED) < live then call('PEXPIRE', FAILED, int(live)) end
  end
end

if #over > 0 then note_next() end

if sign_up then
  local reply = saved({}, next_hold())
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 2) == 's:' then
      reply[#reply + 1] = fields[i]
      reply[#reply + 1] = fields[i + 1]
    end
  end
  return packed(reply)
end

return committed(event, ARGV, last, now, entries)
