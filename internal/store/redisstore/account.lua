-- Account: writes what was decided about an account if everything that it was decided by is
-- still so; else it reads that anew. It knows where things are kept, and nothing of what they
-- mean.
--
-- KEYS  1 account    hash: "rev", "stamp" (random, of the last change), "seq", "debt", "srev",
--                    "g:" + grant of grants that are open, "s:" + object of standings,
--                    "turn" and "till": who may write next, and until when
--       2 holds      hash: by id, the holds that have not ended
--       3 expiring   sorted set: their ids by when they run out
--       4 entries    list: entry n is the n-th element
--       5... what else commands name
-- ARGV  1 now, or "" for the server's time
--       2 rev    3 stamp    4, 5 from when and before when the decision counts; rev "none"
--       or "whole", which is with the standings, only reads
--       6 name of the gateway, or "" for a look that needs no turn to write
--       then lists, each behind the number of its words:
--         holds to compare: id, text or ""
--         other commands to compare: each is the number of its words, its words, and "=" + what
--         it must say, or "" where that is compared by the rev
--         what to set in the account's hash: field, value
--         holds to set: id, text, when it runs out
--         holds to remove: id
--         entries to add
--         other commands to run: each is the number of its words, and its words
--       then what to tell who watches, or ""
--
-- Returns now, if it has written; or, packed, {now, when the next hold runs out or "-", how
-- many entries there are, the last one or "", how many fields of the account, field, value...,
-- how many holds have run out, id, text..., the text of each hold to compare, and of each
-- command to compare how many elements it says, element...}.
--
-- A gateway that was refused because another was faster has the next turn: until it has written,
-- or TURN milliseconds have passed, others can neither write nor have the turn. They are told
-- {now, "wait"}.
--
-- Invariant: the first command that writes is one that a full memory refuses, so a script happens as a
-- whole or not at all.

local unpack, tonumber = unpack, tonumber
local ACCOUNT, HOLDS, EXPIRING, ENTRIES = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local TURN = 20
local now = clock(ARGV[1])
local holds = 7 + tonumber(ARGV[7])
local reads = holds + 1 + tonumber(ARGV[holds + 1])

local known = call('HMGET', ACCOUNT, 'rev', 'stamp', 'turn', 'till')
local left = known[3] and tonumber(known[4]) - clock('') or 0
if left > 0 and left <= TURN and known[3] ~= ARGV[6] and ARGV[6] ~= '' then return packed({ now, 'wait' }) end
local same = (known[1] or '0') == ARGV[2] and (known[2] or '') == ARGV[3] and now >= tonumber(ARGV[4]) and now < tonumber(ARGV[5])
for at = 8, holds, 2 do
  same = same and (call('HGET', HOLDS, ARGV[at]) or '') == ARGV[at + 1]
end
local at = holds + 2
while same and at <= reads do
  local last = at + tonumber(ARGV[at])
  same = ARGV[last + 1] == '' or ARGV[last + 1] == '=' .. (call(unpack(ARGV, at + 1, last)) or '')
  at = last + 2
end

if same then
  local last = reads + 1 + tonumber(ARGV[reads + 1])
  call('HSET', ACCOUNT, unpack(ARGV, reads + 2, last))
  at, last = last + 2, last + 1 + tonumber(ARGV[last + 1])
  for i = at, last, 3 do
    call('HSET', HOLDS, ARGV[i], ARGV[i + 1])
    call('ZADD', EXPIRING, ARGV[i + 2], ARGV[i])
  end
  at, last = last + 2, last + 1 + tonumber(ARGV[last + 1])
  for i = at, last do
    call('HDEL', HOLDS, ARGV[i])
    call('ZREM', EXPIRING, ARGV[i])
  end
  at, last = last + 2, last + 1 + tonumber(ARGV[last + 1])
  for i = at, last do call('RPUSH', ENTRIES, ARGV[i]) end
  at, last = last + 2, last + 1 + tonumber(ARGV[last + 1])
  while at <= last do
    local words = tonumber(ARGV[at])
    call(unpack(ARGV, at + 1, at + words))
    at = at + words + 1
  end
  if known[3] then call('HDEL', ACCOUNT, 'turn', 'till') end
  if ARGV[last + 1] ~= '' then call('PUBLISH', ARGV[last + 1], ARGV[last + 2]) end
  return now
end

if known[1] and ARGV[6] ~= '' then
  call('HSET', ACCOUNT, 'turn', ARGV[6], 'till', int(clock('') + TURN))
end
local next = call('ZRANGEBYSCORE', EXPIRING, '(' .. int(now), '+inf', 'WITHSCORES', 'LIMIT', '0', '1')[2]
local list = { now, next and int(tonumber(next)) or '-', call('LLEN', ENTRIES), call('LRANGE', ENTRIES, '-1', '-1')[1] or '', 0 }
local fields = call('HGETALL', ACCOUNT)
for i = 1, #fields, 2 do
  if ARGV[2] == 'whole' or string.sub(fields[i], 1, 2) ~= 's:' then
    list[#list + 1] = fields[i]
    list[#list + 1] = fields[i + 1]
    list[5] = list[5] + 1
  end
end
local over = call('ZRANGEBYSCORE', EXPIRING, '-inf', int(now))
list[#list + 1] = #over
for _, id in ipairs(over) do
  list[#list + 1] = id
  list[#list + 1] = call('HGET', HOLDS, id) or ''
end
for i = 8, holds, 2 do list[#list + 1] = call('HGET', HOLDS, ARGV[i]) or '' end
at = holds + 2
while at <= reads do
  local last = at + tonumber(ARGV[at])
  local reply = call(unpack(ARGV, at + 1, last))
  if type(reply) ~= 'table' then reply = { reply or nil } end
  list[#list + 1] = #reply
  for _, element in ipairs(reply) do list[#list + 1] = element or '' end
  at = last + 2
end
return packed(list)
