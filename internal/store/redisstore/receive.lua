-- Receive: Record of an event with Claim of its object, and what there is of the two. If
-- the object is new and its order is as was guessed, the object is committed too.
--
-- KEYS  1 to 9, 11 and 12: see commit.lua    10 owner: see claim.lua
-- ARGV  1... what record.lua takes    9 account id
--       10 what the order's JSON has in it where the guess is right; or nothing of this
--       11... what commit.lua takes, where there is an event to settle
--
-- Returns, packed, what record says, then the account that the object is bound to, and,
-- if that is this one: of the order the order, state, created, expires, session, url,
-- payment; of the object version and state; "" where there is no such thing. Or instead of
-- the object, as one, what the commit says.

local OBJECT, ORDER, OWNER = KEYS[6], KEYS[7], KEYS[10]

local reply, new = record(unpack(ARGV, 2, 8))
local owner = ARGV[9]
if not call('SET', OWNER, owner, 'NX') then owner = call('GET', OWNER) end
reply[8] = owner
if owner == ARGV[9] then
  local order = call('HMGET', ORDER, 'order', 'state', 'created', 'expires', 'session', 'url', 'payment')
  for i = 1, 7 do reply[8 + i] = order[i] or '' end
  local done = nil
  if new and ARGV[10] and order[1] and string.find(order[1], ARGV[10], 1, true) then done = usual_commit({ unpack(ARGV, 11) }) end
  if done then
    reply[16] = done
  else
    local object = call('HMGET', OBJECT, 'version', 'state')
    reply[16], reply[17] = object[1] or '', object[2] or ''
  end
end
return packed(reply)
