-- Settle: notes what became of an event, see settled.lua.
--
-- KEYS  1 event: see recorded.lua
-- ARGV  1... what settled.lua takes    9 now, or "" for the server's time
--
-- Returns, packed, {"missing"} or what settled.lua says.

local known = event_to_settle()
if not known[1] then return packed({ 'missing' }) end
return packed(settle(known, ARGV, clock(ARGV[9])))
