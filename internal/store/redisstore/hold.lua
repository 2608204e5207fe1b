-- Hold: sets credits aside, see ledger.lua.
--
-- KEYS  6 ended   string: "until captured #by #fingerprint by..fingerprint..receipt"
--                 of a hold of this id that has ended; expires
-- ARGV  3 id    4 by    5 fingerprint    6 amount    7 how long it may run, in milliseconds
--       8 "1" to renew it only
--
-- Returns {"placed" | "refused" | "running" | "mismatched" | "gone" | "finished",
-- captured, receipt} and the account.
--
-- Invariant: sent again by the same caller, it changes nothing but that the hold
-- runs on.

local ENDED = KEYS[6]
local id, by, fingerprint, wanted = ARGV[3], ARGV[4], ARGV[5], amount(ARGV[6])
local expires = now + tonumber(ARGV[7])

local text = call('HGET', HOLDS, id)
local hold = text and parse_hold(text)
if hold and now < hold.expires then
  if hold.fingerprint ~= fingerprint then return unchanged({ 'mismatched', '0', '' }) end
  if hold.by ~= by then return unchanged({ 'running', '0', '' }) end
elseif ARGV[8] == '1' then
  return unchanged({ 'gone', '0', '' })
else
  hold = nil
  local ended = by ~= '' and call('GET', ENDED)
  if ended then
    local till, captured, n, m, rest = string.match(ended, '^(%d+) (%d+) (%d+) (%d+) (.*)$')
    if now < tonumber(till) and (captured ~= '0' or string.sub(rest, 1, tonumber(n)) == by) then
      n, m = tonumber(n), tonumber(m)
      if string.sub(rest, n + 1, n + m) ~= fingerprint then return unchanged({ 'mismatched', '0', '' }) end
      return unchanged({ 'finished', captured, string.sub(rest, n + m + 1) })
    end
  end
end

sweep(id)
if hold then
  hold.expires = math.max(hold.expires, expires)
else
  local available = -debt
  for _, g in pairs(grants) do
    if not expired(g) then available = available + g.left end -- what is due has begun
  end
  if math.max(available, 0) < wanted then return unchanged({ 'refused', '0', '' }) end
  hold = { expires = expires, by = by, fingerprint = fingerprint, parts = {} }
  for _, grant in ipairs(burn()) do
    local g = grants[grant]
    local n = math.min(wanted, g.left)
    if n > 0 then
      g.left = g.left - n
      g.held = g.held + n
      wanted = wanted - n
      changed[grant] = true
      hold.parts[#hold.parts + 1] = { grant = grant, amount = n }
    end
  end
end
intact()

save()
call('HSET', HOLDS, id, write_hold(hold))
call('ZADD', EXPIRING, int(hold.expires), id)
note_next()
return saved({ 'placed', '0', '' }, next_hold())
