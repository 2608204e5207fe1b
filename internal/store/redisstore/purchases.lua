-- Purchases: which orders may be purchases. It only reads.
--
-- KEYS  1 unpaid: see create_order.lua    2 paid, 3 failed: see commit.lua
-- ARGV  1 now, or "" for the server's time    2 how many are wanted
--
-- Returns the ids of unpaid orders that have not expired, with a session or not,
-- and of the newest that are paid, failed or cancelled; some of them twice.

local UNPAID, PAID, FAILED = KEYS[1], KEYS[2], KEYS[3]
local last = int(tonumber(ARGV[2]) - 1)

local ids = call('ZRANGEBYSCORE', UNPAID, '(' .. int(clock(ARGV[1])), '+inf')
for _, id in ipairs(call('ZREVRANGE', PAID, '0', last)) do ids[#ids + 1] = id end
for _, id in ipairs(call('ZREVRANGE', FAILED, '0', last)) do ids[#ids + 1] = id end
return ids
