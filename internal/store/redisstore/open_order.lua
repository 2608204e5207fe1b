-- OpenOrder: binds a session to an account, stores it in the order and finishes the
-- order's key.
--
-- KEYS  1 order    2 unpaid    3 key: see create_order.lua
--       4 owner of the session: see claim.lua; or no such key, where that is bound
-- ARGV  1 now, or "" for the server's time    2 order id    3 session    4 URL
--       5 expiry, or "" to leave it    6 "1" when there is a key
--       7 fingerprint    8 how long a finished key is kept
--       9 how long an unpaid order is kept after its expiry
--       10 channel of changes    11 account id
--       Times in milliseconds.
--
-- Returns "ok", "conflict" when the order has another session, or "missing".
--
-- Invariants: an order that has a session keeps it. A key that leads to another
-- order, or is finished, stays as it is. An owner never changes, and is there before
-- the order has the session; it is also bound when the order is missing or has
-- another. Who watches is told that the order can be paid.

local ORDER, UNPAID, KEY, OWNER = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, has_key, keep, retention = ARGV[2], ARGV[6] == '1', tonumber(ARGV[8]), tonumber(ARGV[9])
local now = clock(ARGV[1])

if OWNER then call('SET', OWNER, ARGV[11], 'NX') end

local stored = call('HMGET', ORDER, 'state', 'session', 'expires')
local state, session, expires = stored[1], stored[2], stored[3]
if not state then return 'missing' end

if (session or '') == '' then
  if ARGV[5] ~= '' then expires = ARGV[5] end
  call('HSET', ORDER, 'session', ARGV[3], 'url', ARGV[4], 'expires', expires)
  if state ~= 'paid' then
    local live = int(math.max(tonumber(expires) - now, keep, 0) + retention)
    call('ZADD', UNPAID, expires, id)
    call('PEXPIRE', ORDER, live)
    if call('PTTL', UNPAID) < tonumber(live) then call('PEXPIRE', UNPAID, live) end
  end
end

if has_key then
  local known = call('HMGET', KEY, 'order', 'done', 'until')
  local over = known[2] == '1' and tonumber(known[3]) <= now
  if not known[1] or over or (known[1] == id and known[2] ~= '1') then
    call('HSET', KEY, 'order', id, 'by', id, 'fingerprint', ARGV[7], 'done', '1', 'until', int(now + keep))
    call('PEXPIRE', KEY, int(keep))
  end
end
call('PUBLISH', ARGV[10], '0 ' .. string.match(ORDER, '{(.*)}'))
if (session or '') ~= '' and session ~= ARGV[3] then return 'conflict' end
return 'ok'
