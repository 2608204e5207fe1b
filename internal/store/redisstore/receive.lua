-- Receive: Record of an event with Claim of its object, and what there is of the two.
--
-- KEYS  1 event: see recorded.lua    2 owner: see claim.lua
--       3 object: see commit.lua     4 order: see create_order.lua
-- ARGV  1... what recorded.lua takes    9 account id
--
-- Returns, packed, what record says, then the account that the object is bound to, and,
-- if that is this one: version and state of the object, and of the order the order,
-- state, created, expires, session, url, payment; "" where there is no such thing.

local OWNER, OBJECT, ORDER = KEYS[2], KEYS[3], KEYS[4]

local reply = record()
local owner = ARGV[9]
if not redis.call('SET', OWNER, owner, 'NX') then owner = redis.call('GET', OWNER) end
reply[#reply + 1] = owner
if owner == ARGV[9] then
  local object = redis.call('HMGET', OBJECT, 'version', 'state')
  local order = redis.call('HMGET', ORDER, 'order', 'state', 'created', 'expires', 'session', 'url', 'payment')
  for i = 1, 2 do reply[#reply + 1] = object[i] or '' end
  for i = 1, 7 do reply[#reply + 1] = order[i] or '' end
end
return packed(reply)
