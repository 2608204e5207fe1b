-- Record: stores an event, or the newer body of one that is known.
--
-- KEYS  1 event   hash: type, body, state, reason, object, account, received,
--                 deliveries, seen (tokens of the last deliveries), parked_under
-- ARGV  1 now, or "" for the server's time    2 type    3 body    4 reason
--       5 object    6 account    7 token of this delivery, of a fixed length
--       8 how long the event lives on at the least, where settle.lua ends its life
--
-- Returns, packed, {type, state, reason, object, account, received, deliveries}.
--
-- Invariant: a delivery counts once, however often the client sends it.

local EVENT = KEYS[1]
local token, remembered = ARGV[7], 16

local known = call('HMGET', EVENT, 'deliveries', 'seen')
if not known[1] then
  call('HSET', EVENT, 'type', ARGV[2], 'body', ARGV[3], 'state', 'received', 'reason', ARGV[4], 'object', ARGV[5],
    'account', ARGV[6], 'received', int(clock(ARGV[1])), 'deliveries', '1', 'seen', token)
elseif not string.find(known[2], token, 1, true) then
  local seen = string.sub(known[2], -(remembered - 1) * #token) .. token
  call('HSET', EVENT, 'body', ARGV[3], 'deliveries', int(tonumber(known[1]) + 1), 'seen', seen)
  local left = call('PTTL', EVENT)
  if left >= 0 and left < tonumber(ARGV[8]) then call('PEXPIRE', EVENT, int(tonumber(ARGV[8]))) end
end
return packed(call('HMGET', EVENT, 'type', 'state', 'reason', 'object', 'account', 'received', 'deliveries'))
