-- Record: stores an event, see recorded.lua.
--
-- KEYS  1 event: see recorded.lua
-- ARGV  1 now, or "" for the server's time    2 type    3 body    4 reason
--       5 object    6 account    7 token of this delivery
--       8 how long the event lives on at the least
--
-- Returns what record says, packed.

return packed((record(unpack(ARGV, 2, 8))))
