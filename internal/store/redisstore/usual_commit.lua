-- The usual commit, see ledger.lua and commit.lua, whose keys, arguments and rules these
-- are: an object that has given nothing yet gives credits by one new grant. Nothing is
-- owed, no hold has run out, and no grant has expired or waits; if there is an order, it
-- is open and becomes paid.

local ACCOUNT, CLOSED, ENTRIES, OBJECT, ORDER, UNPAID, PAID = KEYS[1], KEYS[2], KEYS[3], KEYS[6], KEYS[7], KEYS[8], KEYS[9]

-- usual_commit returns what commit.lua does, or nil if the commit is not usual. a are the
-- arguments.
local function usual_commit(a)
  local last = KEYS[12] and #a - 8 or #a
  local id, given, expires, created, into, starts = a[14], a[15], a[16], a[17], a[18], a[19]
  if last ~= 19 or into ~= '' or starts ~= '-' or a[3] ~= '0' then return nil end
  if not string.find(given, '^[1-9]%d*$') or #given > 15 then return nil end
  if expires ~= '-' and not string.find(expires, '^%d+$') or created ~= '-' and not string.find(created, '^%-?%d+$') then return nil end
  if call('EXISTS', OBJECT) == 1 then return nil end
  local event
  if KEYS[12] then
    event = event_to_settle()
    if not event[1] then return nil end
  end
  local order
  if a[10] ~= '' then
    local known = call('HMGET', ORDER, 'state', 'created')
    if known[1] and (known[1] ~= 'open' or a[11] ~= 'paid' or a[12] == '') then return nil end
    if known[1] then order = known end
  end

  local now = clock(a[1])
  if expires ~= '-' and now >= tonumber(expires) then return nil end
  local field, rev, seq, balance = 'g:' .. id, 0, 0, 0
  local fields = call('HGETALL', ACCOUNT)
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if string.sub(name, 1, 2) == 'g:' then
      local left, held, ends = string.match(value, '^%d+ (%d+) (%d+) %d+ %d+ (%S+) %S+$')
      if not left or name == field or ends ~= '-' and now >= tonumber(ends) then return nil end
      balance = balance + tonumber(left) + tonumber(held)
    elseif name == 'debt' then
      if value ~= '0' then return nil end
    elseif name == 'next' then
      if now >= tonumber(value) then return nil end
    elseif name == 'rev' then
      rev = tonumber(value)
    elseif name == 'seq' then
      seq = tonumber(value)
    end
  end
  balance = balance + tonumber(given)
  if balance > 9007199254740991 or call('HEXISTS', CLOSED, id) == 1 or call('LLEN', ENTRIES) ~= seq then return nil end
  rev, seq = int(rev + 1), int(seq + 1)
  local entry = table.concat({ seq, int(now), 'grant', given, int(balance), #id, id .. a[8] }, ' ')

  call('HSET', OBJECT, 'version', a[4], 'state', a[5])
  local changes = { 'rev', rev, 'srev', rev, 'seq', seq, 'debt', '0', field, given .. ' ' .. given .. ' 0 0 0 ' .. expires .. ' ' .. created }
  if a[7] ~= '' then changes[11], changes[12] = 's:' .. a[6], a[7] end
  call('HSET', ACCOUNT, unpack(changes))
  call('RPUSH', ENTRIES, entry)
  call('PUBLISH', a[2], rev .. ' ' .. string.match(ACCOUNT, '{(.*)}'))
  if order then
    call('HSET', ORDER, 'state', 'paid', 'payment', a[12])
    call('PERSIST', ORDER)
    call('ZREM', UNPAID, a[10])
    call('ZADD', PAID, order[2], a[10])
  end
  return committed(event, a, last, now, { entry })
end
