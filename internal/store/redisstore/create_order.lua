-- CreateOrder: stores a new order, unless its key says that it was asked for
-- before.
--
-- KEYS  1 order    hash: order (JSON, as it was made), state, created, expires,
--                  session, url, payment
--       2 unpaid   sorted set: ids of unpaid orders by expiry
--       3 key      hash: order (the first that was asked for), by (the order id
--                  of the caller at work), fingerprint, done, until (end of the
--                  lease or, when done, of memory)
-- ARGV  1 now, or "" for the server's time    2 order id    3 order, JSON
--       4 expiry    5 "1" when there is a key    6 fingerprint    7 lease
--       8 how long a finished key is kept    9 limit of open orders
--       10 how long an unpaid order is kept after its expiry
--       11 an order, or "": a finished key that leads to it is free
--       Times in milliseconds.
--
-- Returns {"created" | "resumed" | "replayed" | "running" | "mismatched", id of
-- the order to go on with, or ""} or {"too many"}. An order that is new is followed
-- by when it was created; any other is as it is stored.
--
-- Invariants: check, count and storing are one step. A key dies before the
-- order that it leads to. Only unpaid orders and keys ever expire.

local ORDER, UNPAID, KEY = KEYS[1], KEYS[2], KEYS[3]
local id, fingerprint = ARGV[2], ARGV[6]
local has_key, lease, keep, retention = ARGV[5] == '1', tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[10])
local now, expires = clock(ARGV[1]), tonumber(ARGV[4])

-- live is how long the order is kept from now on, at least.
local live = math.max(expires - now, keep, 0) + retention

-- run notes that the caller is at work on an order.
local function run(order)
  if not has_key then return end
  call('HSET', KEY, 'order', order, 'by', id, 'fingerprint', fingerprint, 'done', '0', 'until', int(now + lease))
end

if has_key then
  local known = call('HMGET', KEY, 'order', 'by', 'fingerprint', 'done', 'until')
  local order, by, done, till = known[1], known[2], known[4] == '1', tonumber(known[5] or 0)
  if order and not (done and (till <= now or order == ARGV[11])) then
    if known[3] ~= fingerprint then return { 'mismatched', done and order or '' } end
    if done then return { 'replayed', order } end
    if by ~= id and now < till then return { 'running', '' } end
    run(order)
    return { order == id and 'created' or 'resumed', order }
  end
end

local fresh = call('EXISTS', ORDER) == 0
if fresh then
  if call('ZCOUNT', UNPAID, '(' .. int(now), '+inf') >= tonumber(ARGV[9]) then return { 'too many' } end
  call('HSET', ORDER, 'order', ARGV[3], 'state', 'open', 'created', int(now), 'expires', int(expires))
  call('PEXPIRE', ORDER, int(live))
  call('ZADD', UNPAID, int(expires), id)
  call('ZREMRANGEBYSCORE', UNPAID, '-inf', int(now - retention))
  if call('PTTL', UNPAID) < live then call('PEXPIRE', UNPAID, int(live)) end
end
run(id)
if has_key then
  local left = call('PTTL', ORDER)
  call('PEXPIRE', KEY, int(math.max((left > 0 and left or live) - 1000, 1)))
end
if fresh then return { 'created', id, int(now) } end
return { 'created', id }
