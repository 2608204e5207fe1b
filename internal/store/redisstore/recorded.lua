-- What stands before record.lua and receive.lua: an event, or the newer body of one that
-- is known.
--
-- KEYS  the last  event   hash: type, body, state, reason, object, account, received,
--                 deliveries, seen (tokens of the last deliveries), parked_under
-- ARGV  1 now, or "" for the server's time
--
-- Invariant: a delivery counts once, however often the client sends it.

local EVENT = KEYS[#KEYS]

-- record returns {type, state, reason, object, account, received, deliveries}, and whether
-- the event is new. token is that of this delivery, of a fixed length; linger is how long
-- the event lives on at the least, where settle.lua ends its life.
local function record(type, body, reason, object, account, token, linger)
  local remembered = 16
  local known = call('HMGET', EVENT, 'deliveries', 'seen')
  if not known[1] then
    local now = int(clock(ARGV[1]))
    call('HSET', EVENT, 'type', type, 'body', body, 'state', 'received', 'reason', reason, 'object', object,
      'account', account, 'received', now, 'deliveries', '1', 'seen', token)
    return { type, 'received', reason, object, account, now, '1' }, true
  end
  if not string.find(known[2], token, 1, true) then
    local seen = string.sub(known[2], -(remembered - 1) * #token) .. token
    call('HSET', EVENT, 'body', body, 'deliveries', int(tonumber(known[1]) + 1), 'seen', seen)
    local left = call('PTTL', EVENT)
    if left >= 0 and left < tonumber(linger) then call('PEXPIRE', EVENT, int(tonumber(linger))) end
  end
  return call('HMGET', EVENT, 'type', 'state', 'reason', 'object', 'account', 'received', 'deliveries'), false
end
