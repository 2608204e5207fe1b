-- Free: unbinds a thing from an account, if it is bound to it.
--
-- KEYS  1 owner   string: account id
-- ARGV  1 account id
--
-- Returns what it was bound to.

local owner = call('GET', KEYS[1])
if owner == ARGV[1] then call('DEL', KEYS[1]) end
return owner or ''
