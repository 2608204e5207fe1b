-- What stands before every script.

-- clock returns the time in milliseconds: the given one, in tests, or else the
-- server's. A script calls it once, for TIME may move within a script before
-- Redis 7.2.
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- int writes a whole number as digits; tostring would write 1e+14.
local function int(n) return string.format('%.0f', n) end

-- announce counts a change of an account, behind everything that was written of
-- it, and tells who watches. The channel is no key: in a Cluster, every node
-- hears what is published at any of them.
local function announce(account, channel)
  local rev = redis.call('HINCRBY', account, 'rev', 1)
  redis.call('PUBLISH', channel, int(rev) .. ' ' .. string.match(account, '{(.*)}'))
end
