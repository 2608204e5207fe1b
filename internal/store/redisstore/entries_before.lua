-- EntriesBefore: the entries before a number. It only reads.
--
-- KEYS  1 entries: see commit.lua
-- ARGV  1 number    2 how many at most
--
-- Returns them, oldest first.

local last = math.min(call('LLEN', KEYS[1]), tonumber(ARGV[1]) - 1)
local first = math.max(last - tonumber(ARGV[2]), 0) + 1
if first > last then return {} end
return call('LRANGE', KEYS[1], int(first - 1), int(last - 1))
