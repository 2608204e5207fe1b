-- What stands before every script.

-- Lua finds locals faster than globals.
local KEYS, ARGV, call = KEYS, ARGV, redis.call

-- clock returns the time in milliseconds: the given one, in tests, or else the
-- server's. It is asked once, for TIME may move within a script before Redis 7.2.
local told
local function clock(given)
  if given ~= '' then return tonumber(given) end
  if not told then
    local t = call('TIME')
    told = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
  end
  return told
end

-- int writes a whole number as digits; tostring would write 1e+14.
local function int(n) return string.format('%.0f', n) end

-- packed writes a list as one text, "#element element" for each, which costs less to
-- write and to read than a list.
local function packed(list)
  local text, n = {}, 0
  for _, element in ipairs(list) do
    if type(element) == 'number' then element = int(element) end
    text[n + 1], text[n + 2], text[n + 3] = #element, ' ', element
    n = n + 3
  end
  return table.concat(text)
end
