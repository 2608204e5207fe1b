-- DropOrder: forgets an order without a session, and the key that led to it.
--
-- KEYS  1 order    2 unpaid    3 key: see create_order.lua    4 failed: see commit.lua
-- ARGV  1 order id    2 "1" when there is a key
--
-- Returns "ok".
--
-- Invariants: an order that has a session stays, and so does one that is paid;
-- the latter's key is free all the same.

local ORDER, UNPAID, KEY, FAILED = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local stored = call('HMGET', ORDER, 'state', 'session')
if (stored[2] or '') ~= '' then return 'ok' end
if stored[1] ~= 'paid' then
  call('DEL', ORDER)
  call('ZREM', UNPAID, ARGV[1])
  call('ZREM', FAILED, ARGV[1])
end
if ARGV[2] == '1' and call('HGET', KEY, 'order') == ARGV[1] then call('DEL', KEY) end
return 'ok'
