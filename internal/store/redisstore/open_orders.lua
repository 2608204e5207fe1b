-- OpenOrders: which orders may be open. It only reads.
--
-- KEYS  1 unpaid: see create_order.lua
-- ARGV  1 now, or "" for the server's time
--
-- Returns the ids of unpaid orders that have not expired, with a session or not.

return call('ZRANGEBYSCORE', KEYS[1], '(' .. int(clock(ARGV[1])), '+inf')
