rockspec_format = "3.0"
package = "libkivi"
version = "0.1.0-1"
source = {
   url = "file://libkivi-0.1.0.tar.gz", -- which lua/package makes, and puts into a rock with this file
   dir = "libkivi-0.1.0"
}
description = {
   summary = "One key-value API for every store: memory, LMDB, Redis",
   detailed = [[
      A dict stored from Python is a table in Lua and a Hash in Ruby, from LMDB on a laptop to Redis in production.
      require "kivi" in Lua 5.1, 5.3, 5.4 and LuaJIT; require "resty.kivi" in nginx.
   ]],
   license = "MIT"
}
supported_platforms = { "unix" }
dependencies = {
   "lua >= 5.1, < 5.5"
}
build = {
   type = "make",
   makefile = "lua/Makefile",
   build_target = "",
   build_variables = {
      CFLAGS = "$(CFLAGS)",
      LIBFLAG = "$(LIBFLAG)",
      LUA_INCDIR = "$(LUA_INCDIR)",
      ROCK_KIVI_DIR = "$(KIVI_DIR)",
      ROCK_PREFIX = "$(PREFIX)"
   },
   install_variables = {
      CFLAGS = "$(CFLAGS)",
      LIBFLAG = "$(LIBFLAG)",
      LUA_INCDIR = "$(LUA_INCDIR)",
      ROCK_KIVI_DIR = "$(KIVI_DIR)",
      ROCK_PREFIX = "$(PREFIX)",
      INST_LIBDIR = "$(LIBDIR)",
      INST_LUADIR = "$(LUADIR)"
   }
}
