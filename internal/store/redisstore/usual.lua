-- What stands before hold.lua and end.lua: the usual case, in a fraction of the
-- time. Nothing is owed, no hold has run out, no grant has expired or is due, and
-- nothing was forgiven. Keys, arguments and rules are those of ledger.lua; the reply is one text,
-- which costs less to write and to read than a list.

local ACCOUNT, CLOSED, ENTRIES, HOLDS, EXPIRING = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

-- look reads the account, or returns nil if it is not in the usual state. rev, srev
-- and seq are left as text, and so is due, which says what next is.
local function look()
  local a = { now = clock(ARGV[1]), rev = '0', srev = '0', seq = '0', grants = {} }
  local fields = call('HGETALL', ACCOUNT)
  for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    if string.sub(field, 1, 2) == 'g:' then
      local amount, left, held, lapsed, waived, expires, created, waits =
        string.match(value, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (%S+)(.*)$')
      if waived ~= '0' then return nil end
      local g = {
        field = field, text = value, amount = amount, left = tonumber(left), held = tonumber(held),
        tail = lapsed .. ' 0 ' .. expires .. ' ' .. created .. waits, waits = waits ~= '',
        ends = tonumber(expires) or math.huge, began = tonumber(created) or -math.huge,
      }
      if a.now >= g.ends then return nil end
      if g.waits then
        local starts = tonumber(string.match(waits, '^ (%-?%d+) %d+$') or '')
        if not starts or a.now >= starts then return nil end
      end
      a.grants[#a.grants + 1] = g
    elseif field == 'debt' then
      if value ~= '0' then return nil end
    elseif field == 'next' then
      a.next, a.due = tonumber(value), value
      if a.now >= a.next then return nil end
    elseif field == 'rev' or field == 'srev' or field == 'seq' then
      a[field] = value
    end
  end
  return a
end

-- changed writes a grant anew, and counts the change.
local function changed(a, g)
  g.text = g.amount .. ' ' .. int(g.left) .. ' ' .. int(g.held) .. ' ' .. g.tail
  a.rev = int(tonumber(a.rev) + 1)
end

local function tell(a) call('PUBLISH', ARGV[2], a.rev .. ' ' .. string.match(ACCOUNT, '{(.*)}')) end

-- answer is the reply with the account as it is now: "outcome captured next rev srev
-- seq", and of each grant of which something is left, held or waiting " #field #value
-- fieldvalue".
local function answer(a, outcome, captured)
  local reply = { outcome, ' ', captured, ' ', a.due or '-', ' ', a.rev, ' ', a.srev, ' ', a.seq }
  local n = #reply
  for _, g in ipairs(a.grants) do
    if g.left + g.held > 0 or g.waits then
      reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = ' ', #g.field, ' ', #g.text
      reply[n + 5], reply[n + 6], reply[n + 7] = ' ', g.field, g.text
      n = n + 7
    end
  end
  return table.concat(reply)
end
