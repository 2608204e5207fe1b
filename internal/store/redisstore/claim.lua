-- Claim: binds a thing to an account unless it is bound already.
--
-- KEYS  1 owner   string: account id
-- ARGV  1 account id
--
-- Returns the account that it is bound to.
--
-- Invariant: an owner never changes. It never expires either.

local owner = call('GET', KEYS[1])
if owner then return owner end
call('SET', KEYS[1], ARGV[1])
return ARGV[1]
