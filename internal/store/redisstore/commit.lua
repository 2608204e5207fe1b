-- Commit: the new state of an object with everything that follows from it. The
-- rules are those of package ledger, Account.Apply, word for word.
--
-- KEYS  1 account   hash: "seq"; "rev"; "g:" + grant of grants of which something is
--                   left; "s:" + object of standings
--       2 closed    hash: by id, the grants of which nothing is left
--       3 entries   list: entry n is the n-th element
--       4 object    hash: version, state
--       5 order     hash, see create_order.lua
--       6 unpaid    sorted set, see create_order.lua
--       7 paid      sorted set: ids of paid orders by creation
--       8 failed    sorted set: ids of the newest failed and cancelled orders by
--                   creation; of those that expired, some
-- ARGV  1 now, or "" for the server's time    2 version that the state is from
--       3 version after it    4 state    5 name of the object
--       6 standing, or "" for none    7 cause    8 order id, or "" for none
--       9 state of the order    10 payment of the order, or ""
--       11 how many failed orders are listed    12 channel of changes
--       13... of each target: grant, amount, expiry, creation; times in
--             milliseconds or "-"
--
-- Returns {"ok", entry...}, {"conflict"} or {"range", grant}.
--
-- Invariants: nothing is written before everything is decided, and the first
-- write is one that a full memory refuses, so a commit happens as a whole or
-- not at all. Amounts are whole numbers of 0..2^53-1, their sum too, which a
-- Lua number holds exactly.

local ACCOUNT, CLOSED, ENTRIES, OBJECT = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ORDER, UNPAID, PAID, FAILED = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local MAX = 9007199254740991
local name, standing, cause, order = ARGV[5], ARGV[6], ARGV[7], ARGV[8]

-- amount reads digits, or returns nil when they are out of range. tonumber
-- alone would take 0x10, 1e3 and " 1 ".
local function amount(text)
  if not string.find(text, '^%d+$') or #text > 16 then return nil end
  local n = tonumber(text)
  if n > MAX then return nil end
  return n
end

local function time(text)
  if text ~= '-' and not string.find(text, '^%-?%d+$') then error('damaged time') end
  return text
end

-- parse reads "amount left lapsed expires created".
local function parse(value)
  local a, left, lapsed, expires, created = string.match(value, '^(%d+) (%d+) (%d+) (%S+) (%S+)$')
  if not a then error('damaged grant') end
  local g = { amount = amount(a), left = amount(left), lapsed = amount(lapsed), expires = time(expires), created = time(created) }
  if not (g.amount and g.left and g.lapsed) then error('damaged grant') end
  return g
end

local function write(g)
  return int(g.amount) .. ' ' .. int(g.left) .. ' ' .. int(g.lapsed) .. ' ' .. g.expires .. ' ' .. g.created
end

-- before orders strings by their bytes; < would use the server's locale.
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Read.

if (redis.call('HGET', OBJECT, 'version') or '0') ~= ARGV[2] then return { 'conflict' } end

local now = clock(ARGV[1])
local seq, balance = 0, 0
local grants, changed, entries = {}, {}, {}
local fields = redis.call('HGETALL', ACCOUNT)
for i = 1, #fields, 2 do
  local field, value = fields[i], fields[i + 1]
  if field == 'seq' then
    seq = tonumber(value)
  elseif string.sub(field, 1, 2) == 'g:' then
    local g = parse(value)
    grants[string.sub(field, 3)] = g
    balance = balance + g.left
  end
end
if redis.call('LLEN', ENTRIES) ~= seq then error('damaged account: entries are missing') end

-- Decide.

local function enter(kind, grant, change)
  if change == 0 then return end
  seq = seq + 1
  balance = balance + change
  entries[#entries + 1] = table.concat({ int(seq), int(now), kind, int(change), int(balance), #grant, grant .. cause }, ' ')
end

local function lapse()
  local expired = {}
  for id, g in pairs(grants) do
    if g.left > 0 and g.expires ~= '-' and now >= tonumber(g.expires) then expired[#expired + 1] = id end
  end
  table.sort(expired, before)
  for _, id in ipairs(expired) do
    local g = grants[id]
    enter('expire', id, -g.left)
    g.lapsed = g.lapsed + g.left
    g.left = 0
    changed[id] = true
  end
end

-- set brings a grant to its amount; false when that leaves the range.
local function set(id, target, expires, created)
  if not target then return false end
  local g = grants[id]
  if not g then
    local closed = redis.call('HGET', CLOSED, id)
    if closed then
      g = parse(closed)
    elseif target == 0 then
      return true
    else
      g = { amount = 0, left = 0, lapsed = 0 }
    end
  end
  local change = target - g.amount
  if change > MAX - balance then return false end
  g.amount, g.expires, g.created = target, expires, created
  if change >= 0 then
    g.left = g.left + change
    enter('grant', id, change)
  else
    local taken = math.min(-change, g.left)
    g.left = g.left - taken
    g.lapsed = g.lapsed - math.min(-change - taken, g.lapsed)
    enter('clawback', id, -taken)
  end
  grants[id], changed[id] = g, true
  return true
end

lapse()
for i = 13, #ARGV, 4 do
  if not set(ARGV[i], amount(ARGV[i + 1]), time(ARGV[i + 2]), time(ARGV[i + 3])) then return { 'range', ARGV[i] } end
end
lapse()

local moves = false
if order ~= '' then
  local state = redis.call('HGET', ORDER, 'state')
  moves = state and state ~= 'paid'
end

-- Write.

redis.call('HSET', OBJECT, 'version', ARGV[3], 'state', ARGV[4])
redis.call('HSET', ACCOUNT, 'seq', int(seq))
if standing == '' then
  redis.call('HDEL', ACCOUNT, 's:' .. name)
else
  redis.call('HSET', ACCOUNT, 's:' .. name, standing)
end
for id in pairs(changed) do
  local g = grants[id]
  if g.left > 0 then
    redis.call('HSET', ACCOUNT, 'g:' .. id, write(g))
    redis.call('HDEL', CLOSED, id)
  else
    redis.call('HSET', CLOSED, id, write(g))
    redis.call('HDEL', ACCOUNT, 'g:' .. id)
  end
end
for _, entry in ipairs(entries) do redis.call('RPUSH', ENTRIES, entry) end
if moves then
  redis.call('HSET', ORDER, 'state', ARGV[9])
  if ARGV[10] ~= '' then redis.call('HSET', ORDER, 'payment', ARGV[10]) end
  local created = redis.call('HGET', ORDER, 'created')
  if ARGV[9] == 'paid' then
    redis.call('PERSIST', ORDER)
    redis.call('ZREM', UNPAID, order)
    redis.call('ZREM', FAILED, order)
    redis.call('ZADD', PAID, created, order)
  elseif ARGV[9] == 'open' then
    redis.call('ZREM', FAILED, order)
  else
    redis.call('ZADD', FAILED, created, order)
    redis.call('ZREMRANGEBYRANK', FAILED, '0', int(-tonumber(ARGV[11]) - 1))
    local live = redis.call('PTTL', ORDER)
    if redis.call('PTTL', FAILED) < live then redis.call('PEXPIRE', FAILED, int(live)) end
  end
end
announce(ACCOUNT, ARGV[12])

table.insert(entries, 1, 'ok')
return entries
