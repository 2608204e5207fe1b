-- Settle: notes what became of an event, and how long it lives. The index of
-- parked events lives in other keys, see journal.go.
--
-- KEYS  1 event: see record.lua
-- ARGV  1 state    2 reason    3 object    4 account
--       5 now, or "" for the server's time
--       6 how long after its receipt the event ends, or "0" for never
--       7 and how long it lives on at the least
--       8 the body that takes the place of the stored one, or "" for none
--       9 which delivery of the event this is about, or "0" for whichever
-- Times in milliseconds.
--
-- Returns {"missing"}, {"delivered since"} or {"ok", parked_under, received}: "o" and the object under
-- which the event was parked last before this, or "" when it never was; and when
-- the event was received.
--
-- Invariant: while the event is parked, parked_under is its object. It is never
-- cleared, so that a repeat of an un-parking learns it again. A body that was
-- delivered since is never replaced, and never taken for applied.

local EVENT = KEYS[1]

local known = redis.call('HMGET', EVENT, 'state', 'parked_under', 'received', 'deliveries')
if not known[1] then return { 'missing' } end
local final = ARGV[1] == 'applied' or ARGV[1] == 'ignored'
if final and ARGV[9] ~= '0' and tonumber(ARGV[9]) < tonumber(known[4]) then return { 'delivered since' } end
redis.call('HSET', EVENT, 'state', ARGV[1], 'reason', ARGV[2], 'object', ARGV[3], 'account', ARGV[4])
if ARGV[1] == 'parked' then redis.call('HSET', EVENT, 'parked_under', 'o' .. ARGV[3]) end
if ARGV[8] ~= '' and ARGV[9] == known[4] then redis.call('HSET', EVENT, 'body', ARGV[8]) end
local keep, linger = tonumber(ARGV[6]), tonumber(ARGV[7])
if keep == 0 then
  redis.call('PERSIST', EVENT)
else
  local left = tonumber(known[3]) + keep - clock(ARGV[5])
  redis.call('PEXPIRE', EVENT, int(math.max(left, linger)))
end
return { 'ok', known[2] or '', known[3] or '' }
