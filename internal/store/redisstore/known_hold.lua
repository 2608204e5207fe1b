-- The hold of an account that the caller knows, see ledger.lua and known.go. What to
-- write was decided there, by the rules of package ledger, and is written if all that
-- it was decided by is still so. rev alone would not do: a server that failed over, or
-- was restored, may have come to the same one by another way.
--
-- ARGV  9 rev    10 until when no grant begins or expires, or "-"    11 field of the grant
--       12 the grant as it is    13 as it is to be    14 rev to be
--       15 the hold, but for its time    16 what to tell who watches
--
-- Returns "known", when the hold runs out, and when the next one does.

local ACCOUNT, HOLDS, EXPIRING = KEYS[1], KEYS[4], KEYS[5]

local function known()
  if not ARGV[9] then return nil end
  local rev, debt, next, grant = unpack(call('HMGET', ACCOUNT, 'rev', 'debt', 'next', ARGV[11]))
  if rev ~= ARGV[9] or grant ~= ARGV[12] or debt and debt ~= '0' then return nil end
  local now = clock(ARGV[1])
  if next and now >= tonumber(next) or ARGV[10] ~= '-' and now >= tonumber(ARGV[10]) then return nil end
  local expires = now + tonumber(ARGV[7])
  local ends = int(expires)
  if call('HSETNX', HOLDS, ARGV[3], ends .. ARGV[15]) == 0 then return nil end
  if not next or expires < tonumber(next) then next = ends end
  call('HSET', ACCOUNT, ARGV[11], ARGV[13], 'rev', ARGV[14], 'next', next)
  call('ZADD', EXPIRING, ends, ARGV[3])
  call('PUBLISH', ARGV[2], ARGV[16])
  return 'known ' .. ends .. ' ' .. next
end

local reply = known()
if reply then return reply end
