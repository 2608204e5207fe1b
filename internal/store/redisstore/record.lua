-- Record: stores an event, see recorded.lua.
--
-- Returns what record says, packed.

return packed(record())
