-- What stands before settle.lua and the commit: what became of an event, and how long
-- it lives. The index of parked events lives in other keys, see journal.go.
--
-- KEYS  the last  event: see recorded.lua; where there is one
--
-- a are  1 state    2 reason    3 object    4 account
--        5 how long after its receipt the event ends, or "0" for never
--        6 and how long it lives on at the least
--        7 the body that takes the place of the stored one, or "" for none
--        8 which delivery of the event this is about, or "0" for whichever
-- Times in milliseconds.
--
-- Invariant: while the event is parked, parked_under is its object. It is never
-- cleared, so that a repeat of an un-parking learns it again. A body that was
-- delivered since is never replaced, and never taken for applied.

local EVENT = KEYS[#KEYS]

-- event_to_settle reads what settle has to know; its first field is false when the
-- event is missing.
local function event_to_settle() return call('HMGET', EVENT, 'state', 'parked_under', 'received', 'deliveries') end

-- settle returns {"delivered since"} or {"ok", parked_under, received}: "o" and the
-- object under which the event was parked last before this, or "" when it never was;
-- and when the event was received.
local function settle(known, a, now)
  local final = a[1] == 'applied' or a[1] == 'ignored'
  if final and a[8] ~= '0' and tonumber(a[8]) < tonumber(known[4]) then return { 'delivered since' } end
  call('HSET', EVENT, 'state', a[1], 'reason', a[2], 'object', a[3], 'account', a[4])
  if a[1] == 'parked' then call('HSET', EVENT, 'parked_under', 'o' .. a[3]) end
  if a[7] ~= '' and a[8] == known[4] then call('HSET', EVENT, 'body', a[7]) end
  local keep, linger = tonumber(a[5]), tonumber(a[6])
  if keep == 0 then
    call('PERSIST', EVENT)
  else
    call('PEXPIRE', EVENT, int(math.max(tonumber(known[3]) + keep - now, linger)))
  end
  return { 'ok', known[2] or '', known[3] or '' }
end

local PARKED = KEYS[11]

-- committed settles the event of a commit, unless it is nil, and returns what the commit
-- does, see commit.lua. What settle takes are the arguments a behind the last one.
local function committed(event, a, last, now, entries)
  local reply = { 'ok', '', '', '' }
  if event then
    local settled = settle(event, { unpack(a, last + 1) }, now)
    if settled[2] then reply = settled end
    reply[4] = int(call('EXISTS', PARKED))
  end
  for _, entry in ipairs(entries) do reply[#reply + 1] = entry end
  return packed(reply)
end
