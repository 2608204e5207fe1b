-- Settle: notes what became of an event, and how long it lives. The index of parked events
-- lives in other keys, see journal.go.
--
-- KEYS  1 account of the commit that the event is settled by, see account.lua; or no such key
--       the last  event: see record.lua
-- ARGV  1 now, or "" for the server's time    2 state    3 reason    4 object    5 account
--       6 how long after its receipt the event ends, or "0" for never
--       7 and how long it lives on at the least
--       8 the body that takes the place of the stored one, or "" for none
--       9 which delivery of the event this is about, by its number or its token, or "0" for
--       whichever
--       10 stamp of the commit, where there is one: without it nothing is settled
--       Times in milliseconds.
--
-- Returns, packed, {"missing"}, {"not committed"}, {"delivered since"} or {"ok", parked_under,
-- received}: "o" and the object under which the event was parked last before this, or "" when it
-- never was; and when the event was received.
--
-- Invariant: while the event is parked, parked_under is its object. It is never
-- cleared, so that a repeat of an un-parking learns it again. A body that was
-- delivered since is never replaced, and never taken for applied.

local ACCOUNT = KEYS[1]
local EVENT = KEYS[#KEYS]

if KEYS[2] and call('HGET', ACCOUNT, 'stamp') ~= ARGV[10] then return packed({ 'not committed' }) end
local known = call('HMGET', EVENT, 'state', 'parked_under', 'received', 'deliveries', 'seen')
if not known[1] then return packed({ 'missing' }) end
local final = ARGV[2] == 'applied' or ARGV[2] == 'ignored'
local last = ARGV[9] == known[4] or #ARGV[9] == 16 and ARGV[9] == string.sub(known[5], -16)
if final and ARGV[9] ~= '0' and not last then return packed({ 'delivered since' }) end
call('HSET', EVENT, 'state', ARGV[2], 'reason', ARGV[3], 'object', ARGV[4], 'account', ARGV[5])
if ARGV[2] == 'parked' then call('HSET', EVENT, 'parked_under', 'o' .. ARGV[4]) end
if ARGV[8] ~= '' and last then call('HSET', EVENT, 'body', ARGV[8]) end
if ARGV[6] == '0' then
  call('PERSIST', EVENT)
else
  call('PEXPIRE', EVENT, int(math.max(tonumber(known[3]) + tonumber(ARGV[6]) - clock(ARGV[1]), tonumber(ARGV[7]))))
end
return packed({ 'ok', known[2] or '', known[3] or '' })
