-- Account: reads an account, see ledger.lua. It only reads.
--
-- Returns {when the next hold runs out or "-", field, value...}.

return unchanged({}, true)
