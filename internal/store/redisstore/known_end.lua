-- The end of a hold whose account the caller knows, see known_hold.lua.
--
-- ARGV  9 rev    10 until when no grant begins or expires, nor the hold    11 field of the grant
--       12 the grant as it is    13 as it is to be    14 rev to be
--       15 the hold as it is    16 seq    17 seq to be
--       18 the entry behind its time, or "" for none    19 what to tell who watches, or "" for nothing
--
-- Returns "known", and when the next hold runs out.

local ACCOUNT, ENTRIES, HOLDS, EXPIRING = KEYS[1], KEYS[3], KEYS[4], KEYS[5]

local function known()
  if not ARGV[9] then return nil end
  local rev, debt, next, seq, grant = unpack(call('HMGET', ACCOUNT, 'rev', 'debt', 'next', 'seq', ARGV[11]))
  if rev ~= ARGV[9] or grant ~= ARGV[12] or (seq or '0') ~= ARGV[16] or debt and debt ~= '0' then return nil end
  local now = clock(ARGV[1])
  if not next or now >= tonumber(next) or now >= tonumber(ARGV[10]) then return nil end
  if call('HGET', HOLDS, ARGV[3]) ~= ARGV[15] then return nil end
  call('HSET', ACCOUNT, ARGV[11], ARGV[13], 'rev', ARGV[14], 'seq', ARGV[17])
  call('HDEL', HOLDS, ARGV[3])
  call('ZREM', EXPIRING, ARGV[3])
  if ARGV[18] ~= '' and call('RPUSH', ENTRIES, ARGV[17] .. ' ' .. int(now) .. ARGV[18]) ~= tonumber(ARGV[17]) then
    error('damaged account: entries are missing')
  end
  if ARGV[19] ~= '' then call('PUBLISH', ARGV[2], ARGV[19]) end
  return 'known ' .. next
end

local reply = known()
if reply then return reply end
