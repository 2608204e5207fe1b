-- What stands before every script that is about credits: an account as it is
-- read, changed by the rules of package ledger word for word, and written.
--
-- KEYS  1 account    hash: "rev"; "srev", the rev of the last commit; "seq"; "debt";
--                   "next", no later than when the next hold runs out; "g:" + grant of grants of which
--                    something is left, held or waiting; "s:" + object of standings
--       2 closed     hash: by id, the other grants
--       3 entries    list: entry n is the n-th element
--       4 holds      hash: by id, the holds that have not ended
--       5 expiring   sorted set: their ids by when they run out
-- ARGV  1 now, or "" for the server's time    2 channel of changes
--
-- Invariants: nothing is written before everything is decided, and the first
-- write is one that a full memory refuses, so a script happens as a whole or not
-- at all. Amounts are whole numbers of 0..2^53-1, the balance is within
-- 2^53-1 on both sides of 0, which a Lua number holds exactly.

local ACCOUNT, CLOSED, ENTRIES, HOLDS, EXPIRING = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local MAX = 9007199254740991
local now = clock(ARGV[1])

-- amount reads digits, or returns nil when they are out of range. tonumber
-- alone would take 0x10, 1e3 and " 1 ".
local function amount(text)
  if not string.find(text, '^%d+$') or #text > 16 then return nil end
  local n = tonumber(text)
  if n > MAX then return nil end
  return n
end

local function time(text)
  if text ~= '-' and not string.find(text, '^%-?%d+$') then error('damaged time') end
  return text
end

-- before orders strings by their bytes; < would use the server's locale.
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- parse_grant reads "amount left held lapsed waived expires created", and
-- " starts waiting" after it if something waits.
local function parse_grant(value)
  local a, left, held, lapsed, waived, expires, created, more =
    string.match(value, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+)(.*)$')
  if not a then error('damaged grant') end
  local g = {
    amount = amount(a), left = amount(left), held = amount(held), lapsed = amount(lapsed), waived = amount(waived),
    expires = time(expires), created = time(created), starts = '-', waiting = 0,
  }
  if more ~= '' then
    local starts, waiting = string.match(more, '^ (%-?%d+) (%d+)$')
    if not starts then error('damaged grant') end
    g.starts, g.waiting = starts, amount(waiting)
  end
  if not (g.amount and g.left and g.held and g.lapsed and g.waived and g.waiting) then error('damaged grant') end
  return g
end

local function write_grant(g)
  local text = int(g.amount) .. ' ' .. int(g.left) .. ' ' .. int(g.held) .. ' ' .. int(g.lapsed) .. ' ' .. int(g.waived)
    .. ' ' .. g.expires .. ' ' .. g.created
  if g.waiting == 0 then return text end
  return text .. ' ' .. g.starts .. ' ' .. int(g.waiting)
end

-- open reports whether something of a grant is left, held or waiting.
local function open(g) return g.left + g.held > 0 or g.waiting > 0 end

-- parse_hold reads "expires #by #fingerprint by..fingerprint..parts", where a
-- part is "#grant amount grant".
local function parse_hold(text)
  local expires, n, m, rest = string.match(text, '^(%-?%d+) (%d+) (%d+) (.*)$')
  if not expires then error('damaged hold') end
  n, m = tonumber(n), tonumber(m)
  local hold = { expires = tonumber(expires), by = string.sub(rest, 1, n), fingerprint = string.sub(rest, n + 1, n + m), parts = {}, amount = 0 }
  local at = n + m + 1
  while at <= #rest do
    local size, held, from = string.match(rest, '^(%d+) (%d+) ()', at)
    if not size then error('damaged hold') end
    at = from + tonumber(size)
    local part = { grant = string.sub(rest, from, at - 1), amount = amount(held) }
    hold.parts[#hold.parts + 1] = part
    hold.amount = hold.amount + part.amount
  end
  return hold
end

local function write_hold(hold)
  local text = { int(hold.expires), ' ', #hold.by, ' ', #hold.fingerprint, ' ', hold.by, hold.fingerprint }
  for _, p in ipairs(hold.parts) do
    text[#text + 1] = #p.grant .. ' ' .. int(p.amount) .. ' ' .. p.grant
  end
  return table.concat(text)
end

-- The account.

local fields = call('HGETALL', ACCOUNT)
local rev, srev, seq, debt = 0, 0, 0, 0
local grants, changed, entries = {}, {}, {}
for i = 1, #fields, 2 do
  local field, value = fields[i], fields[i + 1]
  if field == 'rev' then
    rev = tonumber(value)
  elseif field == 'srev' then
    srev = tonumber(value)
  elseif field == 'seq' then
    seq = tonumber(value)
  elseif field == 'debt' then
    debt = tonumber(value)
  elseif string.sub(field, 1, 2) == 'g:' then
    grants[string.sub(field, 3)] = parse_grant(value)
  end
end
local balance = -debt
for _, g in pairs(grants) do balance = balance + g.left + g.held end

-- first is the hold that runs out next, and when; over are the ids and texts of
-- those that have run out.
local first = call('ZRANGE', EXPIRING, '0', '0', 'WITHSCORES')
local over = {}
if first[1] and tonumber(first[2]) <= now then
  local ids = call('ZRANGEBYSCORE', EXPIRING, '-inf', int(now))
  table.sort(ids, before)
  for _, id in ipairs(ids) do over[#over + 1] = { id = id, text = call('HGET', HOLDS, id) } end
end

local function enter(kind, grant, change, cause)
  if change == 0 then return end
  seq = seq + 1
  balance = balance + change
  entries[#entries + 1] = table.concat({ int(seq), int(now), kind, int(change), int(balance), #grant, grant .. cause }, ' ')
end

-- due reports whether something waits in a grant that can be spent now.
local function due(g) return g.waiting > 0 and (g.starts == '-' or now >= tonumber(g.starts)) end

local function expired(g) return g.expires ~= '-' and now >= tonumber(g.expires) end

-- burn returns the ids of the grants in the order in which they are spent.
local function burn()
  local ids = {}
  for id in pairs(grants) do ids[#ids + 1] = id end
  if #ids > 1 then
    table.sort(ids, function(x, y)
      local a, b = grants[x], grants[y]
      if a.expires ~= b.expires then
        if a.expires == '-' or b.expires == '-' then return b.expires == '-' end
        return tonumber(a.expires) < tonumber(b.expires)
      end
      if a.created ~= b.created then
        if a.created == '-' or b.created == '-' then return a.created == '-' end
        return tonumber(a.created) < tonumber(b.created)
      end
      return before(x, y)
    end)
  end
  return ids
end

-- give_back returns held credits to their grants, less what was forgiven there.
local function give_back(parts, cause)
  for _, p in ipairs(parts) do
    local g = grants[p.grant]
    local kept = math.min(p.amount, g.waived)
    g.held = g.held - p.amount
    g.waived = g.waived - kept
    g.left = g.left + p.amount - kept
    changed[p.grant] = true
    enter('clawback', p.grant, -kept, cause)
  end
end

-- begin gives what waited in the grants that are due.
local function begin(cause)
  local any = false
  for _, g in pairs(grants) do any = any or due(g) end
  for _, id in ipairs(any and burn() or {}) do
    local g = grants[id]
    if due(g) then
      enter('grant', id, g.waiting, cause)
      g.left = g.left + g.waiting
      g.waiting, g.starts = 0, '-'
      changed[id] = true
    end
  end
end

-- pay_debt pays from what is left, in burn order, which it returns; nil when
-- nothing is owed.
local function pay_debt()
  if debt == 0 then return nil end
  local ids = burn()
  for _, id in ipairs(ids) do
    local g = grants[id]
    local paid = math.min(debt, g.left)
    if paid > 0 then
      g.left = g.left - paid
      debt = debt - paid
      changed[id] = true
    end
  end
  return ids
end

-- sweep does what time alone does: it releases holds that have run out, begins the
-- grants that are due, pays debt and lets grants lapse.
local released = 0
local function sweep(cause)
  while released < #over do
    released = released + 1
    give_back(parse_hold(over[released].text).parts, cause)
  end
  begin(cause)
  local ids = pay_debt()
  for _, g in pairs(grants) do
    if g.left > 0 and expired(g) then
      ids = ids or burn()
      break
    end
  end
  for _, id in ipairs(ids or {}) do
    local g = grants[id]
    if g.left > 0 and expired(g) then
      enter('expire', id, -g.left, cause)
      g.lapsed = math.min(g.lapsed + g.left, MAX)
      g.left = 0
      changed[id] = true
    end
  end
end

-- intact stops a script that would number entries anew.
local function intact()
  if #entries > 0 and call('LLEN', ENTRIES) ~= seq - #entries then error('damaged account: entries are missing') end
end

-- hset writes pairs, as many in a call as Lua can pass on.
local function hset(list)
  for i = 1, #list, 1000 do call('HSET', ACCOUNT, unpack(list, i, math.min(i + 999, #list))) end
end

-- save writes the account and tells who watches. The channel is no key: in a
-- Cluster, every node hears what is published at any of them.
local function save(commits)
  rev = rev + 1
  if commits then srev = rev end
  local list, gone = { 'rev', int(rev), 'srev', int(srev), 'seq', int(seq), 'debt', int(debt) }, {}
  for id in pairs(changed) do
    local g = grants[id]
    if open(g) then
      list[#list + 1] = 'g:' .. id
      list[#list + 1] = write_grant(g)
    else
      gone[#gone + 1] = id
    end
  end
  hset(list)
  for id in pairs(changed) do
    if grants[id].was_closed and open(grants[id]) then call('HDEL', CLOSED, id) end
  end
  for _, id in ipairs(gone) do
    call('HSET', CLOSED, id, write_grant(grants[id]))
    call('HDEL', ACCOUNT, 'g:' .. id)
  end
  for _, entry in ipairs(entries) do call('RPUSH', ENTRIES, entry) end
  for _, hold in ipairs(over) do
    call('HDEL', HOLDS, hold.id)
    call('ZREM', EXPIRING, hold.id)
  end
  call('PUBLISH', ARGV[2], int(rev) .. ' ' .. string.match(ACCOUNT, '{(.*)}'))
end

-- next_hold is when the next hold runs out that has not, or "-".
local function next_hold()
  local next = first
  if #over > 0 or not next[1] then
    next = call('ZRANGEBYSCORE', EXPIRING, '(' .. int(now), '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
  end
  if not next[1] then return '-' end
  return int(tonumber(next[2]))
end

-- note_next notes when the next hold runs out, behind everything else.
local function note_next()
  local next = call('ZRANGE', EXPIRING, '0', '0', 'WITHSCORES')
  if next[1] then
    call('HSET', ACCOUNT, 'next', int(tonumber(next[2])))
  else
    call('HDEL', ACCOUNT, 'next')
  end
  over, first = {}, next
end

-- unchanged adds the account to a reply as it was read: when the next hold runs
-- out, and then pairs of what is in the hash, and of "h:" + id of holds that have
-- run out.
local function unchanged(reply, standings)
  reply[#reply + 1] = next_hold()
  for i = 1, #fields, 2 do
    if standings or string.sub(fields[i], 1, 2) ~= 's:' then
      reply[#reply + 1] = fields[i]
      reply[#reply + 1] = fields[i + 1]
    end
  end
  for _, hold in ipairs(over) do
    reply[#reply + 1] = 'h:' .. hold.id
    reply[#reply + 1] = hold.text
  end
  return reply
end

-- saved adds the account to a reply as it was written.
local function saved(reply, next)
  for _, text in ipairs({ next, 'rev', int(rev), 'srev', int(srev), 'seq', int(seq), 'debt', int(debt) }) do reply[#reply + 1] = text end
  for id, g in pairs(grants) do
    if open(g) then
      reply[#reply + 1] = 'g:' .. id
      reply[#reply + 1] = write_grant(g)
    end
  end
  return reply
end
