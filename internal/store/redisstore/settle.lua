-- Settle: notes what became of an event. The index of parked events lives in
-- other keys, see journal.go.
--
-- KEYS  1 event: see record.lua
-- ARGV  1 state    2 reason    3 object    4 account
--
-- Returns {"missing"} or {"ok", parked_under, received}: "o" and the object under
-- which the event was parked last before this, or "" when it never was; and when
-- the event was received.
--
-- Invariant: while the event is parked, parked_under is its object. It is never
-- cleared, so that a repeat of an un-parking learns it again.

local EVENT = KEYS[1]

local known = redis.call('HMGET', EVENT, 'state', 'parked_under', 'received')
if not known[1] then return { 'missing' } end
redis.call('HSET', EVENT, 'state', ARGV[1], 'reason', ARGV[2], 'object', ARGV[3], 'account', ARGV[4])
if ARGV[1] == 'parked' then redis.call('HSET', EVENT, 'parked_under', 'o' .. ARGV[3]) end
return { 'ok', known[2] or '', known[3] or '' }
