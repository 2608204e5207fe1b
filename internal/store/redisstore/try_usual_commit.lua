-- What stands before ledger.lua and commit.lua, see usual_commit.lua.

local done = usual_commit(ARGV)
if done then return done end
