-- Note: replaces a text if it is the one that the caller has seen.
--
-- KEYS  1 note   string
-- ARGV  1 what was seen, or "" for nothing    2 text
--
-- Returns what is kept then.

local kept = call('GET', KEYS[1]) or ''
if kept ~= ARGV[1] then return kept end
call('SET', KEYS[1], ARGV[2])
return ARGV[2]
