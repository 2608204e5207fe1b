-- Tries commands from within a script, see trial.go.
--
-- KEYS  all keys of the commands
-- ARGV  for each command: how many words it has, then the words
-- returns for each command its error, or ''
local said, at = {}, 1
while at <= #ARGV do
  local n = tonumber(ARGV[at])
  local reply = redis.pcall(unpack(ARGV, at + 1, at + n))
  said[#said + 1] = type(reply) == 'table' and reply.err or ''
  at = at + n + 1
end
return said
